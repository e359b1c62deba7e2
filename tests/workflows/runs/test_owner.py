"""One process writes a run's folder at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from temporay.operators.errors import UserError
from temporay.workflows.runs.owner import FILE, own

HOLD = """
import sys, pathlib
from temporay.workflows.runs.owner import own
own(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"is being written by process {first.pid} on .*; wait until"):
            own(tmp_path)
        first.kill()
    own(tmp_path)
    assert (tmp_path / FILE).read_text().startswith("process ")


def test_one_process_may_open_a_folder_several_times(tmp_path: Path) -> None:
    own(tmp_path)
    own(tmp_path)


def test_a_folder_that_was_made_again_is_taken_again(tmp_path: Path) -> None:
    own(tmp_path)
    (tmp_path / FILE).unlink()
    own(tmp_path)
    assert (tmp_path / FILE).exists()
