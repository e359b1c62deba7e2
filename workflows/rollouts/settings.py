"""Settings of the rollout pool and of its rewards."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from temporay.models.engines._settings import ENGINES, EngineSettings, OpenEngineSettings, refuse_workers
from temporay.operators.components import available, load
from temporay.operators.errors import UserError, unknown_name
from temporay.operators.scoring.scores import load_rewards
from temporay.operators.settings import Settings
from temporay.workflows.config import NamedFields, Weights
from temporay.workflows.placement import RoleNeed

BUCKET_MIB = 512
LOCAL = "local"  # the name of the engine that computes in one process
AUTO = "auto"  # the name of the engine that is chosen by what can be imported


def _checked(engine: str) -> str:
    if ":" in engine:
        load(ENGINES, engine)
    elif engine != AUTO and engine not in available(ENGINES):  # not loaded: that takes seconds
        raise unknown_name("engine", engine, (AUTO, *available(ENGINES)))
    return engine


EngineName = Annotated[str, AfterValidator(_checked)]


# Where engines stand beside the training workers of GRPO. apart: on GPUs of their own. together: each on the GPU of one
# worker, of which both have a part of the memory. in_turns: as together, and engines sleep while the workers compute.
EnginePlacement = Literal["apart", "together", "in_turns"]


class PoolConfig(Settings):
    """How many engines there are and what each gets. What is None is resolved before they start."""

    engine: EngineName = (
        AUTO  # a file of models/engines, or "module:Class"; auto: vllm where it is installed, else local
    )
    num_engines: int = Field(default=1, ge=1)  # must be up before the run starts
    max_engines: int | None = Field(default=None, ge=1)  # asked for; the others join when there is a place
    num_cpus: float = Field(default=0.5, ge=0)  # Ray's share per engine; trainer and engines take turns on few cores
    num_gpus: float | None = Field(default=None, ge=0)  # per engine; None: tensor_parallel where there are GPUs
    placement: EnginePlacement = "apart"  # in_turns: engines give their memory back while the trainer computes
    resources: Weights = Field(default={})  # custom Ray resources per engine, e.g. rollout=1
    # CPU threads of each engine. None: half of a node's cores, shared by its engines. On busy cores threads wait for
    # each other: with 2 on two shared cores, rollouts of the tiny model came at 600 tokens/s instead of 4,000.
    threads: int | None = Field(default=None, ge=1)
    prompts_per_call: int = Field(default=64, ge=1)  # 1: on CPUs the same bits, however many engines there are
    # Where adapters are trained, engines get nothing else. applied: vLLM computes them beside its weights. merged: each
    # engine adds them to the checkpoint's weights. None: applied by vLLM on GPUs, else merged.
    adapters: Literal["applied", "merged"] | None = None
    weight_bucket_mib: int = Field(default=BUCKET_MIB, ge=1)  # weights travel in parts of this size
    call_timeout_s: float = Field(default=1800.0, gt=0)  # an engine that takes longer is ended and started again
    max_restarts: int = Field(default=3, ge=0)  # how often one engine may fail without serving anything in between
    max_attempts: int = Field(default=3, ge=1)  # times the same prompts are sent before the run fails
    settings: OpenEngineSettings = OpenEngineSettings()

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.max_engines is not None and self.max_engines < self.num_engines:
            raise ValueError(f"max_engines is {self.max_engines}; give at least num_engines ({self.num_engines})")
        return self

    @model_validator(mode="after")
    def _can_be_cut(self) -> Self:
        if self.engine == LOCAL:  # others say so when they start
            refuse_workers(self.engine, self.settings.tensor_parallel)
        return self


class ResolvedPool(PoolConfig):
    """A pool's settings with nothing left open; as they stand, those of a small model on two cores."""

    num_gpus: float = Field(default=0.0, ge=0)
    threads: int = Field(default=1, ge=1)
    settings: EngineSettings = EngineSettings()

    @property
    def need(self) -> RoleNeed:
        """What the engines need that must be up before the run starts."""
        each = {"CPU": self.num_cpus, "GPU": self.num_gpus, **self.resources}
        share = "pool.placement together" if self.placement == "apart" and self.num_gpus else ""
        ranks = self.settings.tensor_parallel
        of_gpus = "pool.settings.tensor_parallel" if self.num_gpus == ranks > 1 else "pool.num_gpus"
        asked_by = {"CPU": "pool.num_cpus", "GPU": of_gpus, **dict.fromkeys(self.resources, "pool.resources")}
        return RoleNeed(
            role="engine",
            count=self.num_engines,
            each=each,
            change="pool.num_engines",
            share=share,
            amounts=asked_by,
        )


class RewardConfig(Settings):
    """Which rewards, and how they are run."""

    # Component name, module:Class or module:function (in TRL's form) → weight in the sum.
    weights: Weights = Field(default={"accuracy": 1.0})
    settings: NamedFields = Field(default={})  # fields of rewards that shall not have their defaults
    deadline_s: float = Field(default=10.0, gt=0)  # for the checkers on one group
    start_allowance_s: float = Field(default=60.0, gt=0)  # for a worker process to start, beside a task's deadlines
    num_tasks: int = Field(default=2, ge=1)  # tasks that the groups of one call are spread over

    @model_validator(mode="after")
    def _all_exist(self) -> Self:
        load_rewards(self.weights, self.settings)  # or a misspelt name would be found after the engines have started
        if not any(self.weights.values()):
            given = " ".join(f"{name}={weight:g}" for name, weight in self.weights.items())
            raise UserError(
                f"weights is {given}, so that every rollout gets 0 and nothing is learned; give at least one "
                "another weight than 0"
            )
        return self
