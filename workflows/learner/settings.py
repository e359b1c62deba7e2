"""What SFT and GRPO can be told alike: what is trained, for how long, on what, and what a fault may cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator
from temporay.models.lora import Trained
from temporay.models.parallel import Hardware, num_shards
from temporay.models.policy import OptimizerConfig, lr_factor
from temporay.operators.own_data.sources import absolute_source
from temporay.operators.scoring.arms import ARMS
from temporay.operators.settings import Settings
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.config import Arms, Instruction, Weights
from temporay.workflows.learner.passes import PassLimits
from temporay.workflows.runs.trackers import Trackers

# Settings that may change between two calls of one run: they say how it is done, not what it gives.
MAY_CHANGE = (
    *("num_steps", "num_workers", "gpus_per_worker", "worker_resources", "threads"),
    *("micro_batch_size", "gradient_checkpointing", "checkpoint_every"),
    *("max_failures", "max_not_finite_steps", "stop_grace_s", "trackers"),
    *(f"hardware.{name}" for name in Hardware.model_fields if name != "precision"),
)


class TrainingSettings(Settings):
    """How weights are trained, wherever they and the samples are."""

    seed: int = 0
    num_steps: int = Field(default=1000, ge=1)  # batches
    micro_batch_size: int = Field(default=32, ge=1)  # most sequences per forward pass of one worker
    micro_batch_tokens: int | None = Field(default=None, ge=1)  # most tokens of a forward pass, padding included
    optimizer: OptimizerConfig = OptimizerConfig()
    trained: Trained = Trained()  # all weights or LoRA adapters; vision tower and projector trained or frozen
    instruction: Instruction = ""  # how to answer, added to every question: letter, text, or words of your own
    num_workers: int = Field(default=1, ge=1)  # Ray Train workers (FSDP2 ranks)
    gpus_per_worker: float | None = Field(default=None, ge=0)  # None: 1, or a part beside an engine; 0 without GPUs
    worker_resources: Weights = Field(default={})  # custom Ray resources per worker, e.g. trainer=0.01
    threads: int | None = Field(default=None, ge=1)  # CPU threads of each; None: a node's cores, shared by its workers
    gradient_checkpointing: bool = False  # activations are computed again in the backward pass, not kept
    hardware: Hardware = Hardware()
    checkpoint_every: int = Field(default=200, ge=1)  # steps; the last step always has a checkpoint
    max_failures: int = Field(default=3, ge=0)  # restarts of the workers from the newest checkpoint
    max_not_finite_steps: int = Field(default=5, ge=1)  # optimizer steps in a row that may be left out: else diverged
    stop_grace_s: float = Field(default=15.0, ge=0)  # from SIGTERM on, for the end of a step and its checkpoint
    validate_every: int = Field(default=200, ge=1)  # steps, where there is a dataset to validate on
    max_dropped_share: float = Field(default=0.05, ge=0, le=1)  # of lines or samples; with more, the run is refused
    validation_samples: int = Field(default=64, ge=1)
    validation_arms: Arms = ARMS
    trackers: Trackers = ("tensorboard",)  # where curves go beside metrics.jsonl; wandb, mlflow: their own packages

    @model_validator(mode="after")
    def _replicas_divide_the_workers(self) -> Self:
        num_shards(self.num_workers, self.hardware)
        return self

    @property
    def updates_per_step(self) -> int:
        """Optimizer steps that a batch is used for."""
        return 1

    @property
    def pass_limits(self) -> PassLimits:
        """What one forward and backward pass of a worker may hold."""
        return PassLimits(micro_batch_size=self.micro_batch_size, micro_batch_tokens=self.micro_batch_tokens)


class TrainingConfig(TrainingSettings):
    """How weights are trained, with the paths of a run."""

    data: Path  # a dataset made by ``temporay generate``; own data: a file of lines, shards, hf:OWNER/NAME
    model: Path  # Hugging Face layout
    out: Path
    validation: Path | None = None  # held out: a dataset or own data; None: no validation
    video_reading: VideoReading = VideoReading()  # how videos of own data are read

    def absolute(self) -> Self:
        """Return the same settings with paths that mean the same in every process."""
        paths = {name: getattr(self, name) for name in ("data", "model", "out", "validation")}
        changed = {name: absolute_source(path) for name, path in paths.items() if path is not None}
        return self.model_copy(update={**changed, "video_reading": self.video_reading.absolute()})


def rate_change(config: TrainingConfig, earlier: Mapping[str, Any], steps_done: int) -> str:
    """Say how another number of steps changes the learning rate of steps that are left; empty when it does not.

    Args:
        earlier: the settings of the call before, as JSON values.
        steps_done: steps that are not taken again.
    """
    num_steps = earlier.get("num_steps", config.num_steps)
    optimizer = config.optimizer
    if num_steps == config.num_steps or optimizer.schedule == "constant":
        return ""
    step = max(steps_done + 1, min(num_steps, config.num_steps))  # from 1
    totals = (num_steps * config.updates_per_step, config.num_steps * config.updates_per_step)
    last = step * config.updates_per_step - 1
    before, now = (f"{optimizer.lr * lr_factor(optimizer, last, total):.3g}" for total in totals)
    if step > config.num_steps or before == now:
        return ""
    return (
        f"the {optimizer.schedule} schedule of optimizer.lr now ends at step {config.num_steps}, so that the rate of "
        f"step {step} is {now} instead of {before}; the steps that are done stay as they are"
    )
