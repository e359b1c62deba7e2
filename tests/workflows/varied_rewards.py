"""A reward that random weights get different amounts of; imported by name in the tasks, as a user's would be."""

from operators.records import Rollout, Sample
from operators.rewards._base import Reward


class Varied(Reward):
    """The share of different tokens."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        return len(set(rollout.completion_ids)) / 16
