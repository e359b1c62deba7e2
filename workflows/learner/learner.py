"""What every Ray Train worker does, whatever the loss: set up one rank, resume, update, checkpoint, log, export.

Checkpoints are ours alone (``models.checkpoint``): whole or not there, checked by hash when loaded. Ray Train restarts
the workers; it is told metrics but keeps no checkpoint, because its own bookkeeping is overwritten in place and a kill
in between would end the run.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from ray import train
from ray.train import FailureConfig, RunConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from temporay.models.checkpoint import CheckpointWriter, Saved, load
from temporay.models.checkpoint_folder import finished, latest
from temporay.models.collate import Batch, StepSize
from temporay.models.cost.footprint import Flops
from temporay.models.cost.host_memory import check_loading, host_bytes, spare_bytes
from temporay.models.export import export
from temporay.models.families._base import Family, family_of
from temporay.models.losses._base import Loss
from temporay.models.parallel import this_process
from temporay.models.policy import Policy, PolicySettings
from temporay.operators.errors import UserError, error_behind
from temporay.workflows.learner.scaling import fit_where_there_is_room, scaling
from temporay.workflows.learner.settings import TrainingConfig
from temporay.workflows.learner.shared_folder import write_token
from temporay.workflows.learner.step_cost import StepCost
from temporay.workflows.learner.stopping import asked_to_stop
from temporay.workflows.learner.worker import EndAtUserError, run_worker
from temporay.workflows.placement import RoleNeed
from temporay.workflows.runs.progress import CHECKPOINT_STAGE
from temporay.workflows.runs.run_dir import TIME, RunDir

CHECKPOINTS, MODEL, RAY_STORAGE = "checkpoints", "model", "ray_train"
KEPT_CHECKPOINTS = 2
COLLECTIVE_TIMEOUT_S = 1800  # after which a rank that the others wait for counts as lost
MEMORY_STAGE = "memory"  # the name of lines in metrics.jsonl that forecast a micro-batch larger than all before
LAUNCH = "launch"  # the part of a line about time that says when workers were asked for; their own line follows


class Learner:
    """One rank of the training group, from its newest whole checkpoint on."""

    def __init__(
        self,
        config: TrainingConfig,
        stage: str,
        *,
        temperature: float = 1.0,
        reference: bool = False,
        shares_metrics: bool = False,
    ) -> None:
        """Set up one rank; called inside a Ray Train worker, on every rank.

        Args:
            config: its paths are seen by all workers.
            stage: the name of the worker's lines in metrics.jsonl.
            temperature: log-probabilities are those of the logits divided by it, as when sampling.
            reference: whether a second, frozen model will be loaded too.
            shares_metrics: the driver writes metrics.jsonl too, so that it must not be rewritten meanwhile.
        """
        self.ranks_on_host = ranks_on_host = train.get_context().get_local_world_size()
        torch.set_num_threads(config.threads or max(1, (os.cpu_count() or 1) // ranks_on_host))
        parallel = this_process(get_device(), config.hardware, all_are_trained=config.trained.is_everything)
        self.config, self.stage = config, stage
        self.family: Family = family_of(config.model)
        if config.hardware.refuses(parallel.device):
            check_loading(config.model, world_size=parallel.world_size, ranks_on_host=ranks_on_host, host=host_bytes())
        parallel.barrier()  # no rank has loaded its model while another still looks at the memory
        self.processor: Any = self.family.load_processor(config.model)
        self.policy = Policy.load(config.model, self.family, _settings(config, temperature), parallel)
        self.cost = StepCost(self.policy, config.model, ranks_on_host=ranks_on_host, reference=reference)
        found = latest(config.out / CHECKPOINTS, parallel)
        self.cursor = load(self.policy, found.path) if found.path is not None else {}  # in the data
        room = partial(spare_bytes, ranks_on_host)
        folder = config.out / CHECKPOINTS
        self._writer = CheckpointWriter(self.policy, folder, keep=KEPT_CHECKPOINTS, spare_bytes=room)
        self._run_dir = RunDir(path=config.out, resumed=True) if parallel.rank == 0 else None
        if self._run_dir is not None and not shares_metrics:
            self._run_dir.drop_from(stage, self.step)
        self._saved_step = self.step
        self._num_not_finite = 0  # optimizer steps in a row
        self.has_learned = False  # the run ends before its last step, because validation says that it may
        self.stopping = False  # SIGTERM came, and the checkpoint it asked for is written: the loop ends now
        self._log_start(found.rejected)

    def _log_start(self, rejected_checkpoints: Sequence[str]) -> None:
        started = {
            "world_size": self.policy.parallel.world_size,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "threads": torch.get_num_threads(),
        }
        memory = {"forecast_bytes": self.cost.forecast_bytes, "available_bytes": self.cost.available}
        rejected = {"rejected_checkpoints": rejected_checkpoints}
        self.log({"step": self.step, "time": time.time(), **started, **rejected, **memory})

    @property
    def step(self) -> int:
        """Batches that training is done with."""
        return self.policy.step_index // self.config.updates_per_step

    @property
    def finished(self) -> bool:
        return self.has_learned or self.step >= self.config.num_steps

    def update(self, batches: Iterable[Batch], loss: Loss, size: StepSize | None = None) -> dict[str, float]:
        """Take one optimizer step on this rank's micro-batches and return metrics of all ranks together.

        A step whose gradient is not finite is left out, and ``skipped_not_finite`` is all that is returned. A step
        without a token that weighs anything is left out too, and has no loss.

        Args:
            size: of ``batches``, where they are made while others are computed; None: all are made first.

        Raises:
            UserError: a micro-batch is larger than any before, and needs more memory than there is; or the gradient
                was not finite in ``max_not_finite_steps`` steps in a row.
        """
        counts: list[Flops] = []

        def checked() -> Iterator[Batch]:
            for batch in batches:
                for forecast in self.cost.check([batch]):
                    self.log({"stage": MEMORY_STAGE, "step": self.step, **forecast})
                counts.append(self.cost.count(batch))
                yield batch

        start = time.perf_counter()
        metrics = self.policy.forward_backward(checked(), loss, size)
        if not metrics["tokens"]:
            self.policy.skip_step()
            return {name: metrics[name] for name in ("tokens", "sequences")}
        try:
            metrics |= self.policy.step()
        except FloatingPointError as error:  # every rank raises it, because the norm is that of the whole gradient
            self._skip_not_finite(error)
            return {"skipped_not_finite": 1.0}
        self._num_not_finite = 0
        return {**metrics, **self.cost.rates(counts, metrics["tokens"], time.perf_counter() - start)}

    def _skip_not_finite(self, error: FloatingPointError) -> None:
        self.policy.skip_step()
        self._num_not_finite += 1
        if self._num_not_finite >= self.config.max_not_finite_steps:
            raise UserError(
                f"{error}, and so it was in {self._num_not_finite} optimizer steps in a row: the loss has diverged; "
                f"lower optimizer.lr or optimizer.grad_clip in another --out, or raise max_not_finite_steps"
            ) from error

    def log(self, row: Mapping[str, Any]) -> None:
        """Write one line of metrics.jsonl; ranks other than 0 write nothing."""
        if self._run_dir is not None:
            self._run_dir.log({"stage": self.stage, **row})

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Log the seconds that a part of training takes on rank 0."""
        with self._run_dir.timed(part) if self._run_dir is not None else nullcontext():
            yield

    def save_if_due(
        self,
        metrics: Mapping[str, float],
        cursor: Mapping[str, Any] | None = None,
        may_save: Callable[[], bool] = lambda: True,
        *,
        last: bool = False,
    ) -> bool:
        """Begin a checkpoint and report to Ray Train if it is due, and return whether it was done.

        It is due every ``checkpoint_every`` steps, at the end, and after SIGTERM, where ``stopping`` tells the caller
        to end. It is not done more often, because Ray Train takes one report per poll of its controller. It is written
        beside the steps that follow, and is whole when this returns at the end of a run. Every rank must call it after
        every step.

        Args:
            cursor: where the data stands, as JSON values; a resumed run finds it in ``self.cursor``.
            may_save: asked before a checkpoint that is due, and may wait; the same answer on every rank.
            last: the run ends here, for now.
        """
        self.stopping = asked_to_stop(self.config.out, self.policy.parallel)
        ends = self.finished or self.stopping or last
        self._log_saved(self._writer.finished())  # a fault of the thread is raised here
        saves = self.step != self._saved_step and (ends or self.step % self.config.checkpoint_every == 0) and may_save()
        if saves:
            with self.timed("checkpoints"):
                self._log_saved(self._writer.save(cursor))
            self.cost.hold(self._writer.copy_bytes)
            self._saved_step = self.step
            train.report({**metrics, "step": self.step})
        if ends:
            with self.timed("checkpoints"):
                self._log_saved(self._writer.wait())
        return saves

    def _log_saved(self, saved: Saved | None) -> None:
        """Say what a checkpoint cost, once it is whole."""
        if saved is not None:
            seconds = {name: getattr(saved, name) for name in ("seconds_wait", "seconds_copy", "seconds_write")}
            step = saved.step // self.config.updates_per_step
            kind = {"bytes": saved.bytes, "is_copied": saved.is_copied}
            self.log({"stage": CHECKPOINT_STAGE, "step": step, **seconds, **kind})

    def write_model(self) -> None:
        """Write OUT/model, which transformers and vLLM load."""
        with self.timed("export"):
            export(self.policy, self.config.model, self.config.out / MODEL)


