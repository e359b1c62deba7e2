"""What a line asks, put together of its parts and checked; its video is not looked at.

question, options, answer, thought -> Asked (a Question, a chain of thought, the category)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporay.operators.errors import SampleRejected
from temporay.operators.markup import encodable, is_visible, without_markers
from temporay.operators.media import MARKERS, harmless, kinds_in, without_media
from temporay.operators.own_data.answers import chosen, open_question, taken_apart
from temporay.operators.own_data.options import Options, listed_in, read_options
from temporay.operators.records import TAGS, THINK_CLOSE, THINK_OPEN, AnswerKind, Question, Turn
from temporay.operators.seeding import digest

CHOICES = ("choice", "multiple choice", "multiple-choice", "multiple_choice", "mcq")
# What a line may call the kind of its answer. None: what its options, or else the answer, look like.
KINDS_OF_ANSWER: dict[str, AnswerKind | None] = {
    **dict.fromkeys(("", *CHOICES)),
    **dict.fromkeys(("text", "free-form", "free form", "free_form", "ocr", "open-ended", "open_ended"), "choice"),
    **dict.fromkeys(("number", "numerical", "regression", "counting"), "number"),
    **dict.fromkeys(("interval", "temporal grounding", "temporal_grounding"), "interval"),
    **dict.fromkeys(("order", "ordering"), "order"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question about videos or images, the reasoning that a model is taught, and the category of both."""

    question: Question
    rationale: str  # "": the answer alone is taught
    task: str  # [a-z0-9_]; "" where the line names no category
    order_dependent: bool = False  # stated by the line
    earlier: tuple[Turn, ...] = ()  # what was said before the question


def asked(
    *,
    text: Any,
    answer: Any,
    options: Any = None,
    thought: Any = None,
    kind: Any = None,
    category: Any = None,
    order_dependent: Any = None,
    earlier: Sequence[Turn] = (),
) -> Asked:
    """Return what is asked, without special tokens of chat templates. Only the markers of media stay.

    Args:
        text: the question; options may stand below it, one per line.
        answer: the label or the words of an option, or an open answer; a text may hold a thought and tags.
        options: a list, or an object by label; None: those below the question, or none at all.
        thought: the chain of thought, with or without its tags.
        kind: a name in ``KINDS_OF_ANSWER``.
        category: names the task under which accuracies are reported.
        earlier: what was said before. Of a reply with tags, only its answer is said again.

    Raises:
        SampleRejected: a part is missing, cannot be read, or contradicts another one.
    """
    name = "" if kind is None else str(kind).strip().casefold()
    given = _given_kind(name)
    if answer is None:
        raise SampleRejected("bad_answer", "there is no answer")
    if isinstance(answer, list) and len(answer) == 1:
        (answer,) = answer
    said = taken_apart(encodable(answer)) if isinstance(answer, str) else None
    value = answer if said is None else said.answer
    whole = _question_text(text)
    stem, listed = _with_options(whole, options)
    stem = _with_markers(stem, whole)
    rationale = _one_thought(thought, "" if said is None else said.thought)
    if listed is None and name in CHOICES:
        raise SampleRejected("bad_options", f"the kind is {kind!r}, but there are no options")
    if listed is None:
        question = open_question(stem, value, given)
    elif given is not None:
        raise SampleRejected("bad_kind", f"the kind is {kind!r}, but there are options; leave out one of them")
    else:
        _check_letters(listed, rationale)
        question = Question(text=stem, options=listed.texts, answer_index=chosen(value, listed))
    if order_dependent is not None and not isinstance(order_dependent, bool):
        raise SampleRejected("bad_field", f"order_dependent must be true or false, not {order_dependent!r:.80}")
    return Asked(
        question=question,
        rationale=rationale,
        task=task_of(category),
        order_dependent=order_dependent is True,
        earlier=tuple(Turn(role=turn.role, text=_said_before(turn)) for turn in earlier),
    )


def task_of(category: Any) -> str:
    """Return a category as a task's name: [a-z0-9_], or a hash where it is written in no Latin letters."""
    if category is None or isinstance(category, bool) or not isinstance(category, str | int | float):
        return ""
    words = re.sub(r"[^a-z0-9]+", "_", str(category).casefold()).strip("_")[:64].strip("_")
    return words or (f"category_{digest(str(category)) % 16**8:08x}" if str(category).strip() else "")


def _given_kind(name: str) -> AnswerKind | None:
    if name not in KINDS_OF_ANSWER:
        known = ", ".join(sorted(set(KINDS_OF_ANSWER) - {""}))
        raise SampleRejected("bad_kind", f"{name!r:.80} is no kind of answer; known are {known}")
    return KINDS_OF_ANSWER[name]


def _question_text(text: Any) -> str:
    asked = encodable(text).strip() if isinstance(text, str) else ""
    if not is_visible(without_media(asked)):
        raise SampleRejected("bad_question", f"the question must be a text, not {text!r:.80}")
    return asked.replace("\r\n", "\n")


def _said_before(turn: Turn) -> str:
    text = encodable(turn.text).replace("\r\n", "\n").strip()
    if turn.role == "assistant" and any(tag in text for tag in TAGS):
        text = taken_apart(text).answer
    if not text:
        raise SampleRejected("bad_messages", "a turn before the question is empty")
    return harmless(text)


def _with_options(text: str, options: Any) -> tuple[str, Options | None]:
    """Return the question without its options, and these. Options that are given twice are taken once."""
    if options is not None and options not in ([], {}):
        read = read_options(options)
        below = listed_in(text) if read.texts[0] in text else None
        if below is None or set(below[1].texts) != set(read.texts):
            return harmless(text), read
        if below[1] != read:
            raise SampleRejected("bad_options", "the options in the question have other labels than those beside it")
        return _stem(below[0]), read
    below = listed_in(text)
    return (harmless(text), None) if below is None else (_stem(below[0]), below[1])


def _stem(text: str) -> str:
    if not text:
        raise SampleRejected("bad_question", "there are options, but no question above them")
    return harmless(text)


def _with_markers(stem: str, whole: str) -> str:
    """Return a question with the marker that stood below its options, if that is the only one."""
    kinds = kinds_in(whole)
    if kinds_in(stem) == kinds:
        return stem
    if len(kinds) > 1:
        raise SampleRejected(
            "media_in_options", "a marker stands among the options or below them; write all of them above"
        )
    return f"{MARKERS[kinds[0]]}{stem}"


def _one_thought(given: Any, said: str) -> str:
    if given is not None and not isinstance(given, str):
        raise SampleRejected("bad_thought", f"the chain of thought must be a text, not {given!r:.80}")
    bare = encodable(given or "").strip().removeprefix(THINK_OPEN).removesuffix(THINK_CLOSE).strip()
    if bare and said and bare != said:
        raise SampleRejected("bad_thought", "there are two chains of thought, in the answer and beside it")
    return without_markers(bare or said)


def _check_letters(options: Options, rationale: str) -> None:
    if rationale and not options.are_lettered_from_a:
        labels = ", ".join(options.labels)
        raise SampleRejected("bad_labels", f"the options are labeled {labels}, and a chain of thought may name them")
