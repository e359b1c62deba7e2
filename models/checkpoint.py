"""State that survives: sharded checkpoints, written beside the steps that follow.

state of a rank → copy in host memory (the step waits for this alone) → thread: files → hashes of the rank's own files →
all ranks: manifest (rank 0), which makes the checkpoint count

A checkpoint holds trained weights, the optimizer, and the states of torch's random generators, the only ones that
training uses. The copy takes as much host memory as the saved state of the rank: with AdamW 12 bytes per trained
weight, divided by the number of ranks. It stays allocated, so that a run cannot run out of memory at a later save.
Where a host has no room for it at the first save, there is no copy, and the steps wait until the files are written.
Ranks wait for files in a gloo group of the thread's own, so that no watchdog of NCCL counts the time.
"""

import json
import math
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from temporay.models.checkpoint_folder import MANIFEST, folder_name, identity_of, prune, write_manifest
from temporay.models.frozen import frozen_fingerprint, frozen_names
from temporay.models.parallel import local_part
from temporay.models.policy import Policy
from temporay.operators.errors import UserError
from temporay.operators.files import STORAGE_ERRORS
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A whole checkpoint and what it cost."""

    path: Path
    step: int  # optimizer steps
    seconds_copy: float  # in which the step waited for the copy
    seconds_wait: float  # in which the step waited for the checkpoint before, which was still being written
    seconds_write: float  # beside the steps, if there was a copy
    is_copied: bool
    bytes: int  # of all ranks


class CheckpointWriter:
    """Writes one rank's part of every checkpoint. Every rank must make the same calls."""

    def __init__(
        self, policy: Policy, root: Path, *, keep: int, spare_bytes: Callable[[], float] = lambda: math.inf
    ) -> None:
        """Prepare to write into a folder that all ranks can read; the oldest checkpoints beyond ``keep`` go.

        Args:
            spare_bytes: returns the host memory that this rank may still take; asked at the first save.
        """
        _allow_single_process()
        on_gpu = policy.parallel.device.type == "cuda"
        self._policy, self._root, self._keep = policy, root, keep
        self._fingerprint = frozen_fingerprint(policy)
        self._spare_bytes = spare_bytes
        self._copies: bool | None = None  # None: no save yet
        self._stager = DefaultStager(
            StagingOptions(
                use_pinned_memory=on_gpu,
                use_shared_memory=False,
                use_async_staging=False,
                use_non_blocking_copy=on_gpu,
            )
        )
        self._files = policy.parallel.with_own_file_group()
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[Saved] | None = None

    def save(self, cursor: Mapping[str, Any] | None = None) -> Saved | None:
        """Copy the state as it is now and begin to write it; return the checkpoint before, if it was still awaited.

        Where there is no room for a copy, the state is written before this returns.

        Args:
            cursor: the position in the data, as JSON values; ``load`` returns it.

        Raises:
            Exception: writing the checkpoint before failed.
        """
        start = time.perf_counter()
        before = self.wait()
        waited = time.perf_counter()
        policy = self._policy
        state: Any = _state(policy) | _random_state(policy)
        if self._copies is None:
            self._copies = self._fits(trained_state_bytes(policy))
        if self._copies:
            state = self._stager.stage(state)
        content = {
            "step": policy.step_index,
            "world_size": policy.parallel.world_size,
            "schedule": _schedule(policy),
            "frozen": self._fingerprint,
            "cursor": dict(cursor or {}),
        }
        seconds = {"seconds_wait": waited - start, "seconds_copy": time.perf_counter() - waited}
        self._pending = self._thread.submit(self._write, state, content, seconds)
        if not self._copies:
            wait([self._pending])  # its fault is raised where it is awaited
        return before

    @property
    def copy_bytes(self) -> int:
        """Bytes of host memory that the copy holds on this rank."""
        return trained_state_bytes(self._policy) if self._copies else 0

    def _fits(self, num_bytes: int) -> bool:
        """Return whether every rank has room for its copy."""
        num_short = torch.tensor([float(num_bytes > self._spare_bytes())])
        return not self._policy.parallel.sum(num_short).item()

    def wait(self) -> Saved | None:
        """Wait for the checkpoint that is being written and return it; None when it has been returned already.

        Raises:
            Exception: writing it failed.
        """
        pending, self._pending = self._pending, None
        return None if pending is None else pending.result()

    def finished(self) -> Saved | None:
        """Return what ``wait`` would, unless it would wait."""
        return self.wait() if self._pending is not None and self._pending.done() else None

    def _write(self, state: Any, content: Mapping[str, Any], seconds: Mapping[str, float]) -> Saved:
        path = self._root / folder_name(content["step"])
        try:
            return self._write_files(path, state, content, seconds)
        except (OSError, CheckpointException) as error:
            raise _fault_of_writing(path, error) from error

    def _write_files(self, path: Path, state: Any, content: Mapping[str, Any], seconds: Mapping[str, float]) -> Saved:
        start = time.perf_counter()
        parallel, step = self._files, content["step"]
        if parallel.rank == 0:
            shutil.rmtree(path, ignore_errors=True)  # remains of a killed save
            path.mkdir(parents=True)
        parallel.wait_for_files()
        state_dict_saver.save(state, checkpoint_id=path, process_group=parallel.files, no_dist=parallel.files is None)
        mine = sorted(path.glob(f"__{parallel.rank}_*")) + ([path / ".metadata"] if parallel.rank == 0 else [])
        parts = parallel.gathered({file.name: identity_of(file) for file in mine})
        files = {name: identity for part in parts for name, identity in sorted(part.items())}
        if parallel.rank == 0:
            write_manifest(path, {**content, "files": files})
            prune(self._root, self._keep, step)
        parallel.wait_for_files()
        return Saved(
            path=path,
            step=step,
            **seconds,
            seconds_write=time.perf_counter() - start,
            is_copied=bool(self._copies),
            bytes=sum(identity["bytes"] for identity in files.values()),
        )


