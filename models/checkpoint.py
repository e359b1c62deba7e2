"""State that survives: sharded checkpoints with a manifest.

A checkpoint is a folder ``step-00000010`` of torch's distributed checkpoint files. It holds trained weights, the
optimizer, and the states of torch's random generators, the only ones that training uses. ``manifest.json`` is written
last. It has the step, the schedule, a fingerprint of the weights that are not trained and so not saved, the position in
the data, size and SHA-256 of every file, and a SHA-256 of its own content. Without it the folder does not count. Files
that do not match it are never loaded.
"""

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from temporay.models.parallel import local_part
from temporay.models.policy import Policy
from temporay.operators.errors import UserError
from temporay.operators.files import sha256_of, write_text
from torch import Tensor
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

MANIFEST = "manifest.json"
FOLDER = re.compile(r"step-(\d{8})")
SCHEMA_VERSION = 3  # version of the manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest checkpoint that is whole, and what is wrong with newer ones."""

    path: Path | None
    step: int
    rejected: tuple[str, ...]

    @property
    def message(self) -> str:
        """One line for the person who started the run; empty when nothing was wrong."""
        if not self.rejected:
            return ""
        return f"not whole: checkpoint {'; '.join(self.rejected)}; resuming from step {self.step}"


def save(policy: Policy, root: Path, *, keep: int, cursor: Mapping[str, Any] | None = None) -> Path:
    """Write weights, optimizer, step and random state of all ranks; then delete the oldest beyond ``keep``.

    Every rank must call it; ``root`` must be one folder that all ranks can read.

    Args:
        cursor: the position in the data, as JSON values; ``load`` returns it.
    """
    path = root / _folder_name(policy.step_index)
    if policy.parallel.rank == 0:
        shutil.rmtree(path, ignore_errors=True)  # remains of a killed save
        path.mkdir(parents=True)
    policy.parallel.barrier()
    state = _state(policy) | _random_state(policy)
    with _single_process_is_meant():
        state_dict_saver.save(state, checkpoint_id=path)
    fingerprint = frozen_fingerprint(policy)
    policy.parallel.barrier()
    if policy.parallel.rank == 0:
        _write_manifest(path, policy, fingerprint, cursor or {})
        _prune(root, keep, policy.step_index)
    policy.parallel.barrier()
    return path


def load(policy: Policy, path: Path) -> Mapping[str, Any]:
    """Put a policy back where it was, resharded when the number of ranks changed. Every rank must call it.

    Random states are restored only if the number of ranks is the same. ``latest`` has verified the files.

    Returns:
        The ``cursor`` that was saved.

    Raises:
        UserError: the checkpoint is of another schedule, another optimizer, another choice of trained weights, or
            another starting model.
    """
    manifest = json.loads((path / MANIFEST).read_text())
    if manifest["schedule"] != _schedule(policy):
        raise UserError(
            f"{path} was saved under other optimizer settings, another number of steps or other trained weights "
            f"({manifest['schedule']}, now {_schedule(policy)}); give the same, or another --out"
        )
    fingerprint = frozen_fingerprint(policy)
    if manifest["frozen"] != fingerprint:
        raise UserError(
            f"{path} has only trained weights, and belongs to a model whose others are {manifest['frozen']}, not "
            f"{fingerprint}; give the model the run started from, or another --out"
        )
    state = _state(policy)
    if manifest["world_size"] == policy.parallel.world_size:
        state |= _random_state(policy)
    with _single_process_is_meant():
        state_dict_loader.load(state, checkpoint_id=path)
    lacking = set_state_dict(
        policy.model,
        policy.optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
        options=StateDictOptions(strict=False),
    )
    if lacking.unexpected_keys or not frozen_names(policy).issuperset(lacking.missing_keys):
        raise RuntimeError(f"{path} does not fit the model: {lacking}")
    policy.step_index = manifest["step"]
    for name, tensor in state.items():
        if name == f"cpu_random_{policy.parallel.rank}":
            torch.set_rng_state(tensor)
        elif name == f"cuda_random_{policy.parallel.rank}":
            torch.cuda.set_rng_state(tensor, policy.parallel.device)
    cursor: Mapping[str, Any] = manifest["cursor"]
    return cursor


