"""Plan -> sample -> what a model reads, and the flat row in which a sample is stored.

    ScenePlan -> ask, explain -> Sample -> question text -> chat messages
                                        -> row (one fixed schema) -> Sample

How a model is told to answer is worded here and nowhere else. The table of columns serves writing, reading, the index
and the dataset card.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

import pyarrow as pa
from temporay.operators.media import MARKERS, Medium, MediumKind, kinds_in_front, split_at_markers, without_media
from temporay.operators.primitives._base import Primitive, Style, primitive_of
from temporay.operators.records import (
    ANSWER_CLOSE,
    ANSWER_OPEN,
    LETTERS,
    THINK_CLOSE,
    THINK_OPEN,
    Address,
    AnswerForm,
    Event,
    Question,
    Sample,
    Scene,
    ScenePlan,
    Turn,
)
from temporay.operators.sampling import COMMON_SAMPLINGS

SCHEMA_VERSION = 4  # changes when a column is added, removed or means something else
_THINK = f"Think step by step between {THINK_OPEN} and {THINK_CLOSE}, then give the"
_TAGS = f"between {ANSWER_OPEN} and {ANSWER_CLOSE}"
_WITHIN = f"of the right option {_TAGS}"
_BARE = "a number in digits, an order with commas, or else the bare word or name"
INSTRUCTIONS: dict[AnswerForm, str] = {
    "letter": f"{_THINK} letter {_WITHIN}.",
    "text": f"{_THINK} words {_WITHIN}.",
    "free": f"{_THINK} answer {_TAGS}: {_BARE}.",
    "json": f'{_THINK} answer {_TAGS} as {{"answer": …}}, with a JSON number, a list for an order, or else a text.',
}

# For samples without a chain of thought. If they were asked to think, a model would learn to ignore instructions.
ANSWER_ONLY: dict[AnswerForm, str] = {
    "letter": f"Answer with the letter {_WITHIN}, and nothing else.",
    "text": f"Answer with the words {_WITHIN}, and nothing else.",
    "free": f"Answer {_TAGS}, and nothing else: {_BARE}.",
}
ANSWER_ONLY_INSTRUCTION = ANSWER_ONLY["letter"]
_STANDARD = {text: texts for texts in (INSTRUCTIONS, ANSWER_ONLY) for text in texts.values()}


def make_sample(primitive: Primitive, plan: ScenePlan, style: Style, answer_format: AnswerForm = "letter") -> Sample:
    """Ask and explain a plan. Everything comes from the event log, so pixels are not needed."""
    question = replace(_typed(primitive.ask(plan), primitive, plan.facts), answer_format=answer_format)
    return Sample(
        address=plan.address,
        question=question,
        rationale="" if style == "answer_only" else primitive.explain(plan, question, style),
        order_dependent=primitive.order_dependent,
        needs_time=primitive.needs_time,
        media=(Medium(width=plan.width, height=plan.height, fps=plan.fps, num_frames=plan.num_frames),),
        events=plan.events,
        sources=_sources(plan),
        facts=plan.facts,
    )


def question_text(question: Question, instruction: str = "") -> str:
    """Write the question, its options one per line as ``(A) text``, and the instruction if there is one.

    A question that is answered freely is asked without its options.
    """
    listed = question.options if question.lists_options else ()
    options = [f"({letter}) {text}" for letter, text in zip(LETTERS, listed, strict=False)]
    return "\n".join([question.text, *options, *([_fitted(instruction, question)] if instruction else [])])


def _fitted(instruction: str, question: Question) -> str:
    """Exchange an instruction of ours for the one that fits the question's form: own data may hold several forms."""
    fitted = dict(_STANDARD.get(instruction, {})).get(question.answer_format, instruction)
    return fitted.replace(_BARE, "from … s to … s, in seconds") if question.kind == "interval" else fitted


