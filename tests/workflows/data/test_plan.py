from __future__ import annotations

from pathlib import Path

import pytest
from temporay.operators.dataset.markers import shard_name
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import make_sample_at, open_source
from temporay.operators.dataset.shards import write_shard
from temporay.workflows.__main__ import main
from temporay.workflows.data import plan, throughput
from temporay.workflows.data.generate import GenerateConfig
from temporay.workflows.data.throughput import describe, probe, video_tokens


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PROBE_S", 0.2)


def test_a_plan_adds_up_by_family(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = recipe.model_copy(update={"num_samples": 9000, "weights": (2.0, 1.0)})
    plans = plan.run(GenerateConfig(**many.model_dump(), out=tmp_path / "d"))
    assert {family: found["num_samples"] for family, found in plans.items()} == {"shapes": 6000, "pseudo_video": 3000}
    assert all(value > 0 for found in plans.values() for value in found.values())
    text = capsys.readouterr().out
    assert "9,000" in text and "core-hours" in text
    assert not (tmp_path / "d").exists(), "nothing is written"


def test_the_command_takes_what_generate_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "quickstart", "--num-samples", "64", "--drawn.variants", "2"]) == 0
    assert "pseudo_video" in capsys.readouterr().out
    assert main(["plan", "quickstart", "--tasks", "first_lst"]) == 2


def test_bytes_are_those_that_a_shard_has(recipe: Recipe, tmp_path: Path) -> None:
    source = open_source(recipe, tmp_path)
    one = recipe.model_copy(update={"tasks": ("motion_direction",), "num_samples": 5})
    cost = probe(one, source, 60.0)["motion_direction"]
    write_shard(one, source, "0" * 16, 0, tmp_path)
    in_tar = (tmp_path / shard_name(0)).stat().st_size
    assert 0 <= in_tar - 5 * cost.nbytes <= 10240 + 1024, "a tar ends with zeros"
    frames = sum(make_sample_at(one, source, i).sample.clip.num_frames for i in range(5))
    assert cost.video_tokens * 5 == pytest.approx(sum([4 * -(-frames // 2)]), abs=4 * 5)


def test_the_rarest_task_is_measured_too(recipe: Recipe, tmp_path: Path) -> None:
    rare = recipe.model_copy(update={"num_samples": 400, "weights": (399.0, 1.0)})
    assert set(probe(rare, open_source(rare, tmp_path), 0.0)) == {"motion_direction", "first_last"}


def test_the_ceiling_is_all_cores_at_the_mean_cost(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def known(*_: object) -> dict[str, throughput.Cost]:
        cost = {"nbytes": 1.0, "video_tokens": 1.0, "text_tokens": 1.0}
        return {
            "motion_direction": throughput.Cost(seconds=0.1, **cost),
            "first_last": throughput.Cost(seconds=0.3, **cost),
        }

    monkeypatch.setattr(throughput, "probe", known)
    source = open_source(recipe, tmp_path)
    assert throughput.ceiling_per_s(recipe, source, 1.0, 4.0) == pytest.approx(20.0)
    weighted = recipe.model_copy(update={"weights": (3.0, 1.0)})
    assert throughput.ceiling_per_s(weighted, source, 1.0, 4.0) == pytest.approx(4.0 / 0.15)


def test_progress_names_rate_share_and_reasons() -> None:
    counts = {"ok": 50, "replaced_captions_alike": 3, "replaced_image_missing": 1}
    assert describe(counts, 10.0, 10.0) == (
        "50 clips, 5.0/s, 50% of this machine's ceiling (10.0/s), replaced: captions_alike 3 image_missing 1"
    )
    assert describe({"ok": 50}, 10.0, None) == "50 clips, 5.0/s"


def test_video_tokens_are_those_of_the_patch_grid() -> None:
    assert video_tokens(48, 448, 448) == 24 * 14 * 14
    assert video_tokens(7, 33, 64) == 4 * 2 * 2
