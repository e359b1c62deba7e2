"""1 for exactly ``<think>…</think><answer>…</answer>`` with a thought and a readable answer, else 0.

The format rewards of Video-R1 and its successors search for the pattern, so they also pay a second answer and words
outside the tags. This one does not.
"""

from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, TAGS, THINK_CLOSE, THINK_OPEN, Rollout, Sample
from temporay.operators.rewards._base import Reward
from temporay.operators.scoring.answers import read_answer


class AnswerFormat(Reward):
    """1 or 0, whether the answer is right or wrong: this is the form that supervised training teaches."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        text = rollout.text.strip()
        if read_answer(text, sample.question).failure is not None or any(text.count(tag) != 1 for tag in TAGS):
            return 0.0
        thought, _, rest = text.removeprefix(THINK_OPEN).partition(THINK_CLOSE)
        framed = text.startswith(THINK_OPEN) and rest.lstrip().startswith(ANSWER_OPEN) and text.endswith(ANSWER_CLOSE)
        return float(framed and thought.strip() != "")