def _fault_of_writing(path: Path, error: OSError | CheckpointException) -> Exception:
    """Return a full or forbidden disk as an error of the user's, anything else as one of ours."""
    failed = [cause for cause, _ in error.failures.values()] if isinstance(error, CheckpointException) else [error]
    for cause in failed:
        if isinstance(cause, OSError) and cause.errno in STORAGE_ERRORS:
            return UserError(f"cannot write {path}: {cause.strerror}; make room for it or give another --out")
    return RuntimeError(f"{path} could not be written: {failed}")


def save(policy: Policy, root: Path, *, keep: int, cursor: Mapping[str, Any] | None = None) -> Path:
    """Write one checkpoint and wait for it; see ``CheckpointWriter``."""
    writer = CheckpointWriter(policy, root, keep=keep)
    writer.save(cursor)
    saved = writer.wait()
    assert saved is not None
    return saved.path


def load(policy: Policy, path: Path) -> Mapping[str, Any]:
    """Put a policy back where it was, resharded when the number of ranks changed. Every rank must call it.

    Random states are restored only if the number of ranks is the same. The number of steps of the whole run may be
    another one, but not less than the steps done. ``latest`` has verified the files.

    Returns:
        The ``cursor`` that was saved.

    Raises:
        UserError: the checkpoint is of another schedule, another optimizer, another choice of trained weights,
            another starting model, or of a later step than the last.
    """
    _allow_single_process()
    manifest = json.loads((path / MANIFEST).read_text())
    _check_schedule(path, manifest, policy)
    _check_frozen(path, manifest, policy)
    parallel = policy.parallel
    state = _state(policy)
    if manifest["world_size"] == parallel.world_size:
        state |= _random_state(policy)
    state_dict_loader.load(state, checkpoint_id=path, process_group=parallel.files, no_dist=parallel.files is None)
    lacking = set_state_dict(
        policy.model,
        policy.optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
        options=StateDictOptions(strict=False),
    )
    if lacking.unexpected_keys or not _left_out(policy).issuperset(lacking.missing_keys):
        raise RuntimeError(f"{path} does not fit the model: {lacking}")
    policy.step_index = manifest["step"]
    for name, tensor in state.items():
        if name == f"cpu_random_{parallel.rank}":
            torch.set_rng_state(tensor)
        elif name == f"cuda_random_{parallel.rank}":
            torch.cuda.set_rng_state(tensor, parallel.device)
    cursor: Mapping[str, Any] = manifest["cursor"]
    return cursor


