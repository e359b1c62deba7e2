"""What a run of GRPO can be told, from the groups it samples to the guards that may stop it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from temporay.models.lora import Trained
from temporay.models.losses._base import GrpoLossSettings
from temporay.models.parallel import Hardware
from temporay.models.policy import OptimizerConfig
from temporay.operators.advantages._base import AdvantageName
from temporay.operators.reinforcement.curriculum import CurriculumSettings
from temporay.operators.settings import Settings
from temporay.workflows.grpo.guards import GuardSettings
from temporay.workflows.rollouts.settings import PoolConfig, RewardConfig
from temporay.workflows.runs.trackers import Trackers

# train: both halves. rollouts_only: the weights stay as they are. from_rollouts: batches come from another run's files.
GrpoMode = Literal["train", "rollouts_only", "from_rollouts"]
OF_TRAINING = ("optimizer", "loss", "trained", "hardware", "num_iterations", "mini_batches", "num_workers", "threads")
OF_RECOVERY = ("micro_batch_size", "checkpoint_every", "max_failures")
OF_SAMPLING = ("pool", "prompts_per_step", "group_size", "segment_tokens", "max_refills", "rewards", "curriculum")
UNUSED: dict[GrpoMode, tuple[str, ...]] = {  # settings that a mode has no use for; a run says so
    "train": (),
    "rollouts_only": (*OF_TRAINING, *OF_RECOVERY),
    "from_rollouts": (*OF_SAMPLING, "guards.canary_every", "keep_rollouts_every"),
}


class GrpoSettings(Settings):
    """How a policy is improved, wherever it and its prompts are."""

    seed: int = 0
    num_steps: int = Field(default=100, ge=1)  # batches
    prompts_per_step: int = Field(default=16, ge=1)
    group_size: int = Field(default=8, ge=2)  # rollouts per prompt; advantages are relative to them
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=256, ge=1)
    segment_tokens: int | None = Field(default=None, ge=1)  # written before newer weights may be taken; None: all
    instruction: str = ""
    max_staleness: int = Field(default=0, ge=0)  # updates a batch may lag behind the newest weights; 0: on-policy
    max_refills: int = Field(default=0, ge=0)  # times that flat groups are replaced by further prompts (DAPO)
    scale_rewards: AdvantageName = "group"  # a file of operators/advantages: group, task, none
    rewards: RewardConfig = RewardConfig()
    curriculum: CurriculumSettings = CurriculumSettings()
    guards: GuardSettings = GuardSettings()
    loss: GrpoLossSettings = GrpoLossSettings()
    optimizer: OptimizerConfig = OptimizerConfig()
    num_iterations: int = Field(default=1, ge=1)  # passes over a batch (TRL's name)
    mini_batches: int = Field(default=1, ge=1)  # updates that a pass is cut into
    num_workers: int = Field(default=1, ge=1)  # Ray Train workers (FSDP2 ranks)
    threads: int = Field(default=2, ge=1)  # CPU threads of each
    trained: Trained = Trained()  # all weights or LoRA adapters; vision tower and projector trained or frozen
    hardware: Hardware = Hardware()
    micro_batch_size: int = Field(default=32, ge=1)  # rollouts per forward pass of one worker
    checkpoint_every: int = Field(default=20, ge=1)  # steps
    max_failures: int = Field(default=3, ge=0)  # restarts of the training workers from their newest checkpoint
    trackers: Trackers = ("tensorboard",)  # where curves go beside metrics.jsonl; wandb, mlflow: their own packages
    keep_rollouts_every: int = Field(default=10, ge=1)  # steps; others' rollouts go when no checkpoint needs them

    @property
    def updates_per_step(self) -> int:
        """Optimizer steps that a batch is used for."""
        return self.num_iterations * self.mini_batches


class GrpoConfig(GrpoSettings):
    """Settings of ``temporay grpo``."""

    data: Path  # a dataset made by ``temporay generate``, usually with --split rl
    model: Path  # Hugging Face layout
    out: Path
    mode: GrpoMode = "train"
    rollouts: Path | None = None  # of from_rollouts: the folder of another run over the same data
    pool: PoolConfig = PoolConfig()
