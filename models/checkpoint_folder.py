"""Folders of checkpoints: whole, or never loaded.

A folder ``step-00000010`` holds files of torch's distributed checkpoint. ``manifest.json`` is written last. It has the
step, the schedule, a fingerprint of the weights that are not trained and so not saved, the position in the data, size
and SHA-256 of every file, and a SHA-256 of its own content. Without it the folder does not count. Files that do not
match it are never loaded. Ranks share the reading.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from temporay.models.parallel import Parallel, this_process
from temporay.operators.errors import UserError
from temporay.operators.files import sha256_of, write_text

MANIFEST = "manifest.json"
FOLDER = re.compile(r"step-(\d{8})")
SCHEMA_VERSION = 4  # version of the manifest


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


def latest(root: Path, parallel: Parallel | None = None) -> Latest:
    """Find the newest checkpoint in which every byte is as it was written. Every rank must call it.

    Args:
        parallel: the ranks that share the reading; None: the default process group, or this process alone.

    Raises:
        UserError: there are finished checkpoints, but none of them is whole.
    """
    parallel = parallel or this_process(torch.device("cpu"))
    rejected: list[str] = []
    for step, path in parallel.from_rank_0(finished(root)):
        fault = verify(path, parallel)
        if fault is None:
            return Latest(path=path, step=step, rejected=tuple(rejected))
        rejected.append(f"{path.name}: {fault}")
    if rejected:
        raise UserError(f"no checkpoint in {root} is whole ({'; '.join(rejected)}); restore one, or give another --out")
    return Latest(path=None, step=0, rejected=())


def finished(root: Path) -> list[tuple[int, Path]]:
    """Return steps and folders of finished checkpoints, the newest first."""
    return [(step, path) for step, path in sorted(_folders(root), reverse=True) if (path / MANIFEST).exists()]


def verify(path: Path, parallel: Parallel) -> str | None:
    """Return what is wrong with a finished checkpoint, or None, on every rank alike. Every rank must call it."""
    files, fault = parallel.from_rank_0(_listed(path) if parallel.rank == 0 else None)
    if fault is None:
        names = sorted(files)[parallel.rank :: parallel.world_size]
        faults = (fault_of(path / name, files[name]) for name in names)
        fault = next((found for found in faults if found), None)
    return next((found for found in parallel.gathered(fault) if found), None)


def _listed(path: Path) -> tuple[dict[str, Any], str | None]:
    """Read which files a checkpoint must have, and what is wrong with its manifest."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        if manifest["schema_version"] != SCHEMA_VERSION:
            return {}, f"{MANIFEST} is of version {manifest['schema_version']}, not {SCHEMA_VERSION}"
        if manifest.pop("sha256") != sha256_of_json(manifest):
            return {}, f"{MANIFEST} is not what was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {}, f"{MANIFEST} cannot be read ({type(error).__name__}: {error})"
    if path.name != folder_name(manifest["step"]):
        return {}, f"{MANIFEST} is of step {manifest['step']}"
    return manifest["files"], None


def fault_of(file: Path, expected: Mapping[str, Any]) -> str | None:
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


def identity_of(file: Path) -> dict[str, Any]:
    """Return what ``fault_of`` compares a file with."""
    return {"bytes": file.stat().st_size, "sha256": sha256_of(file)}


def write_manifest(path: Path, content: Mapping[str, Any]) -> None:
    """Make a checkpoint count; its files must be there."""
    manifest = {"schema_version": SCHEMA_VERSION, **content}
    write_text(path / MANIFEST, json.dumps({**manifest, "sha256": sha256_of_json(manifest)}, indent=1))
    _sync_folder(path)
    _sync_folder(path.parent)


def prune(root: Path, keep: int, step: int) -> None:
    """Delete all but the newest ``keep`` finished checkpoints up to ``step``, which has just become whole.

    Later ones belong to a run that could not resume from them. If they counted, whole ones would be deleted instead.
    """
    found = sorted(_folders(root))
    finished = [path for n, path in found if n <= step and (path / MANIFEST).exists()]
    for _, path in found:
        if path not in finished[-keep:]:
            shutil.rmtree(path)


def folder_name(step: int) -> str:
    """Return the name of a checkpoint's folder."""
    return f"step-{step:08d}"


def sha256_of_json(value: object) -> str:
    """Hash JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _folders(root: Path) -> list[tuple[int, Path]]:
    """Return steps and folders of all checkpoints, finished or not."""
    matches = [(FOLDER.fullmatch(path.name), path) for path in root.glob("step-*")]
    return [(int(match[1]), path) for match, path in matches if match]


def _sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut, as ``fsync`` does for bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