def load_weights(policy: Policy, path: Path) -> None:
    """Read the trained weights of a checkpoint of any number of ranks, but not its optimizer. Every rank must call it.

    ``verify`` has looked at the files.

    Raises:
        UserError: the checkpoint is of another starting model.
    """
    _allow_single_process()
    _check_frozen(path, json.loads((path / MANIFEST).read_text()), policy)
    left_out = _left_out(policy)
    weights = {name: value for name, value in get_model_state_dict(policy.model).items() if name not in left_out}
    files = policy.parallel.files
    state_dict_loader.load({"model": weights}, checkpoint_id=path, process_group=files, no_dist=files is None)
    set_model_state_dict(policy.model, weights, options=StateDictOptions(strict=False))


def _check_frozen(path: Path, manifest: Mapping[str, Any], policy: Policy) -> None:
    fingerprint = frozen_fingerprint(policy)
    if manifest["frozen"] != fingerprint:
        raise UserError(
            f"{path} has only trained weights, and belongs to a model whose others are {manifest['frozen']}, not "
            f"{fingerprint}; give the model the run started from, or another --out"
        )


def _check_schedule(path: Path, manifest: Mapping[str, Any], policy: Policy) -> None:
    total_steps = policy.settings.total_steps
    saved, now = ({**schedule, "total_steps": 0} for schedule in (manifest["schedule"], _schedule(policy)))
    if saved != now:
        raise UserError(
            f"{path} was saved under other optimizer settings or other trained weights ({manifest['schedule']}, now "
            f"{_schedule(policy)}); give the same, or another --out"
        )
    if total_steps < manifest["step"]:
        raise UserError(
            f"{path} has done {manifest['step']} optimizer steps already, and the run is now to have {total_steps}; "
            "give at least as many, or another --out"
        )


def _allow_single_process() -> None:
    """Let torch save and load without a process group in silence; in threads, filters cannot be set for a while."""
    warnings.filterwarnings("ignore", "torch.distributed is disabled, unavailable or uninitialized")


def _left_out(policy: Policy) -> frozenset[str]:
    """Return the names that are not saved: parameters that are not trained, and second names of tied ones."""
    return frozen_names(policy).union(getattr(policy.model, "all_tied_weights_keys", {}))


def _state(policy: Policy) -> dict[str, Any]:
    model, optimizer = get_state_dict(policy.model, policy.optimizer)
    left_out = _left_out(policy)
    return {"model": {name: value for name, value in model.items() if name not in left_out}, "optimizer": optimizer}


def trained_state_bytes(policy: Policy) -> int:
    """Return the bytes of this rank's trained weights and of the optimizer's tensors."""
    tensors: list[Tensor] = [parameter for parameter in policy.model.parameters() if parameter.requires_grad]
    for state in policy.optimizer.state.values():
        tensors += [value for value in state.values() if isinstance(value, Tensor)]
    return sum(part.nbytes for part in map(local_part, tensors))


def _random_state(policy: Policy) -> dict[str, Tensor]:
    rank = policy.parallel.rank
    state = {f"cpu_random_{rank}": torch.get_rng_state()}
    if policy.parallel.device.type == "cuda":
        state[f"cuda_random_{rank}"] = torch.cuda.get_rng_state(policy.parallel.device)
    return state


def _schedule(policy: Policy) -> dict[str, Any]:
    return {
        "total_steps": policy.settings.total_steps,
        "optimizer": policy.settings.optimizer.model_dump(mode="json"),
        "trained": policy.settings.trained.model_dump(mode="json"),
    }
