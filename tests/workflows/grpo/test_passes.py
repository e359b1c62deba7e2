"""Passes of rollouts: all of them once, within their limits, and no rank without work while another has much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from temporay.operators.records import FinishReason, Group, Prompt, Rollout
from temporay.workflows.grpo.batches import TrainingGroup
from temporay.workflows.grpo.passes import RolloutPass, StepPasses, rollout_passes, step_passes
from temporay.workflows.learner.passes import PassLimits
from temporay.workflows.rollouts.media import StoredPrompt


def make_group(
    key: str, prompt_tokens: int, completions: Sequence[int], *, without: int | None = None
) -> TrainingGroup:
    """Return a group with completions of these lengths; one of them has no advantage."""
    rollouts = tuple(
        Rollout(
            completion_ids=(1,) * length,
            logprobs=(0.0,) * length,
            text="",
            finish_reason=FinishReason.STOP,
            weight_versions=(0,) * length,
        )
        for length in completions
    )
    prompt = Prompt(key=key, text="")
    return TrainingGroup(
        prompt=StoredPrompt(prompt=prompt, media_ref=None),
        group=Group(key=key, prompt_ids=(1,) * prompt_tokens, rollouts=rollouts),
        advantages=[None if r == without else 1.0 for r in range(len(rollouts))],
    )


def chosen(one: RolloutPass) -> list[tuple[str, int]]:
    return [(part.group.key, r) for part in one.groups for r, a in enumerate(part.advantages) if a is not None]


def tokens(one: RolloutPass) -> int:
    """Return what is computed: every prompt once and the chosen completions."""
    prompts = sum(len(part.group.prompt_ids) for part in one.groups)
    lengths = {
        (part.group.key, r): len(x.completion_ids) for part in one.groups for r, x in enumerate(part.group.rollouts)
    }
    return prompts + sum(lengths[place] for place in chosen(one))


GROUPS = [
    make_group("a", 100, [30, 40, 0, 10], without=3),
    make_group("b", 50, [20] * 8),
    make_group("nothing", 70, [0]),
    make_group("c", 10, [90]),
]
ALL = Counter([("a", 0), ("a", 1), *(("b", r) for r in range(8)), ("c", 0)])


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 16])
@pytest.mark.parametrize("size", [1, 3, 64])
@pytest.mark.parametrize("budget", [None, 200, 20])
def test_every_rollout_is_computed_once_within_the_limits(num_ranks: int, size: int, budget: int | None) -> None:
    passes = rollout_passes(GROUPS, PassLimits(micro_batch_size=size, micro_batch_tokens=budget), num_ranks)
    assert len(passes) % num_ranks == 0
    real = [one for one in passes if not one.is_blank]
    assert Counter(place for one in real for place in chosen(one)) == ALL
    for one in passes:
        assert 1 <= len(chosen(one)) <= size
        assert budget is None or tokens(one) <= max(budget, 140)  # of the longest rollout alone
    assert (len(real) < len(passes)) <= (len(real) == sum(ALL.values()))  # blanks only where nothing can be cut
    assert all("nothing" not in {key for key, _ in chosen(one)} for one in passes)


def test_groups_stay_whole_where_nothing_asks_for_a_cut() -> None:
    wide = PassLimits(micro_batch_size=64, micro_batch_tokens=None)
    (whole,) = rollout_passes(GROUPS, wide, 1)
    assert [part.group.key for part in whole.groups] == ["a", "b", "c"]
    two = [make_group("x", 100, [50] * 4), make_group("y", 100, [50] * 4)]
    assert [[part.group.key for part in one.groups] for one in rollout_passes(two, wide, 2)] == [["x"], ["y"]]


def test_more_ranks_than_groups_share_a_group() -> None:
    passes = rollout_passes(
        [make_group("x", 100, [50] * 8)], PassLimits(micro_batch_size=64, micro_batch_tokens=None), 4
    )
    assert [chosen(one) for one in passes] == [[("x", 2 * i), ("x", 2 * i + 1)] for i in range(4)]
    assert not any(one.is_blank for one in passes)


def test_nothing_to_train_on_gives_no_pass() -> None:
    assert (
        rollout_passes(
            [make_group("x", 9, [0, 5], without=1)], PassLimits(micro_batch_size=4, micro_batch_tokens=None), 2
        )
        == []
    )


@pytest.mark.parametrize(("size", "num_ranks", "num_first"), [(64, 1, 0), (8, 1, 1), (4, 1, 2), (4, 2, 2), (8, 2, 0)])
def test_the_first_part_of_a_step_holds_whole_groups(size: int, num_ranks: int, num_first: int) -> None:
    """Groups of eight and six rollouts are cut where passes ask for it, but never between the two parts."""
    groups = [make_group("flat", 10, [0]), make_group("x", 100, [50] * 8), make_group("y", 90, [50] * 6)]
    limits = PassLimits(micro_batch_size=size, micro_batch_tokens=None)
    found = step_passes(groups, limits, num_ranks)
    assert (found.num_first, found.num_groups) == (num_first, 2)
    assert len(found.passes) == len(rollout_passes(groups, limits, num_ranks))
    first, second = (Counter(key for one in part for key, _ in chosen(one)) for part in halves(found))
    assert first + second == {"x": 8, "y": 6}
    if num_first:
        assert (found.num_first_groups, first) == (1, {"x": 8})


def halves(step: StepPasses) -> tuple[list[RolloutPass], list[RolloutPass]]:
    return step.passes[: step.num_first], step.passes[step.num_first :]


def test_a_first_part_never_costs_a_pass() -> None:
    """Three groups of six fill two passes of nine, but whole groups would need three."""
    groups = [make_group(key, 10, [5] * 6) for key in "abc"]
    found = step_passes(groups, PassLimits(micro_batch_size=9, micro_batch_tokens=None), 1)
    assert (len(found.passes), found.num_first) == (2, 0)
