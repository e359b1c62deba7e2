"""The contract of every advantage in the directory, and the formulas of those it is given with."""

import importlib
import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import TypeAdapter, ValidationError
from temporay.operators.advantages._base import ADVANTAGES, AdvantageName, advantage_called, is_flat
from temporay.operators.components import OWN_FOLDERS, available, with_own_folders
from temporay.operators.reinforcement.task_scales import TaskScales

every = pytest.mark.parametrize("name", available(ADVANTAGES))


@every
@pytest.mark.parametrize("rewards_G", [[], [1.0], [None, None], [0.1, 0.1, 0.1], [None, 0.3], [0.0, -0.0]])
def test_flat_groups_teach_nothing(name: str, rewards_G: list[float | None]) -> None:
    assert is_flat(rewards_G)
    zeros = tuple(None if reward is None else 0.0 for reward in rewards_G)
    assert advantage_called(name)(rewards_G) == advantage_called(name)(rewards_G, task_std=1.0) == zeros


@every
def test_better_rollouts_have_larger_advantages_that_sum_to_zero(name: str) -> None:
    rewards_G = [0.3, 1.0, None, -2.0, 0.7]
    assert not is_flat(rewards_G)
    advantages_G = advantage_called(name)(rewards_G, task_std=0.5)
    assert [advantage is None for advantage in advantages_G] == [reward is None for reward in rewards_G]
    known = [(reward, a) for reward, a in zip(rewards_G, advantages_G, strict=True) if reward is not None]
    assert sorted(known) == sorted(known, key=lambda pair: pair[1] or 0.0)
    assert math.fsum(a or 0.0 for a in advantages_G) == pytest.approx(0.0)


@every
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_infinite_rewards_are_our_bug(name: str, bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        advantage_called(name)([1.0, bad], task_std=1.0)


@every
def test_settings_take_every_name(name: str) -> None:
    assert TypeAdapter(AdvantageName).validate_python(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("grup", "unknown advantage 'grup'; did you mean 'group'"),
        ("math:fsum", "derives from temporay.operators.advantages"),
        ("collections:Counter", "derives from temporay.operators.advantages"),
        ("no_such_module:A", "cannot load 'no_such_module:A'"),
    ],
)
def test_settings_refuse_other_names(name: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(AdvantageName).validate_python(name)


HALVED = """
from temporay.operators.advantages._base import Advantage


class HalvedAdvantage(Advantage):
    def scale(self, known, task_std):
        return 2.0
"""


def test_a_file_in_a_folder_of_ones_own_is_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "advantages").mkdir()
    (tmp_path / "advantages/halved.py").write_text(HALVED)
    monkeypatch.setenv(OWN_FOLDERS, str(tmp_path))
    package = importlib.import_module(ADVANTAGES)
    monkeypatch.setattr(package, "__path__", with_own_folders(ADVANTAGES, package.__path__))
    assert TypeAdapter(AdvantageName).validate_python("halved") == "halved"
    assert advantage_called("halved")([1.0, 0.0]) == (0.25, -0.25)


def trl_advantages(rewards_G: list[float]) -> npt.NDArray[np.float64]:
    """Compute TRL 1.16's ``sum_then_normalize`` (grpo_trainer.py), with NaN for a missing reward."""
    rewards = np.array(rewards_G)
    return np.asarray((rewards - np.nanmean(rewards)) / (np.nanstd(rewards, ddof=1) + 1e-4))


@pytest.mark.parametrize("rewards_G", [[1.0, 0.0], [1.0, 0.0, 0.0, 0.5], [0.1, 0.2, math.nan, 0.9, math.nan]])
def test_group_equals_trl(rewards_G: list[float]) -> None:
    advantages_G = advantage_called("group")([None if math.isnan(r) else r for r in rewards_G])
    for ours, theirs in zip(advantages_G, trl_advantages(rewards_G), strict=True):
        assert math.isnan(theirs) if ours is None else ours == pytest.approx(theirs, rel=1e-12)


def test_none_is_the_distance_to_the_mean() -> None:
    assert advantage_called("none")([1.0, 0.0, 0.0, 1.0]) == (0.5, -0.5, -0.5, 0.5)
    assert advantage_called("none")([3.0, None, 1.0]) == (1.0, None, -1.0)


def onethinker_advantages(
    batches: list[tuple[list[str], list[list[float]]]], decay: float = 0.99, min_std: float = 1e-3
) -> list[list[npt.NDArray[np.float64]]]:
    """Compute EMA-GRPO as OneThinker's ``core_algos.py``: update, then scale; above 5 by the group's own deviation."""
    state: dict[str, tuple[float, float]] = {}
    result = []
    for tasks, rewards in batches:
        for task in dict.fromkeys(tasks):
            x = np.concatenate([row for name, row in zip(tasks, rewards, strict=True) if name == task])
            m1, m2 = float(x.mean()), float((x * x).mean())
            old = state.get(task)
            state[task] = (
                (m1, m2) if old is None else (decay * old[0] + (1 - decay) * m1, decay * old[1] + (1 - decay) * m2)
            )
        batch = []
        for task, row in zip(tasks, rewards, strict=True):
            centered, (m1, m2) = np.array(row) - np.mean(row), state[task]
            scaled = centered / (max(m2 - m1**2, min_std**2) ** 0.5 + 1e-6)
            batch.append(centered / (np.std(row) + 1e-6) if np.abs(scaled).max() > 5 else scaled)
        result.append(batch)
    return result


def test_task_scale_equals_onethinker_through_a_restart() -> None:
    rng = np.random.default_rng(0)
    size = {"near": 0.01, "wide": 1.0}
    batches = []
    for _ in range(6):
        tasks = list(rng.permutation(["near", "wide", "wide"]))
        batches.append((tasks, [list(map(float, size[task] * rng.normal(1, 1, 4))) for task in tasks]))
    batches.append((["near"], [[0.0, 0.0, 0.0, 9.0]]))  # above the bound, so divided by its own
    scales = TaskScales()
    for (tasks, rewards), expected in zip(batches, onethinker_advantages(batches), strict=True):
        scales = TaskScales.from_json(json.loads(json.dumps(scales.to_json()))).updated(tasks, rewards)
        for task, row, advantages in zip(tasks, rewards, expected, strict=True):
            ours = advantage_called("task")(row, scales.std(task))
            assert ours == pytest.approx(list(advantages), rel=1e-9)
    assert max(abs(a) for a in ours if a is not None) == pytest.approx(3**0.5, rel=1e-4)


def test_task_scale_keeps_rare_successes_rare() -> None:
    scales = TaskScales().updated(["a"] * 4, [[0.0, 1.0] * 4] * 4)
    rare = [0.0] * 7 + [1.0]
    by_task = advantage_called("task")(rare, scales.std("a"))[-1]
    by_group = advantage_called("group")(rare)[-1]
    assert by_task is not None and by_group is not None and by_task < 0.75 * by_group
    with pytest.raises(ValueError, match="deviation of the task"):
        advantage_called("task")(rare)
