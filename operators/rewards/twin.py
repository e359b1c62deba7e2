"""A reward for being right about a sample and about its twin: it cannot be earned without seeing what differs.

A sample and its twin have the same question and options and different answers. A policy that ignores the difference is
right about at most one of them. Rollout i of a sample is paired with rollout i of its twin, and both get 1 if both are
right. The rollouts of a group are exchangeable, so any fixed pairing is as good as a random one.
"""

from typing import ClassVar, Literal

from temporay.operators.records import Group, Sample
from temporay.operators.rewards._base import Comparisons, GroupReward, Need, is_right


class Twin(GroupReward):
    """In [0, 1]. A batch must hold every sample together with its twin."""

    needs: ClassVar[Need | None] = "twin"

    # one: rollout i with rollout i of the twin. mean: a right rollout gets the share of the twin's rollouts that are
    # right. That is the mean of ``one`` over all pairings, with less noise.
    pairing: Literal["one", "mean"] = "one"

    def score_group(self, group: Group, sample: Sample, compared: Comparisons) -> list[float]:
        if compared.twin is None:
            raise ValueError(f"{sample.key} was scored without the other one of its pair")
        twin_group, twin_sample = compared.twin
        if twin_sample.address.pair_id != sample.address.pair_id or twin_sample.key == sample.key:
            raise ValueError(f"{twin_sample.key} is not the other one of the pair of {sample.key}")
        own_G = [float(is_right(rollout, sample)) for rollout in group.rollouts]
        other_G = [float(is_right(rollout, twin_sample)) for rollout in twin_group.rollouts]
        if self.pairing == "mean":
            return [own * sum(other_G) / max(1, len(other_G)) for own in own_G]
        return [own * other for own, other in zip(own_G, other_G, strict=True)]
