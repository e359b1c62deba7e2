"""What every Ray Train worker does, whatever the loss: set up one rank, resume, update, checkpoint, log, export.

Checkpoints are ours alone (``models.checkpoint``): whole or not there, checked by hash when loaded. Ray Train restarts
the workers; it is told metrics but keeps no checkpoint, because its own bookkeeping is overwritten in place and a kill
in between would end the run.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import train
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from temporay.models import checkpoint
from temporay.models.collate import Batch
from temporay.models.cost.host_memory import check_loading, host_bytes
from temporay.models.export import export
from temporay.models.families._base import Family, family_of
from temporay.models.lora import EVERYTHING, Trained
from temporay.models.losses._base import Loss
from temporay.models.parallel import DEFAULT_HARDWARE, Hardware, this_process
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.operators.errors import UserError, error_behind
from temporay.workflows.learner.step_cost import StepCost
from temporay.workflows.learner.stopping import asked_to_stop
from temporay.workflows.runs.run_dir import RunDir

CHECKPOINTS, MODEL, RAY_STORAGE = "checkpoints", "model", "ray_train"


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerConfig:
    """What a worker needs to know; paths are seen by all of them."""

    stage: str  # its name in metrics.jsonl
    model: Path  # Hugging Face layout
    out: Path
    optimizer: OptimizerConfig
    num_steps: int
    checkpoint_every: int  # steps; the last step always has one
    threads: int  # CPU threads of a worker
    temperature: float = 1.0
    gradient_checkpointing: bool = False
    keep_checkpoints: int = 2
    updates_per_step: int = 1  # optimizer steps that a step's batch is used for
    shares_metrics: bool = False  # the driver writes metrics.jsonl too, so that it must not be rewritten meanwhile
    trained: Trained = EVERYTHING
    hardware: Hardware = DEFAULT_HARDWARE
    reference: bool = False  # whether a second, frozen model will stand beside this one


class Learner:
    """One rank of the training group, from its newest whole checkpoint on."""

    def __init__(self, config: LearnerConfig) -> None:
        """Called inside a Ray Train worker, on every rank."""
        torch.set_num_threads(config.threads)
        parallel = this_process(get_device(), config.hardware.precision)
        self.config = config
        self.family: Family = family_of(config.model)
        ranks_on_host = train.get_context().get_local_world_size()
        if config.hardware.memory_forecast == "refuse":
            check_loading(config.model, ranks_on_host=ranks_on_host, host=host_bytes())
        parallel.barrier()  # nobody has loaded when the last one looks
        self.processor: Any = self.family.load_processor(config.model)
        self.policy = Policy(
            self.family.load_model(config.model, torch.float32),
            self.family,
            PolicySettings(
                optimizer=config.optimizer,
                total_steps=config.num_steps * config.updates_per_step,
                temperature=config.temperature,
                gradient_checkpointing=config.gradient_checkpointing,
                trained=config.trained,
                hardware=config.hardware,
            ),
            parallel,
        )
        self.cost = StepCost(self.policy, self.processor, ranks_on_host=ranks_on_host, reference=config.reference)
        found = parallel.from_rank_0(checkpoint.latest(config.out / CHECKPOINTS) if parallel.rank == 0 else None)
        self.cursor = checkpoint.load(self.policy, found.path) if found.path is not None else {}  # of its data
        self._run_dir = RunDir(path=config.out, resumed=True) if parallel.rank == 0 else None
        if self._run_dir is not None and not config.shares_metrics:
            self._run_dir.drop_from(config.stage, self.step)
        self._saved_step = self.step
        self.stopping = False  # SIGTERM came, and the checkpoint it asked for is written: the loop ends now
        started = {"world_size": parallel.world_size, "host": socket.gethostname(), "pid": os.getpid()}
        memory = {"forecast_bytes": self.cost.forecast_bytes, "available_bytes": self.cost.available}
        self.log({"step": self.step, **started, "rejected_checkpoints": found.rejected, **memory})

    @property
    def step(self) -> int:
        """Batches that training is done with."""
        return self.policy.step_index // self.config.updates_per_step

    @property
    def finished(self) -> bool:
        return self.step >= self.config.num_steps

    def update(self, batches: Sequence[Batch], loss: Loss) -> dict[str, float]:
        """One optimizer step on this rank's micro-batches; the metrics are global.

        Raises:
            UserError: a micro-batch is larger than any before, and needs more memory than there is.
        """
        self.cost.check(batches)
        start = time.perf_counter()
        metrics = {**self.policy.forward_backward(batches, loss), **self.policy.step()}
        return {**metrics, **self.cost.rates(batches, metrics["tokens"], time.perf_counter() - start)}

    def log(self, row: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl; only rank 0 writes."""
        if self._run_dir is not None:
            self._run_dir.log({"stage": self.config.stage, **row})

    def save_if_due(
        self,
        metrics: Mapping[str, float],
        cursor: Mapping[str, Any] | None = None,
        may_save: Callable[[], bool] = lambda: True,
        *,
        last: bool = False,
    ) -> bool:
        """Checkpoints and reports to Ray Train every ``checkpoint_every`` steps and at the end; says whether it did.

        So too after SIGTERM, where ``stopping`` tells the caller to end. Every rank must call it after every step.

        Not more often, because Ray Train takes one report per poll of its controller.

        Args:
            cursor: where the data stands, as JSON values; a resumed run finds it in ``self.cursor``.
            may_save: asked before a checkpoint that is due, and may wait; the same answer on every rank.
            last: the run ends here, for now.
        """
        self.stopping = asked_to_stop(self.config.out, self.policy.parallel)
        due = self.step % self.config.checkpoint_every == 0 or self.finished or self.stopping or last
        due = due and self.step > self._saved_step
        if due and may_save():
            root = self.config.out / CHECKPOINTS
            checkpoint.save(self.policy, root, keep=self.config.keep_checkpoints, cursor=cursor)
            self._saved_step = self.step
            train.report({**metrics, "step": self.step})
            return True
        return False

    def export(self) -> None:
        """Writes OUT/model, which transformers and vLLM load."""
        export(self.policy, self.config.model, self.config.out / MODEL)


