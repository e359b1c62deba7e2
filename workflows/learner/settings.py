"""What SFT and GRPO can be told alike: what is trained, for how long, on what, and what a fault may cost."""

from pathlib import Path
from typing import Self

from pydantic import Field
from temporay.models.lora import Trained
from temporay.models.parallel import Hardware
from temporay.models.policy import OptimizerConfig
from temporay.operators.settings import Settings
from temporay.workflows.config import Instruction
from temporay.workflows.runs.trackers import Trackers


class TrainingSettings(Settings):
    """How weights are trained, wherever they and the samples are."""

    seed: int = 0
    num_steps: int = Field(default=1000, ge=1)  # batches
    micro_batch_size: int = Field(default=32, ge=1)  # most sequences per forward pass of one worker
    optimizer: OptimizerConfig = OptimizerConfig()
    trained: Trained = Trained()  # all weights or LoRA adapters; vision tower and projector trained or frozen
    instruction: Instruction = ""  # how to answer, added to every question: letter, text, or words of your own
    num_workers: int = Field(default=1, ge=1)  # Ray Train workers (FSDP2 ranks)
    threads: int = Field(default=2, ge=1)  # CPU threads of each
    gradient_checkpointing: bool = False  # activations are computed again in the backward pass, not kept
    hardware: Hardware = Hardware()
    checkpoint_every: int = Field(default=200, ge=1)  # steps; the last step always has a checkpoint
    max_failures: int = Field(default=3, ge=0)  # restarts of the workers from the newest checkpoint
    trackers: Trackers = ("tensorboard",)  # where curves go beside metrics.jsonl; wandb, mlflow: their own packages

    @property
    def updates_per_step(self) -> int:
        """Optimizer steps that a batch is used for."""
        return 1


class TrainingConfig(TrainingSettings):
    """How weights are trained, with the paths of a run."""

    data: Path  # a dataset made by ``temporay generate``
    model: Path  # Hugging Face layout
    out: Path

    def absolute(self) -> Self:
        """Return the same settings with paths that mean the same in every process."""
        return self.model_copy(update={name: getattr(self, name).absolute() for name in ("data", "model", "out")})
