"""What is written is read back by the libraries that the trainers read it with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from temporay.operators import components
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.errors import UserError
from temporay.operators.pixels.clip import decode
from temporay.operators.primitives.motion.motion_direction import MotionDirection
from temporay.operators.sampling import FrameSampling
from temporay.operators.scoring.answers import parse_answer
from temporay.workflows.__main__ import dispatch
from temporay.workflows.data import export
from temporay.workflows.data.export import ExportConfig, format_of

from tests.small_data import CANVAS, write_dataset, write_recipe


@pytest.fixture(params=["mp4", "virtual"])
def dataset(recipe: Recipe, tmp_path: Path, request: pytest.FixtureRequest) -> Dataset:
    recipe = recipe.model_copy(update={"storage": request.param, "split": "rl"})
    return write_recipe(recipe, tmp_path / "data")


def check_clips(dataset: Dataset, paths: list[Path]) -> None:
    assert len(paths) == len(set(paths)) == len(dataset)
    for i in (0, len(dataset) - 1):
        frames_THWC = decode(paths[i].read_bytes())
        assert frames_THWC.shape == dataset.frames(i).shape
        assert np.abs(frames_THWC.astype(int) - dataset.frames(i)).mean() < 8  # of 255; encoded if it was not before


def test_verl_rows(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "verl"
    dispatch(["export", str(dataset.path), "--format", "verl", "--out", str(out)])
    rows = pq.read_table(out / "rl.parquet").to_pylist()
    check_clips(dataset, [Path(row["videos"][0]["video"]) for row in rows])
    for i, row in enumerate(rows):
        sample = dataset.sample(i)
        (turn,) = row["prompt"]
        assert (
            turn["role"] == "user" and turn["content"].count("<video>") == 1 and sample.question.text in turn["content"]
        )
        assert "<answer>" in turn["content"]  # the recipe's instruction
        assert row["reward_model"] == {"style": "rule", "ground_truth": sample.question.answer}
        assert row["extra_info"]["index"] == i and row["extra_info"]["task"] == sample.address.task
        assert row["videos"][0]["fps"] == sample.clip.fps and row["videos"][0]["max_frames"] >= sample.clip.num_frames
        assert sample.rationale not in json.dumps(row)
    loaded = datasets.load_dataset("parquet", data_files=str(out / "rl.parquet"), cache_dir=str(tmp_path))["train"]
    assert loaded[0]["videos"][0]["type"] == "video"


def test_verl_rows_for_fine_tuning_have_both_turns(dataset: Dataset, tmp_path: Path) -> None:
    (path,) = export.run(ExportConfig(data=dataset.path, format="verl", out=tmp_path / "verl", stage="sft"))
    rows = pq.read_table(path).to_pylist()
    assert [turn["role"] for turn in rows[0]["messages"]] == ["user", "assistant"]
    assert rows[0]["messages"][1]["content"] == dataset.sample(0).target


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_ms_swift_rows(dataset: Dataset, tmp_path: Path, stage: str) -> None:
    out = tmp_path / "swift"
    dispatch(["export", str(dataset.path), "--format", "ms-swift", "--out", str(out), "--stage", stage])
    rows = [json.loads(line) for line in (out / f"{stage}.jsonl").read_text().splitlines()]
    check_clips(dataset, [Path(row["videos"][0]) for row in rows])
    for i, row in enumerate(rows):
        sample = dataset.sample(i)
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"][: 1 + (stage == "sft")]
        answer = parse_answer(f"<answer>{row['solution']}</answer>", row["options"])
        assert answer.index == sample.question.answer_index
    loaded = datasets.load_dataset("json", data_files=str(out / f"{stage}.jsonl"), cache_dir=str(tmp_path))["train"]
    assert loaded[3]["solution"] == rows[3]["solution"]


def test_llama_factory_rows(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "factory"
    dispatch(["export", str(dataset.path), "--format", "llama-factory", "--out", str(out)])
    (info,) = json.loads((out / "dataset_info.json").read_text()).values()
    rows = json.loads((out / info["file_name"]).read_text())
    assert set(info["columns"].values()) == set(rows[0])
    check_clips(dataset, [out / row["videos"][0] for row in rows])  # relative to the folder, which may be moved
    tags = info["tags"]
    roles = [turn[tags["role_tag"]] for turn in rows[0]["messages"]]
    assert roles == [tags["user_tag"], tags["assistant_tag"]]
    assert rows[0]["messages"][1][tags["content_tag"]] == dataset.sample(0).target


def test_every_export_carries_the_sampling_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer that is given the export's settings shows the frames for which the samples were made."""
    monkeypatch.setattr(MotionDirection, "survives", lambda *_: True)
    canvas = replace(CANVAS, num_frames=(24, 24), fps=8.0, sampling=FrameSampling(fps=2.0, max_frames=16))
    data = write_dataset(tmp_path / "data", num_samples=2, canvas=canvas)
    for name in ("verl", "ms-swift", "llama-factory"):
        export.run(ExportConfig(data=data, format=name, out=tmp_path / name))
    (video,) = pq.read_table(tmp_path / "verl" / "rl.parquet").to_pylist()[0]["videos"]
    assert (video["fps"], video["max_frames"]) == (2.0, 16)
    assert (tmp_path / "ms-swift" / "sampling.env").read_text().split() == [
        "FPS=2",
        "FPS_MIN_FRAMES=4",
        "FPS_MAX_FRAMES=16",
    ]
    settings = (tmp_path / "llama-factory" / "sampling.yaml").read_text().splitlines()
    assert settings == ["dataset: temporay", "video_fps: 2", "video_maxlen: 16"]


def test_absolute_paths_begin_where_the_folder_will_lie(dataset: Dataset, tmp_path: Path) -> None:
    config = ExportConfig(data=dataset.path, format="ms-swift", out=tmp_path / "x", root=Path("/mnt/there"))
    path, _ = export.run(config)
    (video,) = json.loads(path.read_text().splitlines()[0])["videos"]
    assert video == f"/mnt/there/clips/{dataset.sample(0).key}.mp4"


def test_what_does_not_exist_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown format 'verll'; did you mean 'verl'\?"):
        format_of("verll")
    with pytest.raises(UserError, match=r"did you mean 'llama-factory'"):
        dispatch(["export", str(tmp_path), "--format", "llama_factory", "--out", "x"])
    with pytest.raises(UserError, match=r"stage 'rl' does not exist in llama-factory; give sft"):
        dispatch(["export", str(tmp_path), "--format", "llama-factory", "--out", "x", "--stage", "rl"])
    with pytest.raises(UserError, match="not a dataset"):
        dispatch(["export", str(tmp_path), "--format", "verl", "--out", "x"])


@pytest.mark.parametrize("dataset", ["mp4"], indirect=True)
def test_a_folder_that_cannot_be_made_is_a_user_error(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*; make room or give another --out"):
        dispatch(["export", str(dataset.path), "--format", "verl", "--out", str(tmp_path / "file")])


@pytest.mark.parametrize("module", components.available("temporay.operators.exports"))
def test_every_format_has_a_purpose_and_a_name_of_the_command_line(module: str) -> None:
    exporter = format_of(module.replace("_", "-"))
    assert exporter.purposes and set(exporter.purposes) <= {"sft", "rl"}
