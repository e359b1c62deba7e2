"""What a batch says of the weights that wrote it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporay.operators.dataset.recipe import Recipe
from temporay.workflows.grpo.producer import oldest_version
from temporay.workflows.grpo.reward_needs import left_out
from temporay.workflows.rollouts.settings import RewardConfig

from tests.workflows.reports.test_report import make_dataset


def written_under(*versions: int) -> Any:
    return SimpleNamespace(group=SimpleNamespace(rollouts=[SimpleNamespace(weight_version=v) for v in versions]))


def test_the_oldest_weights_count() -> None:
    assert oldest_version(5, [written_under(5, 4), written_under(5, 5)]) == 4
    assert oldest_version(5, []) == 5


def test_engines_that_hold_another_model_are_a_fault() -> None:
    with pytest.raises(RuntimeError, match="step 0 were written under weights of version 2"):
        oldest_version(0, [written_under(2, 2)])


def test_a_run_is_told_which_rewards_leave_out_a_task_of_its_data(recipe: Recipe, tmp_path: Path) -> None:
    tasks = {"tasks": ("first_last", "scene_order"), "num_samples": 8, "style": "concise"}
    dataset = make_dataset(recipe.model_copy(update=tasks), tmp_path / "data")

    def said(**weights: float) -> list[str]:
        config: Any = SimpleNamespace(rewards=RewardConfig(weights=weights))
        return left_out(config, dataset)

    assert said(accuracy=1.0, process=0.5) == []
    [order] = said(accuracy=1.0, order=0.5)
    assert order.startswith("reward order does not apply to first_last (style of reasoning: concise): its answers")
