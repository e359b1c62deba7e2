"""A folder that a rank does not share with the driver is recognized."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporay.operators.errors import UserError
from temporay.workflows.learner.shared_folder import check_shared, write_token


def test_two_ranks_with_folders_of_their_own_are_refused(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "0", tmp_path / "1"
    ours.mkdir()
    theirs.mkdir()
    write_token(theirs)  # of a run before
    token = write_token(ours)
    check_shared(ours, token)
    with pytest.raises(UserError, match=r"1 on .* is not the folder that the command writes to; give --out a folder"):
        check_shared(theirs, token, wait_s=0.0)


def test_tokens_do_not_add_up(tmp_path: Path) -> None:
    first, second = write_token(tmp_path), write_token(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [second] != [first]
