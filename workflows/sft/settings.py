"""What a fine-tuning run can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from temporay.models.lora import Trained
from temporay.models.parallel import Hardware
from temporay.models.policy import OptimizerConfig
from temporay.operators.dataset.rows import ANSWER_ONLY_INSTRUCTION
from temporay.operators.dataset.video_qa import VideoReading
from temporay.operators.scoring.arms import ARMS, Arm
from temporay.operators.settings import Settings
from temporay.workflows.runs.trackers import Trackers
from temporay.workflows.sft.validation import BestMetric


class SftSettings(Settings):
    """How a model is fine-tuned, wherever it and the samples are."""

    seed: int = 0
    num_steps: int = Field(default=1000, ge=1)
    batch_size: int | None = Field(default=32, ge=1)  # samples per step, over all workers; None: by tokens_per_step
    tokens_per_step: int | None = Field(default=None, ge=1)  # a step takes samples until the next would exceed it
    micro_batch_size: int = Field(default=32, ge=1)  # most samples per forward pass of one worker
    micro_batch_tokens: int | None = Field(default=None, ge=1)  # most tokens of such a pass, padding included
    optimizer: OptimizerConfig = OptimizerConfig()
    instruction: str = ""  # how to answer, appended to the question
    answer_only_instruction: str = ANSWER_ONLY_INSTRUCTION  # the same for samples without a chain of thought
    max_length: int | None = Field(default=None, ge=1)  # tokens; longer samples are left out. None: the tokenizer's own
    max_dropped_share: float = Field(default=0.05, ge=0, le=1)  # of samples too long; beyond it the run is refused
    validate_every: int = Field(default=200, ge=1)  # steps, where there is a dataset to validate on
    validation_samples: int = Field(default=64, ge=1)
    validation_arms: tuple[Arm, ...] = ARMS
    best_metric: BestMetric = "ordered_loss"  # the weights with the best one are kept in OUT/best
    num_workers: int = Field(default=1, ge=1)  # Ray Train workers (FSDP2 ranks)
    threads: int = Field(default=2, ge=1)  # CPU threads of each
    gradient_checkpointing: bool = False
    trained: Trained = Trained()  # all weights or LoRA adapters; vision tower and projector trained or frozen
    hardware: Hardware = Hardware()
    checkpoint_every: int = Field(default=200, ge=1)  # steps
    max_failures: int = Field(default=3, ge=0)  # restarts of the workers from the newest checkpoint
    trackers: Trackers = ("tensorboard",)  # where curves go beside metrics.jsonl; wandb, mlflow: their own packages

    @model_validator(mode="after")
    def _one_measure_of_a_step(self) -> Self:
        if (self.batch_size is None) == (self.tokens_per_step is None):
            raise ValueError(
                "a step is so many samples or so many tokens: give one of batch_size and tokens_per_step, and None to "
                f"the other (batch_size {self.batch_size}, tokens_per_step {self.tokens_per_step})"
            )
        return self


class SftConfig(SftSettings):
    """Settings of ``temporay sft``."""

    data: Path  # a dataset made by ``temporay generate``, or JSON lines of video questions
    mixture: tuple[str, ...] = ()  # others as PATH=SHARE of all samples; ``data`` has what they leave
    video_reading: VideoReading = VideoReading()  # of JSON lines
    validation: Path | None = None  # held out: a dataset or JSON lines; None: no validation
    model: Path  # Hugging Face layout
    out: Path
