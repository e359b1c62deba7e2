"""Memory and operations of the training ranks, by the same forecast that a run makes, without a weight.

settings, config.json, a clip's size → ``MemoryForecast`` of a micro-batch; operations of a sequence
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from temporay.models.chat import chat_text
from temporay.models.collate import Batch
from temporay.models.cost.footprint import FlopCounter, Flops
from temporay.models.cost.memory_forecast import BatchSize, MemoryForecast, RankShare, size_of
from temporay.models.families._base import Family, family_of
from temporay.models.policy import PolicySettings
from temporay.operators.errors import UserError
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt
from temporay.operators.settings import Settings
from temporay.workflows.learner.settings import TrainingSettings
from temporay.workflows.planning.machine import Machine, MachineName

GB = 1e9


class Assumed(Settings):
    """The machine, the data, and what cannot be known before."""

    model: Path  # a folder with config.json, tokenizer and processor; weights are not needed
    machine: MachineName = "8xH100-80GB"  # number of devices, their name, and the memory of each
    num_frames: int = Field(default=48, ge=1)  # of the longest clip
    side_px: int = Field(default=448, ge=16)  # of its frames, which are taken to be square
    question_tokens: int = Field(default=200, ge=0)
    mfu: float = Field(default=0.35, gt=0, le=1)  # share of the devices' peak that training is assumed to reach


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerPlan:
    """What the training ranks need and do."""

    num_weights: int
    size: BatchSize  # of a micro-batch
    bytes_by_purpose: dict[str, float]  # of one rank, on its device
    host_bytes: dict[str, float]  # the same in host memory; empty where nothing is offloaded
    flops: Flops  # operations of a micro-batch
    prompt_tokens: int

    @property
    def total_bytes(self) -> float:
        return sum(self.bytes_by_purpose.values())


def refuse_unplanned(settings: TrainingSettings) -> None:
    """Refuse what a plan does not count.

    Raises:
        UserError: passes are limited by tokens, or a worker has not one device of its own.
    """
    if settings.gpus_per_worker not in (None, 1):
        raise UserError(
            f"gpus_per_worker is {settings.gpus_per_worker:g}, but a plan gives every worker one device; leave "
            "--gpus-per-worker out"
        )
    if settings.micro_batch_tokens is not None:
        raise UserError(
            f"micro_batch_tokens is {settings.micro_batch_tokens}, but a plan counts passes by micro_batch_size; give "
            "--micro-batch-size alone"
        )


def plan_trainer(
    settings: TrainingSettings, assumed: Assumed, make_batch: Callable[[Family, Any, Prompt], Batch], *, reference: bool
) -> TrainerPlan:
    """Forecast a micro-batch of one of many ranks, and count.

    Args:
        make_batch: collates the longest sequences from a family, its processor and the longest prompt.
        reference: whether the starting weights are held too.

    Raises:
        UserError: passes are limited by tokens, or a worker has not one device of its own.
    """
    refuse_unplanned(settings)
    family = family_of(assumed.model, with_weights=False)
    processor = family.load_processor(assumed.model)
    policy_settings = PolicySettings(
        optimizer=settings.optimizer,
        total_steps=settings.num_steps,
        gradient_checkpointing=settings.gradient_checkpointing,
        trained=settings.trained,
        hardware=settings.hardware,
    )
    prompt = longest_prompt(assumed, processor)
    batch = make_batch(family, processor, prompt)
    share = RankShare.on_gpus(settings.num_workers, settings.hardware)
    forecast = MemoryForecast(assumed.model, family, policy_settings, share, reference=reference)
    model = forecast.policy.model
    return TrainerPlan(
        num_weights=sum(p.numel() for p in model.parameters()),
        size=size_of(forecast.policy, batch),
        bytes_by_purpose=forecast.bytes(batch),
        host_bytes=forecast.host_bytes,
        flops=FlopCounter(model, family).count(batch),
        prompt_tokens=len(family.encode(processor, [prompt]).prompt_ids[0]),
    )


def longest_prompt(assumed: Assumed, processor: Any) -> Prompt:
    """Return a blank clip and a question without meaning."""
    frames_THWC = np.zeros((assumed.num_frames, assumed.side_px, assumed.side_px, 3), np.uint8)
    words = "?" + " a" * assumed.question_tokens
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": words}]}]
    return Prompt(
        key="longest",
        text=chat_text(processor, chat),
        media=(ShownMedium(frames_THWC=frames_THWC, fps=4.0),),
    )


def memory_lines(
    plan: TrainerPlan, settings: TrainingSettings, machine: Machine, count: int, counted: str
) -> list[str]:
    """Say what one rank needs of what, and what to change if it does not fit.

    Args:
        count: how many samples or rollouts a micro-batch holds.
        counted: which of both, as ``micro_batch_size`` counts them.
    """
    size = plan.size
    sums = " + ".join(f"{name} {count / GB:.1f}" for name, count in plan.bytes_by_purpose.items())
    fits = plan.total_bytes <= machine.usable_bytes
    advice = [f"--num-workers above {settings.num_workers}"]
    if not settings.gradient_checkpointing:
        advice.append("--gradient-checkpointing True")
    if settings.micro_batch_size > 1:
        advice.append(f"--micro-batch-size below {settings.micro_batch_size} (it counts {counted})")
    if settings.trained.weights == "all":
        advice.append("--trained.weights lora")
    return [
        f"model: {plan.num_weights / 1e9:.2f} B weights; longest prompt {plan.prompt_tokens:,} tokens",
        f"micro-batch: {count} {counted} in {size.num_rows} x {size.length:,} tokens, {size.num_patches:,} patches",
        f"trainer, each of {settings.num_workers} ranks: {sums} = {plan.total_bytes / GB:.1f} of "
        f"{machine.usable_bytes / GB:.1f} GB: {'fits' if fits else 'does not fit'}",
        *([] if fits else [f"  give {', or '.join(advice)}"]),
        *host_lines(plan, settings.num_workers),
    ]


def host_lines(plan: TrainerPlan, num_workers: int) -> list[str]:
    """Say what offloading takes of host memory, which the name of a machine does not tell; none without it."""
    if not plan.host_bytes:
        return []
    each = sum(plan.host_bytes.values())
    sums = " + ".join(f"{name} {count / GB:.1f}" for name, count in plan.host_bytes.items())
    return [
        f"host memory, each of {num_workers} ranks: {sums} = {each / GB:.1f} GB; together "
        f"{num_workers * each / GB:.1f} GB, which the hosts must have (hardware.offload)"
    ]


def unused_lines(machine: Machine, num_used: int, flags: str) -> list[str]:
    """Say how many devices the run leaves unused, and which flags use them."""
    num_unused = machine.num_devices - num_used
    return [f"unused: {num_unused} of {machine.num_devices} devices; {flags} would use them"] if num_unused > 0 else []


def training_seconds(flops: float, num_workers: int, machine: Machine, mfu: float) -> tuple[float, str]:
    """Return the seconds of some operations, and the formula."""
    seconds = flops / (num_workers * machine.peak_flops * mfu)
    formula = (
        f"{flops / 1e15:.2f} PFLOP / ({num_workers} x {machine.peak_flops / 1e12:.0f} TFLOP/s x {mfu:.2f}) = "
        f"{seconds:.1f} s"
    )
    return seconds, formula


def assumed_mfu(mfu: float) -> str:
    """Say what the training time stands on."""
    return f"mfu {mfu:.2f} is assumed and covers recomputation by gradient checkpointing, which is not counted"


def as_record(plan: TrainerPlan) -> dict[str, float]:
    """Return the numbers that a caller may want."""
    host = sum(plan.host_bytes.values())
    sums = {"total_bytes": plan.total_bytes, "host_bytes": host}
    return {**plan.bytes_by_purpose, **sums, **dataclasses.asdict(plan.size)}


def check_fits(result: Mapping[str, Any]) -> None:
    """Refuse a plan that does not fit, after it was printed, so that scripts can ask by the exit code.

    Raises:
        UserError: it does not fit.
    """
    if not result["fits"]:
        raise UserError(f"the run does not fit {result['machine']}; the plan says what does not, and what to change")