def messages(
    sample: Sample, *, with_media: bool = True, instruction: str = "", asked: str | None = None
) -> list[dict[str, Any]]:
    """Return all turns before the answer for a processor's chat template; parts that show a medium have no pixels.

    Args:
        asked: the question as it is written, in place of the sample's own with its options and the instruction.
    """
    turns, in_front = _said(sample, question_text(sample.question, instruction) if asked is None else asked)
    return [
        chat_turn(turn.role, turn.text, () if n else in_front, with_media=with_media) for n, turn in enumerate(turns)
    ]


def chat_turn(role: str, text: str, in_front: Sequence[MediumKind] = (), *, with_media: bool = True) -> dict[str, Any]:
    """Return a turn whose parts are media, where its text has their markers, and words.

    Args:
        in_front: kinds of the media before the text.
        with_media: False: its words alone.
    """
    if not with_media:
        return {"role": role, "content": [{"type": "text", "text": without_media(text)}]}
    parts: list[dict[str, str]] = [{"type": kind} for kind in in_front]
    for n, piece in enumerate(split_at_markers(text)):
        if n % 2:
            parts.append({"type": piece})
        elif piece:
            parts.append({"type": "text", "text": piece})
    return {"role": role, "content": parts}


def plain_messages(sample: Sample, *, instruction: str = "") -> list[dict[str, str]]:
    """Return all turns as plain texts with a literal ``<video>`` for the clip, as other trainers read them."""
    turns, in_front = _said(sample, question_text(sample.question, instruction))
    lead = "".join(f"{MARKERS[kind]}\n" for kind in in_front)
    said = [{"role": turn.role, "content": turn.text if n else f"{lead}{turn.text}"} for n, turn in enumerate(turns)]
    return [*said, {"role": "assistant", "content": sample.target}]


def _said(sample: Sample, asked: str) -> tuple[list[Turn], list[MediumKind]]:
    """Return all turns before the answer, and the kinds of the media that stand before the first of them."""
    turns = [*sample.earlier, Turn(role="user", text=asked)]
    return turns, kinds_in_front(sample.media, [turn.text for turn in turns])


SampleRow = Mapping[str, Any]  # a stored row, perhaps with the place of its clip
TEXT, COUNT, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
TURNS = pa.list_(pa.struct({"role": TEXT, "content": TEXT}))

# Every column: its type, and the attribute of the sample that it holds, or how it is computed from the sample. None: it
# is not the sample's alone. All columns are always there, and values without a fixed form are JSON texts: readers would
# drop or cast them.
COLUMNS: dict[str, tuple[pa.DataType, str | Callable[[Sample], Any] | None]] = {
    "id": (TEXT, lambda sample: sample.key),
    "schema_version": (COUNT, lambda sample: SCHEMA_VERSION),
    "generator_version": (TEXT, "address.generator_version"),
    "recipe_hash": (TEXT, None),
    "param_hash": (TEXT, None),
    "task": (TEXT, "address.task"),
    "split": (TEXT, "address.split"),
    "index": (COUNT, "address.index"),
    "seed": (COUNT, "address.seed"),
    "level": (COUNT, "address.level"),
    "pair_id": (TEXT, lambda sample: sample.address.pair_id),
    "pair_role": (TEXT, lambda sample: "twin" if sample.address.twin else "main"),
    "question": (TEXT, "question.text"),
    "options": (pa.list_(TEXT), lambda sample: list(sample.question.options)),
    "answer_format": (TEXT, "question.answer_format"),
    "answer": (TEXT, lambda sample: sample.question.letter),
    "answer_text": (TEXT, lambda sample: sample.question.options[sample.question.answer_index]),
    "rationale": (TEXT, "rationale"),
    "messages": (TURNS, None),
    "order_dependent": (FLAG, "order_dependent"),
    "needs_time": (FLAG, "needs_time"),
    "num_frames": (COUNT, "clip.num_frames"),
    "fps": (NUMBER, "clip.fps"),
    "width": (COUNT, "clip.width"),
    "height": (COUNT, "clip.height"),
    "duration_ms": (NUMBER, lambda sample: 1000.0 * sample.clip.num_frames / sample.clip.fps),
    "sources_json": (TEXT, lambda sample: _dump(sample.sources)),
    "events_json": (TEXT, lambda sample: _dump([asdict(event) for event in sample.events])),
    "facts_json": (TEXT, lambda sample: _dump(sample.facts)),
    "survives": (pa.list_(TEXT), None),
}
ROW_SCHEMA = pa.schema({name: kind for name, (kind, _) in COLUMNS.items()})


