"""Which rollouts a rank passes through the model together. A prompt is computed once in every pass that has any of its.

    groups of a step → rollouts one after the other → passes of about as many tokens → those of every rank

A group is cut between any two rollouts where a pass is full, or where ranks would have nothing to do. The losses divide
by counts of the whole step, so the step is the same wherever it is cut.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from temporay.models.collate import BatchCounts, StepSize
from temporay.workflows.grpo.batches import TrainingGroup
from temporay.workflows.learner.passes import PassLimits, even_passes


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPass:
    """Rollouts of one pass: advantages of all others are None. A blank pass weighs nothing.

    It is computed because all ranks must make as many passes.
    """

    groups: list[TrainingGroup]
    is_blank: bool = False

    @property
    def counts(self) -> BatchCounts:
        """Tokens and rollouts that are trained on."""
        chosen = [
            len(rollout.completion_ids)
            for part in self.groups
            for rollout, advantage in zip(part.group.rollouts, part.advantages, strict=True)
            if advantage is not None and not self.is_blank
        ]
        return BatchCounts(num_tokens=sum(chosen), num_sequences=len(chosen))


@dataclass(frozen=True, slots=True)
class _Place:
    """A rollout of a step."""

    group: int
    rollout: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPasses:
    """The passes of all ranks in a step. Of the gradient noise, groups are the units: their rollouts are correlated."""

    passes: list[RolloutPass]
    num_groups: int  # that are trained on
    num_first: int = 0  # passes that hold the first groups whole, and no others; 0: there is no such part
    num_first_groups: int = 0


def size_of_step(passes: Sequence[RolloutPass]) -> StepSize:
    """Count one rank's passes of a step before they are collated."""
    counts = [one.counts for one in passes]
    return StepSize(
        num_passes=len(passes),
        num_with_video=sum(any(part.prompt.has_video for part in one.groups) for one in passes),
        counts=BatchCounts(
            num_tokens=sum(count.num_tokens for count in counts),
            num_sequences=sum(count.num_sequences for count in counts),
        ),
    )


def step_passes(groups: Sequence[TrainingGroup], limits: PassLimits, num_ranks: int) -> StepPasses:
    """Return the passes of a step, with a first part of about half of the groups, if that costs no further pass."""
    passes = rollout_passes(groups, limits, num_ranks)
    sizes: Counter[int] = Counter()  # tokens by group
    for place in _places(groups):
        sizes[place.group] += place.tokens
    whole = StepPasses(passes=passes, num_groups=len(sizes))
    passes_by_rank = len(passes) // num_ranks
    if passes_by_rank < 2 or len(sizes) < 2:
        return whole
    ends = np.cumsum(list(sizes.values()))
    num_first_groups = 1 + int(np.abs(ends[:-1] - ends[-1] * (passes_by_rank // 2) / passes_by_rank).argmin())
    behind = list(sizes)[num_first_groups]  # the first group of the second part
    first, second = (rollout_passes(part, limits, num_ranks) for part in (groups[:behind], groups[behind:]))
    if len(first) + len(second) > len(passes):
        return whole
    return dataclasses.replace(whole, passes=[*first, *second], num_first=len(first), num_first_groups=num_first_groups)


def rollout_passes(groups: Sequence[TrainingGroup], limits: PassLimits, num_ranks: int) -> list[RolloutPass]:
    """Return the passes of all ranks, which take them in turn; none if there is nothing to train on."""
    places = _places(groups)
    if not places:
        return []

    def cut(most_tokens: int) -> list[list[_Place]]:
        passes: list[list[_Place]] = []
        used = 0
        for place in places:
            follows = bool(passes) and passes[-1][-1].group == place.group
            used += place.completion_tokens if follows else place.tokens
            if not passes or len(passes[-1]) == limits.micro_batch_size or used > most_tokens:
                passes.append([])
                used = place.tokens
            passes[-1].append(place)
        return passes

    passes = even_passes(
        cut,
        longest=max(place.tokens for place in places),
        widest=limits.micro_batch_tokens or sum(place.tokens for place in places),
        num_ranks=num_ranks,
    )
    blanks = [RolloutPass(groups=_of(groups, passes[-1][-1:]), is_blank=True)] * (-len(passes) % num_ranks)
    return [*(RolloutPass(groups=_of(groups, one)) for one in passes), *blanks]


def _places(groups: Sequence[TrainingGroup]) -> list[_Place]:
    """Return the rollouts that are trained on."""
    return [
        _Place(g, r, len(one.group.prompt_ids), len(rollout.completion_ids))
        for g, one in enumerate(groups)
        for r, (rollout, advantage) in enumerate(zip(one.group.rollouts, one.advantages, strict=True))
        if advantage is not None and rollout.completion_ids
    ]


def _of(groups: Sequence[TrainingGroup], places: Sequence[_Place]) -> list[TrainingGroup]:
    """Return the groups of some rollouts, where all others have no advantage."""
    chosen: dict[int, set[int]] = {}
    for place in places:
        chosen.setdefault(place.group, set()).add(place.rollout)
    return [
        dataclasses.replace(
            groups[g], advantages=[a if r in wanted else None for r, a in enumerate(groups[g].advantages)]
        )
        for g, wanted in chosen.items()
    ]
