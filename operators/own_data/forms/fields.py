"""Names of our own: ``question``, ``options``, ``answer`` and ``video``, and optionally ``rationale``."""

from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line


class FieldsForm(Form):
    """A question by its parts. ``answer_index``, from 0, may stand in place of ``answer``."""

    expects = '{"video": "a.mp4", "question": "Which …?", "options": ["up", "down"], "answer": "B"}'

    def matches(self, line: Line) -> bool:
        return "question" in line

    def ask(self, line: Line) -> Asked:
        return asked(
            text=line["question"],
            options=line.get("options"),
            answer=_answer(line),
            thought=line.get("rationale"),
            kind=line.get("kind"),
            category=line.get("task", line.get("category")),
            order_dependent=line.get("order_dependent"),
        )


def _answer(line: Line) -> object:
    if "answer_index" not in line:
        return line.get("answer")
    index, options = line["answer_index"], line.get("options")
    if "answer" in line:
        raise SampleRejected("bad_answer", "answer and answer_index are both given; leave out one")
    if isinstance(index, bool) or not isinstance(index, int) or not isinstance(options, list):
        raise SampleRejected("bad_answer", f"answer_index must be the place of an option in a list, not {index!r:.80}")
    if not 0 <= index < len(options):
        raise SampleRejected("bad_answer", f"answer_index is {index}, but counts from 0 and there are {len(options)}")
    return options[index]
