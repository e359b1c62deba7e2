"""Published annotation files → rows whose fields are checked: JSON, JSON lines, CSV and parquet."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.lib
import pyarrow.parquet
from temporay.operators.errors import UserError

UTF_8 = "utf-8-sig"  # editors and tables on Windows put a mark before the text
READ_ERRORS = (OSError, ValueError, csv.Error, pyarrow.lib.ArrowException)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an annotation file, which knows where it stands."""

    fields: Mapping[str, Any]
    where: str  # the file, and the number or key of the row

    def text(self, *names: str) -> str:
        """Return the text of the first of these fields that the row has; numbers are written as text."""
        value = self.value(*names)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.fault(f"{names[0]!r} is {value!r}, which is no text")
        return str(value)

    def number(self, *names: str) -> float:
        """Return the number of the first of these fields that the row has."""
        value = self.value(*names)
        try:
            return float(value)
        except (TypeError, ValueError):
            raise self.fault(f"{names[0]!r} is {value!r}, which is no number") from None

    def numbers(self, *names: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        value = self.value(*names)
        try:
            return tuple(float(one) for one in value)
        except (TypeError, ValueError):
            raise self.fault(f"{names[0]!r} is {value!r}, which is no list of numbers") from None

    def texts(self, *names: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.value(*names)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.fault(f"{names[0]!r} is {value!r}, which is no list of texts")
        return tuple(value)

    def value(self, *names: str) -> Any:
        """Return the first of these fields that the row has."""
        for name in names:
            if self.fields.get(name) is not None:
                return self.fields[name]
        raise self.fault(f"it has no {' or '.join(map(repr, names))}")

    def index_of(self, answer: str, options: Sequence[str]) -> int:
        """Return the position of the right option, the first of those that say the same.

        Raises:
            UserError: no option says what the answer says.
        """
        if answer not in options:
            raise self.fault(f"the answer {answer!r} is not among the options {options!r}")
        return options.index(answer)

    def fault(self, why: str) -> UserError:
        """Return an error that names the row."""
        return UserError(f"{self.where}: {why}; the file is damaged or of another release: download it again")


def find_file(folder: Path, names: Sequence[str], how_to_get: str) -> Path:
    """Return the first of these files, or patterns of names, that is in a folder.

    Raises:
        UserError: there is none of them.
    """
    for name in names:
        for path in sorted(folder.glob(name)):
            return path
    raise UserError(f"{folder} has no {' or '.join(names)}; {how_to_get}")


def placed(folder: Path, paths: Sequence[str]) -> str:
    """Return the first of these paths in a folder that exists; where nothing is there, the first."""
    return next((path for path in paths if (folder / path).exists()), paths[0])


def read_rows(path: Path) -> list[Row]:
    """Read a list of objects, also as ``items`` of an object, lines of objects, or a table. Rows count from 1.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    try:
        rows = list(_rows_in(path))
    except READ_ERRORS as error:
        raise UserError(f"{path} cannot be read ({error}); download it again") from error
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path} holds no list of questions; it is damaged or of another release: download it again")
    return [Row(row, f"{path}, row {number}") for number, row in enumerate(rows, start=1)]


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: the file cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding=UTF_8))
    except READ_ERRORS as error:
        raise UserError(f"{path} cannot be read ({error}); download it again") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object; it is damaged or of another release: download it again")
    return value


def lines_of(path: Path) -> list[str]:
    """Return the lines of a text, which end at a line feed alone: other separators may stand in a question."""
    return path.read_text(encoding=UTF_8).removesuffix("\n").split("\n")


def _rows_in(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        yield from pyarrow.parquet.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        with path.open(encoding=UTF_8, newline="") as file:
            yield from csv.DictReader(file)
    elif path.suffix == ".jsonl":
        yield from (json.loads(line) for line in lines_of(path) if line.strip())
    else:
        rows = json.loads(path.read_text(encoding=UTF_8))
        rows = rows.get("items") if isinstance(rows, dict) else rows
        yield from rows if isinstance(rows, list) else []
