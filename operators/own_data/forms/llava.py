"""LLaVA: ``conversations`` of turns with ``from`` and ``value`` (https://github.com/haotian-liu/LLaVA, Finetune.md).

LLaVA-Video writes ``<image>`` where its video goes. Several files are lists in ``video`` and ``image``.
"""

from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line
from temporay.operators.own_data.forms._turns import read_turns


class LlavaForm(Form):
    """Turns of ``human`` and ``gpt``, of which the last is the answer."""

    expects = (
        '{"video": "a.mp4", "conversations": [{"from": "human", "value": "<video>\\nWhich …?\\nA. up\\nB. down"}, '
        '{"from": "gpt", "value": "B"}]}'
    )

    def matches(self, line: Line) -> bool:
        return "conversations" in line and "question" not in line

    def ask(self, line: Line) -> Asked:
        told = read_turns(line["conversations"], "from", "value")
        category = line.get("task", line.get("data_source"))
        return asked(text=told.question, answer=told.reply, category=category, earlier=told.earlier)
