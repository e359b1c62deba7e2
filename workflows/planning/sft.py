"""``temporay plan sft PRESET --model FOLDER --machine 8xH100-80GB``: memory, tokens and hours of fine-tuning."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from temporay.models.collate import Batch, collate_samples
from temporay.models.families._base import Family
from temporay.operators.errors import UserError
from temporay.operators.records import Prompt
from temporay.workflows.planning.machine import machine_of
from temporay.workflows.planning.trainer import (
    Assumed,
    as_record,
    assumed_mfu,
    check_fits,
    memory_lines,
    plan_trainer,
    training_seconds,
    unused_lines,
)
from temporay.workflows.sft.settings import SftSettings


class SftPlanConfig(SftSettings, Assumed):
    """Settings of ``temporay plan sft``."""

    target_tokens: int = Field(default=256, ge=1)  # of the longest completion


def run(config: SftPlanConfig) -> dict[str, Any]:
    """Print the plan and return its numbers.

    Raises:
        UserError: the machine has too few devices, or steps are not counted in samples.
    """
    machine = machine_of(config.machine)
    if config.num_workers > machine.num_devices:
        raise UserError(
            f"num_workers is {config.num_workers}, but {config.machine} has {machine.num_devices} devices; give "
            "fewer --num-workers, or a larger --machine"
        )
    if config.batch_size is None:
        raise UserError("a plan counts steps in samples; give --batch-size instead of --tokens-per-step")
    num_rows = min(config.micro_batch_size, -(-config.batch_size // config.num_workers))

    def longest(family: Family, processor: Any, prompt: Prompt) -> Batch:
        return collate_samples(family, processor, [prompt] * num_rows, [" a" * config.target_tokens] * num_rows)

    plan = plan_trainer(config, config, longest, reference=False)
    flops = config.batch_size / num_rows * plan.flops.training
    seconds, formula = training_seconds(flops, config.num_workers, machine, config.mfu)
    hours = config.num_steps * seconds / 3600
    lines = [
        *memory_lines(plan, config, machine, num_rows, "samples"),
        *unused_lines(machine, config.num_workers, "--num-workers"),
        f"a step: {config.batch_size} samples, {config.batch_size * plan.size.length:,} tokens; {formula}",
        f"{config.num_steps:,} steps: {hours:.1f} h; {assumed_mfu(config.mfu)}; all clips are as the longest, and "
        "validation and checkpoints come on top",
    ]
    print("\n".join(lines))
    return {
        "trainer": as_record(plan),
        "step_seconds": seconds,
        "hours": hours,
        "machine": config.machine,
        "fits": plan.total_bytes <= machine.usable_bytes,
    }


def tell(result: Mapping[str, Any]) -> None:
    """End with exit code 2 if the run does not fit."""
    check_fits(result)
