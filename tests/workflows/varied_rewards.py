"""A reward that random weights get different amounts of; imported by name in the tasks, as a user's would be."""

from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward


class Varied(Reward):
    """A number that nearly every completion has to itself."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        return sum(rollout.completion_ids) % 97 / 97


class Sparse(Reward):
    """1 for one completion in five, so that some groups are flat."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        return float(sum(rollout.completion_ids) % 5 == 0)


class Broken(Reward):
    """Poisoned: never a number that can be used."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        return float("nan")
