"""1 for the right option, 0 for anything else (SynRL's only reward, arXiv 2603.17693)."""

from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward, is_right


class Accuracy(Reward):
    """1 or 0. An option is named by its letter, by its words, or by both; a free answer says what the option says."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        return float(is_right(rollout, sample))
