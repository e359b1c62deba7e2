"""1 for the right option, 0 for anything else (SynRL's only reward, arXiv 2603.17693)."""

from __future__ import annotations

from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward, is_right


class Accuracy(Reward):
    """Whether the completion commits to the right option, by letter or in its words."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        return float(is_right(rollout, sample))
