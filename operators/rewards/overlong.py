"""A penalty that grows as a completion comes close to a length (DAPO, arXiv 2503.14476, eq. 13).

    0                                    |y| <= L_max - L_cache
    (L_max - L_cache - |y|) / L_cache    L_max - L_cache < |y| <= L_max
    -1                                   L_max < |y|

|y| is the completion's length in tokens. Same numbers as ``trl.rewards.get_soft_overlong_punishment`` (TRL 1.16).
"""

from typing import ClassVar, Self

from pydantic import Field, model_validator
from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward


class Overlong(Reward):
    """In [-1, 0], so that a short completion gains nothing."""

    maximum: ClassVar[float] = 0.0

    max_completion_len: int = Field(gt=0, examples=[2000])  # L_max, tokens; usually the ``max_tokens`` of sampling
    soft_punish_cache: int = Field(ge=0, examples=[500])  # L_cache, tokens

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.soft_punish_cache > self.max_completion_len:
            raise ValueError("soft_punish_cache is more than max_completion_len, so that every completion is too long")
        return self

    def score(self, rollout: Rollout, sample: Sample) -> float:
        length = len(rollout.completion_ids)
        free = self.max_completion_len - self.soft_punish_cache
        if length <= free:
            return 0.0
        return (free - length) / self.soft_punish_cache if length <= self.max_completion_len else -1.0
