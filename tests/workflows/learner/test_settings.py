"""What another number of steps does to the learning rate is said in a line."""

from __future__ import annotations

from pathlib import Path

from temporay.models.policy import OptimizerConfig
from temporay.workflows.learner.settings import TrainingConfig, rate_change

PATHS = {"data": Path("d"), "model": Path("m"), "out": Path("o")}


def test_the_rate_of_a_decaying_schedule_changes() -> None:
    config = TrainingConfig(num_steps=20, optimizer=OptimizerConfig(lr=1e-3, schedule="linear"), **PATHS)
    assert rate_change(config, {"num_steps": 10}) == (
        "the linear schedule of optimizer.lr now ends at step 20, so that the rate of step 10 is 0.0005 instead of 0; "
        "the steps that are done stay as they are"
    )
    assert rate_change(config, {"num_steps": 20}) == rate_change(config, {}) == ""


def test_a_constant_rate_does_not_change() -> None:
    config = TrainingConfig(num_steps=20, optimizer=OptimizerConfig(schedule="constant"), **PATHS)
    assert rate_change(config, {"num_steps": 10}) == ""
