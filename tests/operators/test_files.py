from __future__ import annotations

from pathlib import Path

import pytest
from temporay.operators.errors import UserError
from temporay.operators.files import whole_file, write_json


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(RuntimeError), whole_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == '{\n "a": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path], "nothing temporary is left"


def test_a_folder_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*: No such file or directory; make room"):
        write_json(tmp_path / "missing" / "a.json", {})
