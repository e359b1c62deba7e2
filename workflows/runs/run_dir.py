"""The folder of a run: config.json first, metrics.jsonl as it goes, summary.json last.

Running a command again on the same folder resumes; with another configuration it is refused, the difference shown.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from temporay.operators.errors import UserError
from temporay.operators.files import read_json, write_json, write_text
from temporay.operators.settings import Settings
from temporay.workflows.config import difference, to_json
from temporay.workflows.runs.owner import own

METRICS, SECONDS, SUMMARY = "metrics.jsonl", "seconds.json", "summary.json"
TIME = "time"  # the stage of lines in metrics.jsonl about time that was spent; they stay when steps are taken again
WHERE = "out"  # a setting that says where the run is and not what it is: a moved folder goes on
BEGIN_AGAIN = "restore it, or begin again with another --out"  # advice about a damaged file of a run
MAX_DIFFERENCES = 10  # settings that a message shows
VERSIONED = ("temporay", "torch", "transformers", "ray", "trl")


@dataclass(slots=True)
class RunDir:
    """A run's folder and the seconds its stages took, those of earlier calls included."""

    path: Path
    resumed: bool
    seconds: dict[str, float] = field(default_factory=dict)
    earlier: Mapping[str, Any] = field(default_factory=dict)  # settings of the call before this one
    is_run: bool = False  # opened by its configuration; a dataset's folder holds nothing that changes with the clock

    @classmethod
    def open(cls, path: Path, config: Settings, *, kind: str, may_change: Sequence[str] = ()) -> RunDir:
        """Create the folder, or find the same run in it.

        Args:
            may_change: dotted names of settings that say how a run is done and not what it gives, e.g. its number of
                workers; with a name go those below it. ``num_steps`` among them may only grow once a run is finished,
                which is then not finished any more.

        Raises:
            UserError: it cannot be written, another process writes it, or it holds a run with other settings.
        """
        wanted = {"command": kind, **to_json(config)}
        config_path = path / "config.json"
        try:
            path.mkdir(parents=True, exist_ok=True)
            own(path)
            if config_path.exists():
                found = read_json(config_path, BEGIN_AGAIN)
                if all_changed := _changed_settings(path, found, wanted, may_change):
                    print(f"{kind}: goes on with other settings: {shortly(all_changed)}", flush=True)
                if _has_more_steps(path / SUMMARY, found, wanted):
                    (path / SUMMARY).unlink()
                clock = path / SECONDS
                seconds = read_json(clock, BEGIN_AGAIN) if clock.exists() else {}
                if found != wanted:
                    write_json(config_path, wanted)
                return cls(path=path, resumed=True, seconds=seconds, earlier=found, is_run=True)
            write_json(config_path, wanted)
        except OSError as error:
            raise _not_writable(path, error) from error
        return cls(path=path, resumed=False, is_run=True)

    @property
    def metrics_path(self) -> Path:
        return self.path / METRICS

    @property
    def summary_path(self) -> Path:
        return self.path / SUMMARY

    def summary(self) -> dict[str, Any] | None:
        """Return the summary of a finished run, or None."""
        return read_json(self.summary_path, BEGIN_AGAIN) if self.summary_path.exists() else None

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, also one that is interrupted, and print its name when it begins."""
        start = time.monotonic()
        print(f"[{name}]", flush=True)
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 1)
            if self.is_run:
                write_json(self.path / SECONDS, self.seconds)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Log the seconds that a part of a stage takes."""
        start = time.monotonic()
        yield
        self.log_seconds(part, time.monotonic() - start)

    def log_seconds(self, part: str, seconds: float) -> None:
        """Log that a part of a stage took so long."""
        self.log({"stage": TIME, "part": part, "seconds": round(seconds, 3)})

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one line to metrics.jsonl, of finite numbers. A line that a kill cut short is ended first."""
        with self.metrics_path.open("a+b") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(finite(row), allow_nan=False).encode() + b"\n")

    def rows(self, *stages: str) -> list[dict[str, Any]]:
        """Return the lines of metrics.jsonl that some stages wrote, in order. Torn lines are left out."""
        rows = map(whole_row, _lines(self.metrics_path))
        return [row for row in rows if row is not None and row.get("stage") in stages]

    def drop_from(self, stage: str, first_step: int) -> None:
        """Drop what a stage logged from a step on, because a resumed run takes these steps again.

        What its workers logged when they started stays. A line that a kill cut short goes, whoever wrote it.
        """
        rows = [(line, whole_row(line)) for line in _lines(self.metrics_path)]
        kept = [
            line
            for line, row in rows
            if row is not None and (row.get("stage") != stage or row["step"] < first_step or "pid" in row)
        ]
        write_text(self.metrics_path, "".join(f"{line}\n" for line in kept))

    def finish(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Write summary.json; its existence says that the run is complete."""
        summary = {**result, "seconds": self.seconds, "versions": {name: version(name) for name in VERSIONED}}
        write_json(self.summary_path, summary)
        return summary


