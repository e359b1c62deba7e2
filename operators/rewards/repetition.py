"""A penalty for repeated n-grams of tokens (arXiv 2502.03373, appendix C.2).

    (1 - distinct n-grams / all n-grams) × max_penalty;   0 for fewer tokens than n

Same numbers as ``trl.rewards.get_repetition_penalty_reward`` (TRL 1.16).
"""

from typing import ClassVar

from pydantic import Field
from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward


class Repetition(Reward):
    """In [max_penalty, 0]."""

    maximum: ClassVar[float] = 0.0

    ngram_size: int = Field(default=3, ge=1)  # tokens
    max_penalty: float = Field(default=-1.0, le=0)  # for a completion that only repeats itself

    def score(self, rollout: Rollout, sample: Sample) -> float:
        ids, n = rollout.completion_ids, self.ngram_size
        num_ngrams = len(ids) - n + 1
        if num_ngrams < 1:
            return 0.0
        repeated = 1 - len({ids[i : i + n] for i in range(num_ngrams)}) / num_ngrams
        return repeated * self.max_penalty if repeated else 0.0
