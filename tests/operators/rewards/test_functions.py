"""Reward functions written for TRL are used as they are."""

import sys
from types import ModuleType
from typing import Any

import pytest
from temporay.operators.errors import UserError
from temporay.operators.records import ScoreStatus
from temporay.operators.scoring.scores import load_rewards, score_group
from trl.rewards import get_repetition_penalty_reward, think_format_reward

from tests.operators.samples import group_of, real_sample

SAMPLE = real_sample("event_order")
TEXTS = (f"<think>a</think><answer>{SAMPLE.question.letter}</answer>", "no")


def by_columns(prompts: list[Any], completions: list[Any], solution: list[str], **kwargs: Any) -> list[float]:
    """Take a column by its name and the rest in kwargs, as TRL's documentation shows."""
    assert len(prompts) == len(completions) == len(solution) == len(kwargs["completion_ids"]) == len(kwargs["task"])
    assert "trainer_state" not in kwargs
    return [float(f"<answer>{right}<" in c[0]["content"]) for c, right in zip(completions, solution, strict=True)]


async def waits(completions: list[Any], **kwargs: Any) -> list[float | None]:
    return [None if completion[0]["content"] == "no" else 0.25 for completion in completions]


def too_few(completions: list[Any], **kwargs: Any) -> list[float]:
    return [1.0]


def broken(**kwargs: Any) -> list[float]:
    raise RuntimeError("checker is broken")


def one_is_nan(completions: list[Any], **kwargs: Any) -> list[float]:
    return [1.0, float("nan")]


@pytest.fixture(autouse=True)
def functions(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("functions_of_a_user")
    for function in (by_columns, waits, too_few, broken, one_is_nan):
        setattr(module, function.__name__, function)
    module.instance, module.number, module.Plain = get_repetition_penalty_reward(), 3, int  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "functions_of_a_user", module)


def values(*names: str) -> list[dict[str, float]]:
    scores = score_group(group_of(SAMPLE, *TEXTS), SAMPLE, load_rewards(dict.fromkeys(names, 1.0)))
    return [dict(score.breakdown) for score in scores]


def test_functions_get_what_trl_gives_them() -> None:
    assert [v["functions_of_a_user:by_columns"] for v in values("functions_of_a_user:by_columns")] == [1.0, 0.0]
    name = "trl.rewards:think_format_reward"
    completions = [[{"role": "assistant", "content": text}] for text in TEXTS]
    assert [v[name] for v in values(name)] == think_format_reward(completions)
    name = "functions_of_a_user:instance"
    group = group_of(SAMPLE, *TEXTS)
    ids = [list(rollout.completion_ids) for rollout in group.rollouts]
    assert [v[name] for v in values(name)] == get_repetition_penalty_reward()(ids)


def test_coroutines_are_waited_for_and_none_does_not_apply() -> None:
    assert values("functions_of_a_user:waits", "accuracy") == [
        {"functions_of_a_user:waits": 0.25, "accuracy": 1.0},
        {"accuracy": 0.0},
    ]


@pytest.mark.parametrize(
    ("name", "detail", "rewards"),
    [
        ("too_few", "1 values for 2 completions", [None, None]),
        ("broken", "checker is broken", [None, None]),
        ("one_is_nan", "not a finite number", [1.0, None]),
    ],
)
def test_a_broken_function_is_a_status(name: str, detail: str, rewards: list[float | None]) -> None:
    scores = score_group(group_of(SAMPLE, *TEXTS), SAMPLE, load_rewards({f"functions_of_a_user:{name}": 1.0}))
    assert [score.reward for score in scores] == rewards
    assert scores[1].status is ScoreStatus.CRASHED
    assert detail in scores[1].detail


@pytest.mark.parametrize(
    ("weights", "settings", "message"),
    [
        ({"functions_of_a_user:by_columns": 1.0}, {"functions_of_a_user:by_columns": {"a": 1}}, "takes no settings"),
        ({"functions_of_a_user:number": 1.0}, {}, "neither a class nor a function"),
        ({"functions_of_a_user:Plain": 1.0}, {}, "no Reward or GroupReward"),
        ({"functions_of_a_user:missing": 1.0}, {}, "cannot load"),
        ({"accuracy": 1.0}, {"acuracy": {}}, "did you mean 'accuracy'"),
    ],
)
def test_other_objects_are_refused_as_rewards(
    weights: dict[str, float], settings: dict[str, dict[str, Any]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_rewards(weights, settings)
