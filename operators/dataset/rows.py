"""Plan -> sample -> what a model reads, and the flat row a sample is at rest.

    ScenePlan -> ask, explain -> Sample -> question text -> chat messages
                                        -> row (one fixed schema) -> Sample

The wording and the answer format live here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

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
    ScenePlan,
    scenes_of,
)

SCHEMA_VERSION = 3  # of a row; changes when a column is added, removed or means something else
VIDEO_MARKER = "<video>"  # verl, ms-swift and LLaMA-Factory replace it with the clip
_THINK = f"Think step by step between {THINK_OPEN} and {THINK_CLOSE}, then give the"
_WITHIN = f"of the right option between {ANSWER_OPEN} and {ANSWER_CLOSE}"
INSTRUCTIONS: dict[AnswerForm, str] = {
    "letter": f"{_THINK} letter {_WITHIN}.",
    "text": f"{_THINK} words {_WITHIN}.",
}

# For samples without a chain of thought: asked to think, a model would be taught not to do as it is told.
ANSWER_ONLY_INSTRUCTION = f"Answer with the letter {_WITHIN}, and nothing else."


def make_sample(primitive: Primitive, plan: ScenePlan, style: Style, answer_format: AnswerForm = "letter") -> Sample:
    """Asks and explains a plan. Pixels are not needed: everything comes from the event log."""
    question = replace(_typed(primitive.ask(plan), primitive, plan.facts), answer_format=answer_format)
    return Sample(
        address=plan.address,
        question=question,
        rationale=primitive.explain(plan, question, style),
        order_dependent=primitive.order_dependent,
        needs_time=primitive.needs_time,
        width=plan.width,
        height=plan.height,
        fps=plan.fps,
        num_frames=plan.num_frames,
        events=plan.events,
        sources=_sources(plan),
        facts=plan.facts,
    )


def question_text(question: Question, instruction: str = "") -> str:
    """The question, its options one per line as ``(A) text``, and how to answer when an instruction is given."""
    options = [f"({letter}) {text}" for letter, text in zip(LETTERS, question.options, strict=False)]
    return "\n".join([question.text, *options, *([instruction] if instruction else [])])


def messages(sample: Sample, *, with_video: bool = True, instruction: str = "") -> list[dict[str, Any]]:
    """The user's turn in the form that a processor's chat template takes; the video part has no pixels."""
    text = {"type": "text", "text": question_text(sample.question, instruction)}
    return [{"role": "user", "content": [*([{"type": "video"}] if with_video else []), text]}]


def plain_messages(sample: Sample, *, instruction: str = "") -> list[dict[str, str]]:
    """Both turns with plain-string contents and a literal ``<video>``, as other trainers read them."""
    user = f"{VIDEO_MARKER}\n{question_text(sample.question, instruction)}"
    return [{"role": "user", "content": user}, {"role": "assistant", "content": sample.target}]


def to_row(sample: Sample, *, recipe_hash: str, param_hash: str, instruction: str) -> dict[str, Any]:
    """One flat row. Every key is always there and what varies is a JSON string, or readers would drop or cast it."""
    address, question = sample.address, sample.question
    return {
        "id": sample.key,
        "schema_version": SCHEMA_VERSION,
        "generator_version": address.generator_version,
        "recipe_hash": recipe_hash,
        "param_hash": param_hash,
        "task": address.task,
        "split": address.split,
        "index": address.index,
        "seed": address.seed,
        "level": address.level,
        "pair_id": address.pair_id,
        "pair_role": "twin" if address.twin else "main",
        "question": question.text,
        "options": list(question.options),
        "answer_format": question.answer_format,
        "answer": question.letter,
        "answer_text": question.options[question.answer_index],
        "rationale": sample.rationale,
        "messages": plain_messages(sample, instruction=instruction),
        "order_dependent": sample.order_dependent,
        "needs_time": sample.needs_time,
        "num_frames": sample.num_frames,
        "fps": float(sample.fps),
        "width": sample.width,
        "height": sample.height,
        "duration_ms": 1000.0 * sample.num_frames / sample.fps,
        "sources_json": _dump(sample.sources),
        "events_json": _dump([asdict(event) for event in sample.events]),
        "facts_json": _dump(sample.facts),
    }


def from_row(row: Mapping[str, Any]) -> Sample:
    """The sample that ``to_row`` was given."""
    fields = ("task", "split", "index", "seed", "level", "generator_version")
    facts = json.loads(row["facts_json"])
    question = Question(
        text=row["question"],
        options=tuple(row["options"]),
        answer_index=LETTERS.index(row["answer"]),
        answer_format=row["answer_format"],
    )
    return Sample(
        address=Address(**{name: row[name] for name in fields}, twin=row["pair_role"] == "twin"),
        question=_typed(question, primitive_of(row["task"]), facts),
        rationale=row["rationale"],
        order_dependent=row["order_dependent"],
        needs_time=row["needs_time"],
        width=row["width"],
        height=row["height"],
        fps=row["fps"],
        num_frames=row["num_frames"],
        events=tuple(Event(**event) for event in json.loads(row["events_json"])),
        sources=tuple(json.loads(row["sources_json"])),
        facts=facts,
    )


def _typed(question: Question, primitive: Primitive | None, facts: Mapping[str, Any]) -> Question:
    """Add what a primitive knows of its answers: their kind and one value per option."""
    if primitive is None or not (values := primitive.values(facts)):
        return question
    return replace(question, kind=primitive.answer_kind, values=values)


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
