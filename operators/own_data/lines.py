r"""Files of lines -> lines, each by its number, or why one cannot be read.

    a.jsonl    one JSON object per line; lines end at "\n" alone. One value over several lines is read as a.json
    a.json     a list of objects, by itself or below one of ``WRAPPERS``; one object; or JSON lines
    a.parquet  one object per row

Text is UTF-8. A line is an object with names, which a form reads.
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.components import available, load
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.own_data.forms._base import Form

FORMS = "temporay.operators.own_data.forms"
SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet")
WRAPPERS = ("data", "samples", "questions", "annotations")  # names below which a file may keep its list
CLIP = "__clip__"  # the path of a line's video, where the line stood in a shard; wins over the form's own

Entry = Mapping[str, Any] | SampleRejected


def read_entries(file: Path) -> Iterator[tuple[int, Entry]]:
    """Yield every line that is not empty with its number, from 1. Names without a value are left out.

    Raises:
        UserError: the file cannot be read, or its name has another ending.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise UserError(f"{file} has none of the endings of own data: {', '.join(SUFFIXES)}")
    if file.exists() and not file.is_file():  # a pipe would be waited for, and it cannot be read again
        raise UserError(f"{file} is no file; write the lines to one, and give that")
    try:
        if file.suffix.lower() == ".parquet":
            yield from _rows(file)
        else:
            yield from _objects(file)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        fault = " ".join(str(error).split())
        raise UserError(f"cannot read {file}: {fault}; give JSON lines or a JSON list in UTF-8, or Parquet") from error


def load_forms() -> dict[str, Form]:
    """Return all forms by name, those of the user's own too."""
    return {name: load(FORMS, name, suffix="Form")() for name in available(FORMS)}


def form_of(line: Mapping[str, Any], forms: Mapping[str, Form]) -> Form:
    """Return the form of a line.

    Raises:
        SampleRejected: it has none of the known forms, or two.
    """
    matching = [name for name, form in forms.items() if form.matches(line)]
    if len(matching) == 1:
        return forms[matching[0]]
    names = ", ".join(line) or "no names"
    if matching:
        raise SampleRejected("two_forms", f"a line with {names:.200} may be {' or '.join(matching)}; leave out names")
    known = "; ".join(f"{name} {form.expects}" for name, form in forms.items())
    raise SampleRejected("unknown_form", f"a line with {names:.200} is of no known form: {known}")


def _rows(file: Path) -> Iterator[tuple[int, Entry]]:
    number = 0
    with pq.ParquetFile(file) as parquet:
        names = parquet.schema_arrow.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"{file} has two columns called {', '.join(twice)}; leave out one of them")
        for batch in parquet.iter_batches():
            for row in batch.to_pylist():
                number += 1
                yield number, _without_nulls(row)


def _objects(file: Path) -> Iterator[tuple[int, Entry]]:
    text = file.read_bytes().decode("utf-8-sig")
    is_one_value = file.suffix.lower() == ".json" or _is_one_value(text)
    listed = _listed(text, file) if is_one_value else None
    if listed is not None:
        yield from ((number, _object(entry)) for number, entry in enumerate(listed, start=1))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            value = parsed(line)
            yield number, value if isinstance(value, SampleRejected) else _object(value)


def _is_one_value(text: str) -> bool:
    """Return whether JSON lines are one JSON value in truth, written over several lines."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return first.strip() in ("{", "[") and not isinstance(parsed(text), SampleRejected)


def _listed(text: str, file: Path) -> list[Any] | None:
    """Return the entries of a file that is one JSON value; None for one of JSON lines."""
    whole = parsed(text)
    if isinstance(whole, SampleRejected):
        if text.lstrip()[:1] == "[":
            raise UserError(f"{file} is no list of JSON objects ({whole.detail}); repair it")
        return None
    wrapped = [whole[name] for name in WRAPPERS if isinstance(whole, dict) and isinstance(whole.get(name), list)]
    if len(wrapped) == 1:
        return list(wrapped[0])
    return whole if isinstance(whole, list) else [whole]


def parsed(text: str | bytes) -> Any:
    """Return the value that a JSON text stands for, or why it is none. A name may occur once in an object."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return SampleRejected("not_json", str(error))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    if len(named) < len(pairs):
        raise ValueError("a name occurs twice in one object")
    return named


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _object(value: Any) -> Entry:
    if not isinstance(value, dict):
        return SampleRejected("not_json", "a line must be an object with names")
    return _without_nulls(value)  # type: ignore[no-any-return]


def _without_nulls(value: Any) -> Any:
    """Leave out names without a value: tables give every row all names, some as NaN. Maps become objects."""
    if isinstance(value, list) and value and all(isinstance(one, tuple) for one in value):
        value = dict(value)
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None and one == one}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value
