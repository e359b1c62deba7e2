"""verl: rows of its RLHFDataset (https://verl.readthedocs.io/en/latest/preparation/prepare_data.html)."""

from collections.abc import Mapping

from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line
from temporay.operators.own_data.forms._turns import read_turns


class VerlForm(Form):
    """A prompt that ends with the user's turn; the answer is ``reward_model.ground_truth``."""

    expects = (
        '{"prompt": [{"role": "user", "content": "<video>Which …?\\nA. up\\nB. down"}], '
        '"videos": [{"video": "file:///a.mp4"}], "reward_model": {"style": "rule", "ground_truth": "B"}}'
    )

    def matches(self, line: Line) -> bool:
        return "prompt" in line and not {"question", "messages", "conversations", "problem"} & line.keys()

    def ask(self, line: Line) -> Asked:
        told = read_turns(line["prompt"], "role", "content")
        graded, extra = line.get("reward_model"), line.get("extra_info")
        if not isinstance(graded, Mapping) or "ground_truth" not in graded or told.reply is not None:
            raise SampleRejected("bad_answer", "a row ends with a turn of the user and needs reward_model.ground_truth")
        category = extra.get("task") if isinstance(extra, Mapping) else None
        category = category or line.get("data_source")
        return asked(text=told.question, answer=graded["ground_truth"], category=category, earlier=told.earlier)