def scaling(num_workers: int, *, spare_cpus: float) -> ScalingConfig:
    """One GPU per worker where the cluster has GPUs, else one CPU.

    Raises:
        UserError: the cluster is too small, where Ray would wait for ever.
    """
    total = ray.cluster_resources()
    use_gpu = total.get("GPU", 0) > 0
    if use_gpu and total["GPU"] < num_workers:
        raise UserError(f"num_workers is {num_workers}, but the cluster has {total['GPU']:g} GPUs; ask for fewer")
    if total.get("CPU", 0) < num_workers + spare_cpus:
        raise UserError(
            f"num_workers is {num_workers} and loading data takes {spare_cpus:g} CPUs more, but the cluster has "
            f"{total.get('CPU', 0):g}; ask for fewer workers or start more CPUs"
        )
    return ScalingConfig(num_workers=num_workers, use_gpu=use_gpu, resources_per_worker={"CPU": 1, "GPU": int(use_gpu)})


def make_trainer(
    train_loop: Any,
    arguments: Mapping[str, Any],
    *,
    out: Path,
    scaling_config: ScalingConfig,
    max_failures: int,
    callbacks: Sequence[Any] = (),
    **options: Any,
) -> TorchTrainer:
    """A TorchTrainer whose name is new every time: what it resumes from is OUT/checkpoints, not Ray's storage."""
    return TorchTrainer(
        train_loop,
        train_loop_config=dict(arguments),
        torch_config=TorchConfig(backend="nccl" if scaling_config.use_gpu else "gloo", timeout_s=600),
        scaling_config=scaling_config,
        run_config=RunConfig(
            name=f"{time.time_ns()}",
            storage_path=str((out / RAY_STORAGE).absolute()),
            failure_config=FailureConfig(max_failures=max_failures),
            callbacks=list(callbacks),
        ),
        **options,
    )


def fit(trainer: TorchTrainer) -> None:
    """``trainer.fit()``, with Ctrl-C left to the caller: in the main thread it would install a handler of its own.

    Raises:
        UserError: what a worker met is the user's to mend.
        Exception: any other fault of the workers.
    """
    fault: list[Exception] = []

    def fit_and_keep_fault() -> None:
        try:
            trainer.fit()
        except Exception as error:
            fault.append(error)

    thread = threading.Thread(target=fit_and_keep_fault, daemon=True)  # a daemon, so that Ctrl-C ends the process
    thread.start()
    while thread.is_alive():
        thread.join(0.2)  # a wait without end would not notice Ctrl-C
    for error in fault:
        raise error_behind(error, UserError) or error from error
