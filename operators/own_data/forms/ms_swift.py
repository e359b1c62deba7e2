"""ms-swift: ``messages`` beside ``videos`` and ``images`` (https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html).

Rows for GRPO end with the user's turn and have the answer in ``solution``. LLaMA-Factory and verl's rows for
fine-tuning have the same names.
"""

from typing import Any

from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line
from temporay.operators.own_data.forms._turns import read_turns


class MsSwiftForm(Form):
    """Turns with ``<video>`` and ``<image>``; the answer is the last one of ``assistant``, or ``solution``."""

    expects = (
        '{"videos": ["a.mp4"], "messages": [{"role": "user", "content": "<video>Which …?\\nA. up\\nB. down"}], '
        '"solution": "<answer>B</answer>"}'
    )

    def matches(self, line: Line) -> bool:
        has_media = not {"videos", "images"}.isdisjoint(line)
        return "messages" in line and has_media and not {"question", "conversations"} & line.keys()

    def ask(self, line: Line) -> Asked:
        told = read_turns(line["messages"], "role", "content")
        if told.reply is None and "solution" not in line:
            raise SampleRejected("bad_answer", "there is neither a turn of the assistant nor a solution")
        by_turn = told.reply
        said: dict[str, Any] = {"text": told.question, "options": line.get("options"), "earlier": told.earlier}
        read = asked(**said, answer=line["solution"] if by_turn is None else by_turn, category=line.get("task"))
        if by_turn is not None and "solution" in line:
            other = asked(**said, answer=line["solution"])
            if other.question != read.question:
                raise SampleRejected("bad_answer", "the turn of the assistant and the solution contradict each other")
        return read