def latest(root: Path) -> Latest:
    """Find the newest checkpoint in which every byte is as it was written.

    Raises:
        UserError: there are finished checkpoints, but none of them is whole.
    """
    rejected: list[str] = []
    for step, path in sorted(_folders(root), reverse=True):
        if not (path / MANIFEST).exists():
            continue  # never finished
        fault = verify(path)
        if fault is None:
            return Latest(path=path, step=step, rejected=tuple(rejected))
        rejected.append(f"{path.name}: {fault}")
    if rejected:
        raise UserError(f"no checkpoint in {root} is whole ({'; '.join(rejected)}); restore one, or give another --out")
    return Latest(path=None, step=0, rejected=())


def verify(path: Path) -> str | None:
    """Return what is wrong with a finished checkpoint, or None."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        if manifest["schema_version"] != SCHEMA_VERSION:
            return f"{MANIFEST} is of version {manifest['schema_version']}, not {SCHEMA_VERSION}"
        if manifest.pop("sha256") != _sha256_of_json(manifest):
            return f"{MANIFEST} is not what was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{MANIFEST} cannot be read ({type(error).__name__}: {error})"
    if path.name != _folder_name(manifest["step"]):
        return f"{MANIFEST} is of step {manifest['step']}"
    faults = (_fault_of(path / name, expected) for name, expected in manifest["files"].items())
    return next((fault for fault in faults if fault), None)


def _fault_of(file: Path, expected: Mapping[str, Any]) -> str | None:
    """Return what is wrong with one file; sizes are compared first, which costs nothing."""
    try:
        if file.stat().st_size != expected["bytes"]:
            return f"{file.name} has {file.stat().st_size} bytes, not {expected['bytes']}"
        if sha256_of(file) != expected["sha256"]:
            return f"{file.name} is not what was written"
    except FileNotFoundError:
        return f"{file.name} is missing"
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror})"
    return None


@contextmanager
def _single_process_is_meant() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled, unavailable or uninitialized")
        yield


def frozen_names(policy: Policy) -> frozenset[str]:
    """Return the names of parameters that are not trained; a tied one has several."""
    named = policy.model.named_parameters(remove_duplicate=False)
    return frozenset(name for name, parameter in named if not parameter.requires_grad)


@torch.no_grad()
def frozen_fingerprint(policy: Policy) -> str:
    """Hash the weights that are not trained into 16 hex digits, for any sharding; every rank must call it.

    It is a sum of bits by parameter. Two models do not share it by chance, but it is no protection against forgery.
    """
    named = [(name, p) for name, p in policy.model.named_parameters() if not p.requires_grad]
    if not named:
        return ""
    shards = [local_part(p) for _, p in named]
    bits = {2: torch.int16, 4: torch.int32}
    sums = [shard.contiguous().view(bits[shard.element_size()]).sum(dtype=torch.int64) for shard in shards]
    totals = policy.parallel.sum(torch.stack(sums)).tolist()
    return _sha256_of_json([(name, list(p.shape), n) for (name, p), n in zip(named, totals, strict=True)])[:16]


def _state(policy: Policy) -> dict[str, Any]:
    model, optimizer = get_state_dict(policy.model, policy.optimizer)
    frozen = frozen_names(policy)
    return {"model": {name: value for name, value in model.items() if name not in frozen}, "optimizer": optimizer}


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


def _write_manifest(path: Path, policy: Policy, fingerprint: str, cursor: Mapping[str, Any]) -> None:
    files = {f.name: {"bytes": f.stat().st_size, "sha256": sha256_of(f)} for f in sorted(path.iterdir())}
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "step": policy.step_index,
        "world_size": policy.parallel.world_size,
        "schedule": _schedule(policy),
        "frozen": fingerprint,
        "cursor": dict(cursor),
        "files": files,
    }
    write_text(path / MANIFEST, json.dumps({**manifest, "sha256": _sha256_of_json(manifest)}, indent=1))
    _sync_folder(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut, as ``fsync`` does for bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder_name(step: int) -> str:
    return f"step-{step:08d}"


def _folders(root: Path) -> list[tuple[int, Path]]:
    """Return steps and folders of all checkpoints, finished or not."""
    matches = [(FOLDER.fullmatch(path.name), path) for path in root.glob("step-*")]
    return [(int(match[1]), path) for match, path in matches if match]


def _prune(root: Path, keep: int, step: int) -> None:
    """Delete all but the newest ``keep`` finished checkpoints up to ``step``, which has just become whole.

    Later ones belong to a run that could not resume from them. If they counted, whole ones would be deleted instead.
    """
    found = sorted(_folders(root))
    finished = [path for n, path in found if n <= step and (path / MANIFEST).exists()]
    for _, path in found:
        if path not in finished[-keep:]:
            shutil.rmtree(path)


def _sha256_of_json(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