def finite(value: Any) -> Any:
    """Return a value without numbers that JSON does not have: in a table they are left out, in a list they are null."""
    if isinstance(value, Mapping):
        return {name: finite(inner) for name, inner in value.items() if not _is_no_number(inner)}
    if isinstance(value, list | tuple):
        return [None if _is_no_number(inner) else finite(inner) for inner in value]
    return value


def _is_no_number(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def shortly(lines: Sequence[str]) -> str:
    """Return the first of some lines as one, and how many are left."""
    left = len(lines) - MAX_DIFFERENCES
    return "; ".join([*lines[:MAX_DIFFERENCES], *([f"and {left} more"] if left > 0 else [])])


def check_writable(path: Path) -> None:
    """Refuse a folder that cannot be written, before anything starts. It is left as it was.

    Raises:
        UserError: it cannot be made, or no file can be written there.
    """
    missing: list[Path] = []
    try:
        missing += [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=path).close()
    except OSError as error:
        raise _not_writable(path, error) from error
    finally:
        for folder in missing:
            with suppress(OSError):  # it was not made, or another process has written there
                folder.rmdir()


def _not_writable(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot write to {path}: {error.strerror}; give --out a folder you may write to")


def part_of(stage: str, part: str) -> str:
    """Return the name of a part in a run of several stages."""
    return f"{stage}/{part}"


def _is_below(name: str, names: Sequence[str]) -> bool:
    """Return whether a dotted name is one of some names or below it."""
    return any(f"{name}.".startswith(f"{other}.") for other in names)


def finished_summary(path: Path, config: Settings, *, kind: str, may_change: Sequence[str]) -> dict[str, Any] | None:
    """Return the summary of the same run, if it is finished and gets no more steps; change nothing.

    Raises:
        UserError: the folder holds a run with other settings.
    """
    config_path, summary = path / "config.json", path / SUMMARY
    if not config_path.exists():
        return None
    found, wanted = read_json(config_path, BEGIN_AGAIN), {"command": kind, **to_json(config)}
    _changed_settings(path, found, wanted, may_change)
    goes_on = not summary.exists() or _has_more_steps(summary, found, wanted)
    return None if goes_on else read_json(summary, BEGIN_AGAIN)


def _changed_settings(
    path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], may_change: Sequence[str]
) -> list[str]:
    """Return the differences of two runs, a line each.

    Raises:
        UserError: they are of different commands, or one is of a setting that may not change.
    """
    if found.get("command") != wanted["command"]:
        raise UserError(
            f"{path} holds a run of {found.get('command', 'no known command')}, not of {wanted['command']}; give "
            "another --out"
        )
    before, after = ({name: tree[name] for name in tree if name != WHERE} for tree in (found, wanted))
    all_changed = difference(before, after)
    changed = [line for line in all_changed if not _is_below(line.partition(":")[0], may_change)]
    if changed:
        raise UserError(
            f"{path} holds a run with other settings; give another --out, or the same settings. "
            f"Different: {shortly(changed)}"
        )
    return all_changed


def _has_more_steps(summary: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether a finished run is to go on.

    Raises:
        UserError: it is to have fewer steps.
    """
    before, after = found.get("num_steps"), wanted.get("num_steps")
    if before is None or after is None or before == after or not summary.exists():
        return False
    if after < before:
        raise UserError(
            f"{summary.parent} has finished {before} steps, and num_steps is now {after}; give at least as many, "
            "or another --out"
        )
    return True


def whole_row(line: str) -> dict[str, Any] | None:
    """Return a line of metrics.jsonl as a row; None for a torn line."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.exists() else []
