"""Names of our own: ``question``, ``options``, ``answer`` and ``video``, and optionally ``rationale``.

Options may also be called ``choices`` or ``candidates``, as in many benchmarks.
"""

import re

from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line

# What other layouts call a single option: a0, option_a, A, choice 1. A question beside these is not an open one.
ONE_OPTION = re.compile(r"(?:opt|option|choice|candidate|answer|a)?[_ ]?[0-9a-j]", re.IGNORECASE)


class FieldsForm(Form):
    """A question by its parts. ``answer_index``, from 0, may stand in place of ``answer``.

    Several videos or images are lists, ``<video>`` and ``<image>`` in the question say where each goes, and ``start_s``
    and ``end_s`` in an object with ``video`` name a part of it.
    """

    expects = '{"video": "a.mp4", "question": "Which …?", "options": ["up", "down"], "answer": "B"}'

    def matches(self, line: Line) -> bool:
        return "question" in line

    def ask(self, line: Line) -> Asked:
        return asked(
            text=line["question"],
            options=_options(line),
            answer=_answer(line),
            thought=line.get("rationale"),
            kind=line.get("kind"),
            category=line.get("task", line.get("category")),
            order_dependent=line.get("order_dependent"),
        )


def _options(line: Line) -> object:
    named = [name for name in ("options", "choices", "candidates") if name in line]
    if len(named) > 1:
        raise SampleRejected("bad_options", f"{' and '.join(named)} are both given; leave out one")
    single = [name for name in line if ONE_OPTION.fullmatch(name)]
    if not named and len(single) > 1:
        raise SampleRejected(
            "bad_options", f"{', '.join(single)} seem to be options; write them as a list in 'options'"
        )
    return line[named[0]] if named else None


def _answer(line: Line) -> object:
    if "answer_index" not in line:
        return line.get("answer")
    index, options = line["answer_index"], _options(line)
    if "answer" in line:
        raise SampleRejected("bad_answer", "answer and answer_index are both given; leave out one")
    if isinstance(index, float) and index.is_integer():  # as tables with gaps keep whole numbers
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not isinstance(options, list):
        raise SampleRejected("bad_answer", f"answer_index must be the place of an option in a list, not {index!r:.80}")
    if not 0 <= index < len(options):
        raise SampleRejected("bad_answer", f"answer_index is {index}, but counts from 0 and there are {len(options)}")
    return options[index]
