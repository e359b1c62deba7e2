"""Files of lines: what ends a line, what is no line, and tables."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.own_data.lines import read_entries

LINE = {"question": "Up?", "answer": "yes"}


def entries(file: Path, text: str | bytes) -> list[Any]:
    """Return the entries of a file with this content; for one that cannot be read, its reason."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return [e.reason if isinstance(e, SampleRejected) else e for _, e in read_entries(file)]


def test_lines_end_at_a_line_feed_alone(tmp_path: Path) -> None:
    odd = {"question": "a\u2028b\u2029c\u0085d\u001ce\u000bf", "answer": "yes"}
    text = json.dumps(odd, ensure_ascii=False).replace("\\u001c", "\x1c").replace("\\u000b", "\x0b")
    kept = {"question": "a\u2028b\u2029c\u0085d", "answer": "yes"}
    assert entries(tmp_path / "a.jsonl", json.dumps(kept, ensure_ascii=False) + "\n\n") == [kept]
    assert entries(tmp_path / "b.jsonl", text) == ["not_json"]  # JSON forbids these two, and the line stays one
    assert entries(tmp_path / "c.jsonl", f"{json.dumps(LINE)}\r\n{json.dumps(LINE)}\r\n") == [LINE, LINE]


def test_a_byte_order_mark_is_taken_off(tmp_path: Path) -> None:
    assert entries(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + json.dumps(LINE).encode()) == [LINE]
    assert entries(tmp_path / "a.json", b"\xef\xbb\xbf" + json.dumps([LINE]).encode()) == [LINE]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        "3",
        '{"question": NaN}',
        '{"answer": "A", "answer": "B"}',
        '{"question": "a", "x": {"b": 1, "b": 2}}',
        "[" * 100_000,
        "{'question': 'a'}",
        json.dumps(LINE) + json.dumps(LINE),
    ],
    ids=range(9),
)
def test_what_is_no_line_is_named_and_the_next_is_read(tmp_path: Path, line: str) -> None:
    assert entries(tmp_path / "a.jsonl", f"{line}\n{json.dumps(LINE)}") == ["not_json", LINE]


def test_one_value_over_several_lines_is_read_as_such(tmp_path: Path) -> None:
    other = {**LINE, "question": "Down?"}
    assert entries(tmp_path / "a.jsonl", json.dumps(LINE, indent=2)) == [LINE]
    assert entries(tmp_path / "b.jsonl", json.dumps([LINE, other], indent=1)) == [LINE, other]
    assert entries(tmp_path / "c.jsonl", json.dumps(LINE, indent=2)[:-1])[0] == "not_json"


def test_decimals_and_maps_of_tables_are_as_in_json(tmp_path: Path) -> None:
    maps = pa.array([[("A", "yes"), ("B", "no")], None], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({"answer": [Decimal("3.5"), Decimal("4.0")], "options": maps}), tmp_path / "a.parquet")
    found = [entry for _, entry in read_entries(tmp_path / "a.parquet")]
    assert found == [{"answer": 3.5, "options": {"A": "yes", "B": "no"}}, {"answer": 4}]
    assert isinstance(found[1]["answer"], int)  # type: ignore[index]


def test_a_gap_in_a_table_is_no_value(tmp_path: Path) -> None:
    pq.write_table(pa.table({"start_s": [float("nan"), 1.5], "end_s": [None, 2.5]}), tmp_path / "a.parquet")
    assert [entry for _, entry in read_entries(tmp_path / "a.parquet")] == [{}, {"start_s": 1.5, "end_s": 2.5}]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.table({"question": ["Up?"], "answer": ["yes"]})
    pq.write_table(table.append_column("question", pa.array(["Down?"])), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="two columns called question"):
        list(read_entries(tmp_path / "a.parquet"))


def test_a_table_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["Up?"] * 99}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[:4] + b"\xff" * 40 + data[44:])
    with pytest.raises(UserError, match=r"cannot read .*a\.parquet: ") as caught:
        list(read_entries(tmp_path / "a.parquet"))
    assert "\n" not in str(caught.value)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(UserError, match=r"a\.jsonl is no file; write the lines to one"):
        list(read_entries(tmp_path / "a.jsonl"))


def test_numbers_are_those_of_an_editor(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(f"\n{json.dumps(LINE)}\n\n{json.dumps(LINE)}\n")
    assert [number for number, _ in read_entries(file)] == [2, 4]


def test_a_list_and_lines_in_a_json_file(tmp_path: Path) -> None:
    assert entries(tmp_path / "a.json", json.dumps([LINE, 3, LINE], indent=1)) == [LINE, "not_json", LINE]
    assert entries(tmp_path / "a.JSON", json.dumps(LINE, indent=1)) == [LINE]
    assert entries(tmp_path / "a.json", json.dumps({"version": 1, "data": [LINE, LINE]})) == [LINE, LINE]
    assert entries(tmp_path / "b.json", f"{json.dumps(LINE)}\n{json.dumps(LINE)}\n") == [LINE, LINE]


def test_names_without_a_value_are_left_out(tmp_path: Path) -> None:
    options = pa.struct({"A": pa.string(), "B": pa.string(), "C": pa.string()})
    schema = pa.schema({"question": pa.string(), "options": options, "answer": pa.string(), "rationale": pa.string()})
    rows = [
        {"question": "Up?", "options": {"A": "yes", "B": "no"}, "answer": "B"},
        {"question": "Up?", "options": {"A": "yes", "B": "no", "C": "neither"}, "answer": "C", "rationale": "See."},
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "a.parquet", row_group_size=1)
    assert list(read_entries(tmp_path / "a.parquet")) == [(1, rows[0]), (2, rows[1])]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", None, "cannot read"),
        ("a.jsonl", '{"question": "a"}'.encode("utf-16"), "in UTF-8"),
        ("a.json", b'[{"question": "a"}', "is no list of JSON objects"),
        ("a.parquet", b"PAR1", "cannot read"),
        ("a.csv", b"question,answer", r"none of the endings of own data: \.jsonl"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        list(read_entries(tmp_path / name))
