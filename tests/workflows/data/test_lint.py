from __future__ import annotations

from pathlib import Path

import pytest
from temporay.operators.dataset.markers import shard_name
from temporay.operators.dataset.recipe import Recipe
from temporay.workflows.__main__ import main
from temporay.workflows.data.generate import build


@pytest.mark.usefixtures("ray_cluster")
def test_problems_are_lines_and_exit_code_2(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(recipe, tmp_path / "d", 1)
    capsys.readouterr()
    assert main(["lint", str(tmp_path / "d")]) == 0
    assert capsys.readouterr().out == f"0 problems in 12 samples of 3 shards: {tmp_path / 'd'}\n"
    for shard in (0, 2):
        path = tmp_path / "d" / shard_name(shard)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    for parallel in ("True", "False"):
        assert main(["lint", str(tmp_path / "d"), "--parallel", parallel]) == 2
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in lines[:2]] == [shard_name(0), shard_name(2)]
        assert lines[2].startswith("2 problems in 12 samples")


def test_what_is_no_dataset_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(tmp_path)]) == 2
    assert "is not a dataset of temporay" in capsys.readouterr().err
