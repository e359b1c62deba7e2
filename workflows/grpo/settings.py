"""What a run of GRPO can be told, from the groups it samples to the guards that may stop it."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from temporay.models.losses._base import GrpoLossSettings
from temporay.operators.advantages._base import AdvantageName
from temporay.operators.reinforcement.curriculum import CurriculumSettings
from temporay.operators.settings import Settings
from temporay.workflows.config import Arms
from temporay.workflows.learner.settings import MAY_CHANGE as OF_EVERY_TRAINING
from temporay.workflows.learner.settings import TrainingConfig, TrainingSettings
from temporay.workflows.rollouts.settings import PoolConfig, RewardConfig

# train: both halves. rollouts_only: the weights stay as they are. from_rollouts: batches come from another run's files.
GrpoMode = Literal["train", "rollouts_only", "from_rollouts"]
OF_WORKERS = ("num_workers", "gpus_per_worker", "worker_resources", "threads")
OF_TRAINING = ("optimizer", "loss", "trained", "hardware", "num_iterations", "mini_batches", *OF_WORKERS)
OF_RECOVERY = (
    "micro_batch_size",
    "micro_batch_tokens",
    "gradient_checkpointing",
    "checkpoint_every",
    "max_failures",
    "max_not_finite_steps",
)
OF_SAMPLING = ("pool", "prompts_per_step", "group_size", "segment_tokens", "max_refills", "rewards", "curriculum")
OF_VALIDATION = ("validation", "validate_every", "validation_samples", "validation_arms", "best_metric")
GrpoBestMetric = Literal["ordered_accuracy", "shuffled_gap", "single_frame_gap", "blind_gap"]  # all are to grow
UNUSED: dict[GrpoMode, tuple[str, ...]] = {  # settings that a mode has no use for; a run says so
    "train": (),
    "rollouts_only": (*OF_TRAINING, *OF_RECOVERY, *OF_VALIDATION),
    "from_rollouts": (*OF_SAMPLING, *OF_VALIDATION, "guards.canary_every", "keep_rollouts_every"),
}

# Settings that may change between two calls of one run: they say how it is done, not what it gives.
MAY_CHANGE = (
    *OF_EVERY_TRAINING,
    "micro_batch_tokens",
    *("pool", "guards", "keep_rollouts_every"),
    *("rewards.deadline_s", "rewards.start_allowance_s", "rewards.num_tasks"),
)


class GuardSettings(Settings):
    """When a run is stopped, or a person told. Each threshold that stops a run is named in the message that does."""

    canary_every: int = Field(default=25, ge=0)  # steps between two canaries, the first before step 1; 0: never
    canary_prompts: int = Field(default=16, ge=1)
    canary_tokens: int = Field(default=256, ge=1)  # most tokens of each greedy answer
    max_agreement: float = Field(default=0.95, gt=0, le=1)  # share of answers that real and blank frames have in common
    # Nats per token between engine and trainer, on-policy. A batch of staleness n may be n + 1 times as far.
    max_engine_kl: float = Field(default=0.05, gt=0)
    max_unusable_steps: int = Field(default=5, ge=1)  # steps in a row without two rewards in any group
    flat_after_steps: int = Field(default=50, ge=0)  # after which a reward that has not risen is told; 0: never


class GrpoSettings(TrainingSettings):
    """How a policy is improved, wherever it and its prompts are."""

    num_steps: int = Field(default=100, ge=1)  # batches
    checkpoint_every: int = Field(default=20, ge=1)  # steps; the last step always has a checkpoint
    prompts_per_step: int = Field(default=16, ge=1)
    group_size: int = Field(default=8, ge=2)  # rollouts per prompt; advantages are relative to them
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=256, ge=1)
    segment_tokens: int | None = Field(default=None, ge=1)  # written before newer weights may be taken; None: all
    max_staleness: int = Field(default=0, ge=0)  # updates a batch may lag behind the newest weights; 0: on-policy
    max_refills: int = Field(default=0, ge=0)  # times that flat groups are replaced by further prompts (DAPO)
    scale_rewards: AdvantageName = "group"  # a file of operators/advantages: group, task, none
    rewards: RewardConfig = RewardConfig()
    curriculum: CurriculumSettings = CurriculumSettings()
    guards: GuardSettings = GuardSettings()
    loss: GrpoLossSettings = GrpoLossSettings()
    num_iterations: int = Field(default=1, ge=1)  # passes over a batch (TRL's name)
    mini_batches: int = Field(default=1, ge=1)  # updates that a pass is cut into
    validate_every: int = Field(default=20, ge=1)  # steps, where there is a dataset to validate on; also before step 1
    validation_arms: Arms = ("ordered", "shuffled")  # answered greedily, with ``max_tokens`` at most
    best_metric: GrpoBestMetric = "ordered_accuracy"  # the weights with the best one are kept in OUT/best
    keep_rollouts_every: int = Field(default=10, ge=1)  # steps; others' rollouts go when no checkpoint needs them

    @model_validator(mode="after")
    def _every_update_has_a_group(self) -> Self:
        if self.mini_batches > self.prompts_per_step:
            raise ValueError(
                f"mini_batches is {self.mini_batches}, but a step has {self.prompts_per_step} groups of rollouts "
                "(prompts_per_step), which are not cut; give at most as many"
            )
        return self

    def validates_after(self, steps_done: int) -> bool:
        """Return whether validation is due after so many steps, where there is a dataset to validate on."""
        return steps_done % self.validate_every == 0 or steps_done == self.num_steps

    def keeps_rollouts_of(self, step: int) -> bool:
        """Return whether the rollouts of a step are kept for people to look at; those of the last step are."""
        return step % self.keep_rollouts_every == 0 or step == self.num_steps - 1

    @property
    def longest_completion(self) -> tuple[str, int]:
        """The setting that allows the longest completions, and their tokens: the canary's may be longer."""
        guards = self.guards
        if guards.canary_every and guards.canary_tokens > self.max_tokens:
            return "guards.canary_tokens", guards.canary_tokens
        return "max_tokens", self.max_tokens

    @property
    def updates_per_step(self) -> int:
        """Optimizer steps that a batch is used for."""
        return self.num_iterations * self.mini_batches


class GrpoConfig(GrpoSettings, TrainingConfig):
    """Settings of ``temporay grpo``."""

    data: Path  # a dataset made by ``temporay generate``, usually with --split rl, or own data
    validation_benchmark: str | None = None  # whose files are in ``validation``: a file of operators/benchmarks
    mode: GrpoMode = "train"
    rollouts: Path | None = None  # for mode from_rollouts: the folder of another run over the same data
    pool: PoolConfig = PoolConfig()

    @property
    def validates(self) -> bool:
        """Whether there is a dataset to validate on, and a mode that changes weights while engines are there."""
        return self.validation is not None and self.mode == "train"