def samplings_survived(primitive: Primitive, plan: ScenePlan) -> list[str]:
    """Return the names of the common samplings under which the answer can still be read off, by each known rule."""
    return [
        name
        for name, sampling in COMMON_SAMPLINGS.items()
        if all(primitive.survives(plan, frames) for frames in sampling.choices(plan.num_frames, plan.fps))
    ]


def to_row(
    sample: Sample, *, recipe_hash: str, content_hash: str, instruction: str, survives: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the flat row of a sample, as it is stored.

    Args:
        instruction: how to answer; it ends the user's message.
        survives: from ``samplings_survived``.
    """
    messages = plain_messages(sample, instruction=instruction)
    given = {
        "recipe_hash": recipe_hash,
        "param_hash": content_hash,
        "messages": messages,
        "fps": float(sample.clip.fps),
    }
    given["survives"] = list(survives)
    read = {name: attrgetter(at) if isinstance(at, str) else at for name, (_, at) in COLUMNS.items()}
    return {name: given[name] if name in given or at is None else at(sample) for name, at in read.items()}


def from_row(row: SampleRow) -> Sample:
    """Return the sample that ``to_row`` was given."""
    facts, options = json.loads(row["facts_json"]), tuple(row["options"])
    question = Question(**_attributes(row, "question"), options=options, answer_index=LETTERS.index(row["answer"]))
    return Sample(
        **_attributes(row, ""),
        address=address_of(row),
        question=_typed(question, primitive_of(row["task"]), facts),
        media=(Medium(**_attributes(row, "clip")),),
        events=tuple(Event(**event) for event in json.loads(row["events_json"])),
        sources=tuple(json.loads(row["sources_json"])),
        facts=facts,
    )


def address_of(row: SampleRow) -> Address:
    """Return the address in a stored row."""
    return Address(**_attributes(row, "address"), twin=row["pair_role"] == "twin")


def _typed(question: Question, primitive: Primitive | None, facts: Mapping[str, Any]) -> Question:
    """Add what a primitive knows of its answers: their kind and one value per option."""
    if primitive is None or not (values := primitive.values(facts)):
        return question
    return replace(question, kind=primitive.answer_kind, values=values)


def _attributes(row: SampleRow, owner: str) -> dict[str, Any]:
    """Return the cells that hold attributes of one record, by attribute."""
    paths = {name: at.rpartition(".") for name, (_, at) in COLUMNS.items() if isinstance(at, str)}
    return {attribute: row[name] for name, (found, _, attribute) in paths.items() if found == owner}


def scenes_of(plan: ScenePlan) -> tuple[Scene, ...]:
    """Return every photograph that a plan shows, by image id."""
    backdrop = (plan.backdrop.scene,) if plan.backdrop.scene is not None else ()
    cut = (track.cutout.scene for track in plan.tracks if track.cutout is not None)
    shown = {scene.image_id: scene for scene in (*backdrop, *cut, *(shot.scene for shot in plan.shots))}
    return tuple(shown[image_id] for image_id in sorted(shown))


def _sources(plan: ScenePlan) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        {
            "image_id": scene.image_id,
            "file_name": scene.path.rpartition("/")[2],
            "license_id": scene.license_id,
            "source_url": scene.source_url,
        }
        for scene in scenes_of(plan)
    )


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
