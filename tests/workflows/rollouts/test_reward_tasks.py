"""Reward tasks on a real local Ray: bad checkers cost their own group and nothing else."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from temporay.operators.errors import UserError
from temporay.operators.records import Group, Sample, ScoreStatus
from temporay.workflows.config import validated
from temporay.workflows.rollouts.reward_tasks import score_groups
from temporay.workflows.rollouts.settings import RewardConfig

from tests.operators.samples import group_of, plain_sample

HOSTILE = "tests.workflows.hostile_rewards:Hostile"  # the workers have the repository's root on their path
pytestmark = pytest.mark.usefixtures("ray_cluster")


def make_work(texts: list[list[str]]) -> tuple[list[Group], list[Sample]]:
    samples = [plain_sample(("left", "right"), index % 2, index=index) for index in range(len(texts))]
    return [group_of(sample, *row) for sample, row in zip(samples, texts, strict=True)], samples


def test_scores_come_back_in_order() -> None:
    groups, samples = make_work([["<answer>A</answer>", "<answer>B</answer>", ""]] * 5)
    scores = asyncio.run(score_groups(groups, samples, RewardConfig()))
    assert [[score.reward for score in row] for row in scores] == [
        [0.0, 1.0, 0.0] if index % 2 else [1.0, 0.0, 0.0] for index in range(5)
    ]


def test_a_bad_checker_costs_its_own_group_only() -> None:
    texts = [["a", "b"], ["a", "hang"], ["die", "b"], ["a", "raise"], ["a", "b"]]
    config = RewardConfig(weights={HOSTILE: 1.0}, deadline_s=1.0, num_tasks=2)
    groups, samples = make_work(texts)
    scores = asyncio.run(score_groups(groups, samples, config))
    statuses = [[score.status for score in row] for row in scores]
    parse_error, timeout, crashed = ScoreStatus.PARSE_ERROR, ScoreStatus.TIMEOUT, ScoreStatus.CRASHED
    assert statuses == [
        [parse_error] * 2,
        [timeout] * 2,
        [crashed] * 2,
        [parse_error, crashed],
        [parse_error] * 2,
    ]
    rewards = [[score.reward for score in row] for row in scores]
    assert rewards == [[1.0, 1.0], [None, None], [None, None], [1.0, None], [1.0, 1.0]]
    assert scores[1][0].detail == "checkers took more than 1 s", "its alarm rang, so nobody waited for its task"
    assert "checker is broken" in scores[3][1].detail


@pytest.mark.parametrize("num_groups", [1, 3])
def test_a_process_that_dies_once_costs_nothing(num_groups: int, tmp_path: Path) -> None:
    name = "tests.workflows.hostile_rewards:DiesOnce"
    config = RewardConfig(weights={name: 1.0}, settings={name: {"marker": str(tmp_path / "died")}}, num_tasks=1)
    scores = asyncio.run(score_groups(*make_work([["a", "b"]] * num_groups), config))
    assert (tmp_path / "died").exists()
    assert [[score.reward for score in row] for row in scores] == [[1.0, 1.0]] * num_groups


def test_a_checker_that_no_alarm_wakes_is_given_up() -> None:
    config = RewardConfig(weights={HOSTILE: 1.0}, deadline_s=1.0, start_allowance_s=4.0)
    [[score]] = asyncio.run(score_groups(*make_work([["deaf"]]), config))
    assert (score.reward, score.status) == (None, ScoreStatus.TIMEOUT)


def test_no_groups_no_tasks() -> None:
    assert asyncio.run(score_groups([], [], RewardConfig())) == []


def test_a_misspelled_reward_is_a_users_error() -> None:
    with pytest.raises(UserError, match="did you mean 'accuracy'"):
        validated(RewardConfig, {"weights": {"acuracy": 1.0}})


def make_pairs(num_pairs: int) -> tuple[list[Group], list[Sample]]:
    """Return pairs side by side; the right letters are A and B, and the completions say A, B, A."""
    groups, samples = make_work([["<answer>A</answer>", "<answer>B</answer>", "<answer>A</answer>"]] * 2 * num_pairs)
    samples = [
        replace(sample, address=replace(sample.address, index=i // 2, twin=bool(i % 2)))
        for i, sample in enumerate(samples)
    ]
    return [replace(group, key=sample.key) for group, sample in zip(groups, samples, strict=True)], samples


def test_twins_are_scored_together_in_any_order() -> None:
    groups, samples = make_pairs(4)
    agree = replace(groups[1], rollouts=(groups[1].rollouts[1], *groups[1].rollouts[1:]))  # says B, B, A
    groups[1] = agree
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    config = RewardConfig(weights={"twin": 1.0}, num_tasks=3)
    scores = asyncio.run(score_groups([groups[i] for i in order], [samples[i] for i in order], config))
    rewards = [[score.reward for score in row] for row in scores]
    assert rewards == [[1.0, 0.0, 0.0] if order[i] in (0, 1) else [0.0] * 3 for i in range(8)]


def test_a_reward_without_its_comparison_is_a_users_error() -> None:
    groups, samples = make_pairs(1)
    with pytest.raises(UserError, match="generate the data with twins"):
        asyncio.run(score_groups(groups[:1], samples[:1], RewardConfig(weights={"twin": 1.0})))
    contrast = RewardConfig(weights={"accuracy": 1.0, "shuffled_contrast": 0.3})
    with pytest.raises(UserError, match="no rollouts on them"):
        asyncio.run(score_groups(groups, samples, contrast))


def test_rewards_compare_with_shuffled_groups() -> None:
    groups, samples = make_pairs(1)
    blank = {group.key: replace(group, rollouts=(group.rollouts[0],) * 2) for group in groups}  # say A whatever is seen
    config = RewardConfig(weights={"accuracy": 1.0, "shuffled_contrast": 0.5})
    scores = asyncio.run(score_groups(groups, samples, config, shuffled=blank))
    assert [[score.reward for score in row] for row in scores] == [[1.0, 0.0, 1.0], [0.0, 1.5, 0.0]]


def test_functions_and_settings_reach_the_tasks() -> None:
    groups, samples = make_work([["<think>a</think><answer>A</answer>", "<answer>A</answer>"]])
    twice = 2 * len(groups[0].rollouts[0].completion_ids)
    config = RewardConfig(
        weights={"trl.rewards:think_format_reward": 1.0, "overlong": 1.0},
        settings={"overlong": {"max_completion_len": twice, "soft_punish_cache": twice}},
    )
    [[good, bad]] = asyncio.run(score_groups(groups, samples, config))
    assert (good.breakdown["trl.rewards:think_format_reward"], good.breakdown["overlong"]) == (1.0, -0.5)
    assert bad.breakdown["trl.rewards:think_format_reward"] == 0.0
