"""The quickstart's own configuration at a size of seconds: every stage real, nothing learned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.dataset.drawn_coco import write_drawn_coco
from temporay.operators.dataset.label_check import Verdict
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.samples import make_sample_at, open_source
from temporay.operators.errors import UserError
from temporay.workflows import pipeline
from temporay.workflows.config import converted, replaced
from temporay.workflows.pipeline import PipelineConfig
from temporay.workflows.presets import generate, run
from temporay.workflows.reports.time_profile import MIN_SHOWN_S, logged_parts, time_profile, time_table
from temporay.workflows.runs.run_dir import RunDir

from tests.small_runs import SMALL_PIPELINE


def small(out: Path) -> PipelineConfig:
    return converted(PipelineConfig, replaced(run.quickstart(), SMALL_PIPELINE), out=out)


@pytest.mark.usefixtures("ray_cluster")
def test_every_stage_leaves_its_result_and_is_not_done_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small(tmp_path / "run")
    summary = pipeline.run(config)
    assert summary == json.loads((config.out / "summary.json").read_text())
    assert summary["engine"] == "local"
    assert set(summary["accuracy"]) == {"scene_order", "scene_at", "first_last"}
    for entry in summary["accuracy"].values():
        assert {"chance", "base", "sft", "grpo", "n", "arms"} <= set(entry)
        assert set(entry["arms"]) == {"ordered", "shuffled", "single_frame", "blind"}
        assert entry["arms"]["ordered"] == entry["grpo"]
    assert summary["grpo"]["steps"] == 2
    assert summary["grpo"]["decodes_per_prompt"] == 1
    assert {"data", "audit", "base_model", "sft", "engine", "grpo", "evaluate"} <= set(summary["seconds"])
    assert (config.out / "report.html").exists()
    settings = json.loads((config.out / "config.json").read_text())
    used = [settings["base_model"]["seed"]]
    used += [json.loads((config.out / part / "config.json").read_text())["seed"] for part in ("sft", "grpo")]
    used += [Dataset.open(config.out / "data" / split).sample(0).address.seed for split in ("train", "rl", "test")]
    assert used == [3] * 6
    told = capsys.readouterr().out
    assert "scene_at" in told and "answers after a chain of thought: first_last base " in told
    check_times(config.out, told)
    for stage, steps, split in (("sft", [0, 2], "rl"), ("grpo", [0, 2], "test")):
        settings = json.loads((config.out / stage / "config.json").read_text())
        assert Path(settings["validation"]).name == split  # fine-tuning stops by it, so it is not what is tested on
        validated = RunDir(path=config.out / stage, resumed=True).rows(f"{stage}_validation")
        assert [row["step"] for row in validated] == steps

    written = (config.out / "sft" / "model" / "model.safetensors").stat().st_mtime_ns
    assert pipeline.run(config) == summary
    assert (config.out / "sft" / "model" / "model.safetensors").stat().st_mtime_ns == written


def check_times(out: Path, told: str) -> None:
    """Check that the time of every stage and of what it always does is there, in the order of the stages."""
    profile = {stage.name: stage for stage in time_profile(out)}
    names = [name for name in profile if name != "audit"]  # of so few samples it takes no time
    assert names == ["generate", "base model", "SFT", "GRPO", "evaluation"]
    for name, parts in {
        "generate": {"rendering and encoding", "index and card"},
        "base model": set(),
        "SFT": {"start of workers", "forward, backward, update", "validation"},
        "GRPO": {"start of engines", "start of workers", "sampling", "update", "validation"},
        "evaluation": set(),
    }.items():
        stage = profile[name]
        assert parts <= stage.parts.keys()
        assert sum(stage.parts.values()) == pytest.approx(stage.seconds, abs=MIN_SHOWN_S)
    asked = {f"evaluate/{model}, answers" for model in ("base", "sft", "grpo")}
    short = {"base_model/steps", *asked}  # at this size some are too short to be shown
    assert short <= logged_parts(out).keys()
    assert told.count(time_table(time_profile(out))) == 1


def test_a_stages_own_seed_wins(tmp_path: Path) -> None:
    lora = {"sft.trained.weights": "lora", "grpo.trained.weights": "lora", "grpo.trained.lora.seed": 7}
    config = pipeline.seeded(replaced(small(tmp_path), {"sft.seed": 5, **lora}))
    assert (config.seed, config.base_model.seed, config.sft.seed, config.grpo.seed) == (3, 3, 5, 3)
    assert (config.sft.trained.lora.seed, config.grpo.trained.lora.seed) == (3, 7)
    assert pipeline.seeded(config) == config


def test_the_quickstarts_labels_are_what_its_clips_show(tmp_path: Path) -> None:
    """It does without the check while it makes its clips; here some hundred of them are checked."""
    recipe = generate.quickstart().recipe.model_copy(update={"check_pixels": True, "num_samples": 200})
    write_drawn_coco(tmp_path, recipe.drawn)
    source = open_source(recipe, tmp_path)
    made = [make_sample_at(recipe, source, i) for i in range(recipe.num_samples)]
    assert {one.verdict for one in made} == {Verdict.AGREES}
    assert not [failure.reason for one in made for failure in one.failures]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"grpo.rewards.weights": {"twin": 1.0}, "twins": False}, "compares twins, but twins is False"),
        ({"grpo.curriculum.enabled": True, "levels": (1,)}, "levels has fewer than two"),
        ({"backdrops": ()}, "backdrops is empty"),
        ({"base_model.tasks": ("rotation",)}, "base_model.tasks names rotation, but tasks is scene_order scene_at"),
        ({"grpo.best_metric": "blind_gap"}, "best_metric blind_gap needs the arms"),
        ({"pool.placement": "in_turns", "grpo.max_staleness": 1}, "with max_staleness 1 engines generate while"),
    ],
)
def test_what_a_later_stage_would_refuse_is_refused_first(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        pipeline.run(replaced(small(tmp_path / "run"), changes))
    assert not (tmp_path / "run").exists()
