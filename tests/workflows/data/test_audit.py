"""``temporay audit`` on a dataset at rest: which clips it looks at, what it writes and prints, what makes it fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.shards import METADATA_FILE
from temporay.operators.errors import UserError
from temporay.workflows.__main__ import main
from temporay.workflows.data.audit import AuditConfig, clips_to_see, inherent_of, line, run

from tests.small_data import write_dataset, write_recipe


@pytest.fixture
def made(recipe: Recipe, tmp_path: Path) -> Path:
    """Eighty samples of two primitives, as twins, with their clips."""
    sized = recipe.model_copy(update={"num_samples": 80, "samples_per_shard": 80, "twins": True})
    return write_recipe(sized, tmp_path).path


def test_every_tier_is_in_the_file_the_card_and_the_lines(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(AuditConfig(data=made))
    assert result == json.loads((made / "audit.json").read_text())
    assert result["passed"], result["failures"]
    for task in result["tasks"]:
        assert task["num_stills"] == task["num_samples"] == 40
        assert {attack["tier"] for attack in task["attacks"]} == {"priors", "forest", "pixels"}
        assert all(attack["accuracy"] <= attack["bound"] for attack in task["attacks"])
    printed = capsys.readouterr().out.splitlines()
    assert [part.split()[0] for part in printed[:2]] == ["first_last", "motion_direction"]
    assert all("  A " in part and "  B " in part and "  C " in part and part.endswith("ok") for part in printed[:2])
    card = (made / "README.md").read_text()
    assert all(title in card for title in ("A. Answer letters", "B. Forests", "C. One frame"))


def test_a_leak_fails_the_audit_and_is_named(
    recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clip lengths that follow the letter, as an index would show them."""
    sized = recipe.model_copy(update={"num_samples": 160, "samples_per_shard": 160, "twins": True})
    made = write_recipe(sized, tmp_path).path
    rows = [{**row, "num_frames": 10 + 5 * "ABCD".index(row["answer"])} for row in Dataset.open(made).rows]
    schema = pq.read_schema(made / METADATA_FILE)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), made / METADATA_FILE)
    assert not run(AuditConfig(data=made, num_clips=0))["passed"]
    printed = capsys.readouterr().out
    assert all(f"FAILED {task}: num_frames is right in " in printed for task in ("first_last", "motion_direction"))
    assert "frames of 0 of 160 clips were looked at" in printed
    card = (made / "README.md").read_text()
    assert "- motion_direction: num_frames is right in" in card and "C. One frame" not in card


def test_the_clips_looked_at_are_shared_out_and_keep_their_twins() -> None:
    rows: list[dict[str, Any]] = [{"task": "ab"[i % 3 == 2]} for i in range(30)]
    seen = clips_to_see(rows, 9)
    assert [sum(rows[i]["task"] == task for i in seen) for task in "ab"] == [4, 4]
    assert clips_to_see(rows, 0) == []
    assert len(clips_to_see(rows, 1000)) == 30


def test_a_primitive_from_elsewhere_promises_nothing() -> None:
    assert set(inherent_of(["motion_direction", "not_installed"])) == {"motion_direction"}


def test_too_few_samples_are_said_so() -> None:
    task = {"task": "some", "num_samples": 3, "letter_z": 0.0, "judged": False}
    assert line(task).endswith("too few samples to judge")


def test_a_folder_without_a_dataset_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", str(tmp_path)]) == 2
    assert "not a dataset" in capsys.readouterr().err


def test_the_ideal_audit_is_in_the_file_the_card_and_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plans made afresh, by twins, at levels that the dataset has not; the first two frames show a direction."""
    data = write_dataset(tmp_path, num_samples=4, twins=True)
    result = run(AuditConfig(data=data, num_clips=0, ideal=True, num_plans=120, levels=(0,)))
    (cell,) = result["ideal"]["cells"]
    assert (cell["task"], cell["level"], cell["num_samples"]) == ("motion_direction", 0, 120) and cell["certifies"]
    assert result["passed"] == result["ideal"]["passed"]
    by_name = {attack["attack"]: attack for attack in cell["attacks"]}
    assert by_name["first_two_frames"]["accuracy"] > 0.95 and by_name["first_frame"]["accuracy"] < 0.5
    assert "first 2" in (data / "README.md").read_text()
    assert "motion_direction" in capsys.readouterr().out
    of_samples = run(AuditConfig(data=data, num_clips=0, ideal=True))["ideal"]
    assert not any(one["judged"] for one in of_samples["cells"]), "four samples are too few"
    with pytest.raises(UserError, match="of the ideal audit"):
        run(AuditConfig(data=data, num_plans=3))
