"""Follows a metrics.jsonl that a run writes, through every time that a resumed run takes lines back.

RUN/metrics.jsonl → MetricsTail → the numbers of every step that are new
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from temporay.workflows.runs.run_dir import whole_row


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One line of metrics.jsonl about a step, its numbers by name; those of nested tables as ``outer/inner``."""

    stage: str
    step: int
    values: Mapping[str, float]


@dataclass(slots=True)
class MetricsTail:
    """The lines of a metrics.jsonl that is written and, when a run resumes, replaced by a shorter one."""

    path: Path
    _file: IO[bytes] | None = None  # kept open, so that a file that replaces it has another inode
    _rest: bytes = b""  # of a line that is still being written

    def read(self) -> tuple[bool, list[StepRow]]:
        """Return whether another file has replaced the one read before, and the rows that are new."""
        anew = self._file is None or not self._is_current(self._file)
        if anew:
            self.close()
            if not self.path.exists():
                return False, []
            self._file, self._rest = self.path.open("rb"), b""
        assert self._file is not None
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        found = [step_row(line.decode(errors="replace")) for line in lines]
        return anew, [row for row in found if row is not None]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_current(self, file: IO[bytes]) -> bool:
        try:
            ours, now = os.fstat(file.fileno()), self.path.stat()
        except OSError:  # a network file system may forget a file that was replaced
            return False
        return (ours.st_ino, ours.st_dev) == (now.st_ino, now.st_dev) and now.st_size >= file.tell()


def step_row(line: str) -> StepRow | None:
    """Return the numbers of a line about a step; None for a torn line and for a start of workers."""
    row = whole_row(line)
    if row is None or "step" not in row or "stage" not in row or "pid" in row:
        return None
    values = dict(row_numbers(row))
    return StepRow(stage=row["stage"], step=row["step"], values=values) if values else None


def row_numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every number of a row but its step, by name."""
    return numbers({name: value for name, value in row.items() if name not in ("stage", "step")})


def numbers(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of a tree of tables with its path. Lists, words and truth values are left out."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", float(value)
