"""Rows of an evaluation that is not finished: a file for each chunk, whole or absent.

A killed evaluation asks the chunks that are missing. At the end, one file takes their place.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from temporay.operators.scoring.evaluation import EvaluationRow, read_rows, write_rows


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The rows of one model. ``path`` appears when all are there; until then a folder beside it holds chunks."""

    path: Path

    @property
    def is_whole(self) -> bool:
        return self.path.exists()

    def whole(self) -> list[EvaluationRow]:
        """Return all rows of a finished evaluation."""
        return read_rows(self.path)

    def of_chunk(self, chunk: int) -> list[EvaluationRow] | None:
        """Return the rows of a chunk, or None if it was not answered yet."""
        path = self._chunk_path(chunk)
        return read_rows(path) if path.exists() else None

    def keep(self, chunk: int, rows: Sequence[EvaluationRow]) -> None:
        """Write the rows of a chunk.

        Raises:
            UserError: the folder cannot be written, or the disk is full.
        """
        path = self._chunk_path(chunk)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(path, rows)

    def finish(self, rows: Sequence[EvaluationRow]) -> None:
        """Write all rows into one file and remove those of the chunks.

        Raises:
            UserError: the folder cannot be written, or the disk is full.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(self.path, rows)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self.path.with_name(f".{self.path.name}.chunks")

    def _chunk_path(self, chunk: int) -> Path:
        return self._folder / f"{chunk:06d}.jsonl"
