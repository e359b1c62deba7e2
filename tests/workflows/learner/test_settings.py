"""What another number of steps does to the learning rate is said in a line; replicas divide the workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporay.models.parallel import Hardware
from temporay.models.policy import OptimizerConfig
from temporay.workflows.learner.settings import TrainingConfig, rate_change

PATHS = {"data": Path("d"), "model": Path("m"), "out": Path("o")}


def test_the_rate_of_a_decaying_schedule_changes() -> None:
    config = TrainingConfig(num_steps=20, optimizer=OptimizerConfig(lr=1e-3, schedule="linear"), **PATHS)
    assert rate_change(config, {"num_steps": 10}, 4) == (
        "the linear schedule of optimizer.lr now ends at step 20, so that the rate of step 10 is 0.0005 instead of 0; "
        "the steps that are done stay as they are"
    )
    assert "the rate of step 13 is 0.00035 instead of 0;" in rate_change(config, {"num_steps": 10}, 12)
    assert "now ends at step 20, so that the rate of step 20 is 0 instead of 0.0005;" in rate_change(
        config, {"num_steps": 40}, 4
    )
    assert rate_change(config, {"num_steps": 20}, 0) == rate_change(config, {}, 0) == ""


def test_a_rate_that_is_printed_alike_or_never_comes_is_not_told() -> None:
    config = TrainingConfig(num_steps=20, optimizer=OptimizerConfig(lr=1e-3, warmup_steps=15), **PATHS)
    assert rate_change(config, {"num_steps": 10}, 4) == ""  # step 10 warms up, whatever comes after
    assert rate_change(config, {"num_steps": 40}, 20) == ""  # no step is left


def test_a_constant_rate_does_not_change() -> None:
    config = TrainingConfig(num_steps=20, optimizer=OptimizerConfig(schedule="constant"), **PATHS)
    assert rate_change(config, {"num_steps": 10}, 0) == ""


def test_replicas_divide_the_workers() -> None:
    assert TrainingConfig(num_workers=4, hardware=Hardware(replicas=2), **PATHS).num_workers == 4
    with pytest.raises(ValueError, match="replicas is 2, but 3 workers cannot be cut into as many equal groups"):
        TrainingConfig(num_workers=3, hardware=Hardware(replicas=2), **PATHS)