def steps_done(config: TrainingConfig) -> int:
    """Return how many batches the newest checkpoint of a run is done with; 0 if it has none."""
    checkpoints = finished(config.out / CHECKPOINTS)
    return checkpoints[0][0] // config.updates_per_step if checkpoints else 0


def _settings(config: TrainingConfig, temperature: float) -> PolicySettings:
    return PolicySettings(
        optimizer=config.optimizer,
        total_steps=config.num_steps * config.updates_per_step,
        temperature=temperature,
        gradient_checkpointing=config.gradient_checkpointing,
        trained=config.trained,
        hardware=config.hardware,
    )


def make_trainer(
    train_loop: Any, arguments: Mapping[str, Any], config: TrainingConfig, *, need: RoleNeed, callbacks: Any = ()
) -> TorchTrainer:
    """Make a TorchTrainer of a new name: it resumes from OUT/checkpoints and not from Ray's storage.

    Args:
        need: what the workers get.
        callbacks: Ray Train's, e.g. those of Tune.
    """
    scaling_config = scaling(need)
    RunDir(path=config.out, resumed=True).log({"stage": TIME, "part": LAUNCH, "time": time.time()})
    own = {"loop": train_loop, "config": config, "token": write_token(config.out)}
    return TorchTrainer(
        run_worker,
        train_loop_config={**own, **arguments},
        torch_config=TorchConfig(backend=backend_of(scaling_config.use_gpu), timeout_s=COLLECTIVE_TIMEOUT_S),
        scaling_config=scaling_config,
        run_config=RunConfig(
            name=f"{time.time_ns()}",
            storage_path=str((config.out / RAY_STORAGE).absolute()),
            # Without end by default: where there is no room, ``fit_where_there_is_room`` says so and waits.
            failure_config=FailureConfig(max_failures=config.max_failures, controller_failure_limit=0),
            callbacks=[EndAtUserError(), *callbacks],
        ),
    )


def backend_of(use_gpu: bool) -> str:
    """Return what carries tensors between ranks: on GPUs gloo too, for what is offloaded to host memory."""
    return "cpu:gloo,cuda:nccl" if use_gpu else "gloo"


def fit(make: Callable[[], TorchTrainer], needs: Sequence[RoleNeed], max_failures: int) -> None:
    """Fit in a thread, where there is room: in the main thread Ray would take over Ctrl-C, which is the caller's.

    Args:
        make: returns a new trainer.
        needs: what has to be placed for it.
        max_failures: how often workers may be lost while they start.

    Raises:
        UserError: a worker met one.
        Exception: any other fault of the workers.
    """
    fault: list[Exception] = []

    def fit_and_keep_fault() -> None:
        try:
            fit_where_there_is_room(make, needs, max_failures)
        except Exception as error:
            fault.append(error)

    thread = threading.Thread(target=fit_and_keep_fault, daemon=True)  # a daemon, so that Ctrl-C ends the process
    thread.start()
    while thread.is_alive():
        thread.join(0.2)  # a wait without end would not notice Ctrl-C
    for error in fault:
        raise error_behind(error, UserError) or error from error
