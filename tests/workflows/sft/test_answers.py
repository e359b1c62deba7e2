"""Fine-tuning that validates by what the model answers, as an evaluation of the same weights would measure it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from pydantic import ValidationError
from temporay.models.engines._settings import EngineSettings
from temporay.models.engines.local import Local
from temporay.models.families._base import family_of
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.operators.errors import UserError
from temporay.workflows.config import validated
from temporay.workflows.evaluation.during_training import measures
from temporay.workflows.sft import answers
from temporay.workflows.sft.answers import AnswerValidation
from temporay.workflows.sft.inputs import AskedWhileTraining, questions_to_ask
from temporay.workflows.sft.loop import run
from temporay.workflows.sft.settings import SftConfig

ARMS = ("ordered", "shuffled", "numbered")


def config(data: Path, model: Path, out: Path, **changes: Any) -> SftConfig:
    settings = {
        "validation": data.with_name("held_out"),
        "validation_answers": True,
        "validation_arms": ARMS,
        "validation_tokens": 6,
        "validation_samples": 6,
        "best_metric": "ordered_accuracy",
        "threads": 1,
        **changes,
    }
    return validated(SftConfig, {**settings, "data": data, "model": model, "out": out})


class Alone:
    """One engine with a processor, as ``ask`` wants it."""

    def __init__(self, engine: Local, processor: Any) -> None:
        self.engine, self.processor = engine, processor

    async def generate(self, prompts: Any, sampling: Any) -> Any:
        return self.engine.generate(prompts, sampling)


@pytest.fixture
def asking(data: Path, model: Path, tmp_path: Path) -> tuple[AnswerValidation, Any, AskedWhileTraining]:
    """Set up validation on one rank, its learner, and what is asked."""
    given = config(data, model, tmp_path)
    asked, family = questions_to_ask(given), family_of(model)
    assert asked is not None
    policy = Policy.load(model, family, PolicySettings(optimizer=OptimizerConfig(), total_steps=1))
    learner = SimpleNamespace(
        policy=policy, processor=family.load_processor(model), config=given, stage="sft", step=3, ranks_on_host=1
    )
    return AnswerValidation(cast(Any, learner), asked, given), learner, asked


def test_answers_are_those_of_the_policys_own_weights(
    asking: tuple[AnswerValidation, Any, AskedWhileTraining], model: Path, tmp_path: Path
) -> None:
    validation, learner, asked = asking
    engine = Local(model, EngineSettings(max_model_len=asked.max_model_len))
    expected = measures(asyncio.run(asked.held_out.ask(Alone(engine, learner.processor))))
    state = torch.get_rng_state()
    before = {name: weight.clone() for name, weight in learner.policy.model.state_dict().items()}
    assert validation.measure() == expected
    assert {f"{arm}_accuracy" for arm in ARMS} <= expected.keys() and "shuffled_gap" in expected
    assert torch.equal(torch.get_rng_state(), state)  # training goes on as if nothing had been asked
    assert all(torch.equal(weight, before[name]) for name, weight in learner.policy.model.state_dict().items())
    spoken = [rollout_text(validation, asked, learner)]
    with torch.no_grad():
        for weight in learner.policy.model.parameters():
            weight.mul_(-1.0)
    validation.measure()
    spoken.append(rollout_text(validation, asked, learner))
    assert spoken[0] != spoken[1]  # other weights write other words


def rollout_text(validation: AnswerValidation, asked: AskedWhileTraining, learner: Any) -> list[str]:
    """Return what is written under the weights that the validation's engine gets."""
    engine = validation._with_weights()
    rows = asyncio.run(asked.held_out.ask(Alone(engine, learner.processor)))
    engine.sleep(keep_weights=False)
    return [row.text for row in rows]


def test_ranks_answer_parts_and_together_all(asking: tuple[AnswerValidation, Any, AskedWhileTraining]) -> None:
    validation, learner, asked = asking
    engines = Alone(validation._with_weights(), learner.processor)
    whole = asyncio.run(asked.held_out.ask(engines))
    parts = [row for rank in range(3) for row in asyncio.run(asked.held_out.ask(engines, (rank, 3)))]
    assert sorted(map(repr, parts)) == sorted(map(repr, whole))


def test_a_host_without_room_for_the_weights_is_refused(
    asking: tuple[AnswerValidation, Any, AskedWhileTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "spare_bytes", lambda ranks_on_host: 1000.0 / ranks_on_host)
    with pytest.raises(UserError, match=r"need the weights once more, .* GiB on each worker, and 0\.0 GiB are free"):
        asking[0].measure()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": None}, "validation_answers is given, but nothing to validate on"),
        (
            {"validation_answers": False, "validation_benchmark": "tvbench", "validation": None},
            "validation_benchmark is",
        ),
        ({"best_metric": "ordered_loss"}, "which has no loss; give ordered_accuracy or a gap"),
        ({"validation_answers": False}, "which has no accuracy; give ordered_loss or a gap"),
        ({"stop_when_exact": 0.5}, "is measured on targets that are given"),
        (
            {"validation_answers": False, "best_metric": "ordered_loss"},
            "numbered means nothing there; give some of ordered, .*, or --validation-answers True",
        ),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    data: Path, model: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValidationError, UserError), match=message):
        config(data, model, tmp_path, **changes)


def test_answers_that_are_too_long_for_the_model_are_refused(data: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"and validation_tokens is 1000000\), but the model has"):
        questions_to_ask(config(data, model, tmp_path, validation_tokens=1_000_000))
    by_targets = {"validation_answers": False, "best_metric": "ordered_loss", "validation_arms": ["ordered"]}
    assert questions_to_ask(config(data, model, tmp_path, **by_targets)) is None


def test_a_run_validates_by_answers_and_keeps_the_best_weights(
    ray_cluster: None, data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    summary = run(config(data, model, out, num_steps=2, validate_every=1, batch_size=2, checkpoint_every=2))
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    found = [row for row in rows if row["stage"] == "sft_validation"]
    assert [row["step"] for row in found] == [0, 1, 2]
    assert all(0 <= row["ordered_accuracy"] <= 1 and "numbered_gap" in row for row in found)
    assert summary["best"]["metric"] == "ordered_accuracy"
    assert summary["best"]["value"] == max(row["ordered_accuracy"] for row in found[1:])
    assert (out / "best" / "model.safetensors").is_file()
    assert summary["validation"]["num_samples"] == 6 and summary["validation"]["benchmark"] is None
