"""A run that stops once validation says that enough is learned, and what it says of exact targets."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from temporay.models.chat import to_prompt
from temporay.models.engines._settings import EngineSettings
from temporay.models.engines.local import Local
from temporay.models.families._base import family_of
from temporay.operators.dataset.reader import Dataset
from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, Sampling
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.sft.collation import Collate
from temporay.workflows.sft.inputs import prepare
from temporay.workflows.sft.loop import run
from temporay.workflows.sft.mixture import Mixture, parts_of
from temporay.workflows.sft.schedule import Pass
from temporay.workflows.sft.settings import SftConfig, SftSettings

NUM_STEPS, ENOUGH = 150, 0.5
TASK = "motion_direction"


def config(data: Path, model: Path, out: Path, **changes: Any) -> SftConfig:
    """Learn ten samples by heart."""
    settings = {
        "num_steps": NUM_STEPS,
        "batch_size": 10,
        "optimizer": {"lr": 3e-3, "schedule": "constant"},
        "threads": 1,
        "checkpoint_every": NUM_STEPS,
        "validation": data.with_name("held_out"),
        "validate_every": 10,
        "validation_samples": 10,
        "validation_arms": ["ordered"],
        "stop_when_exact": ENOUGH,
        **changes,
    }
    return SftConfig.model_validate({**settings, "data": data, "model": model, "out": out})


@pytest.fixture(scope="module")
def stopped(ray_cluster: None, data: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stopped") / "run"
    run(config(data, model, out))
    return out


def rows_of(out: Path, stage: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["stage"] == stage]


def test_a_run_stops_once_it_has_learned(stopped: Path) -> None:
    validated = rows_of(stopped, "sft_validation")
    shares = [row["exact"][TASK] for row in validated]
    assert shares[0] == 0.0 and max(shares[:-1]) < ENOUGH <= shares[-1]
    summary = json.loads((stopped / "summary.json").read_text())
    assert summary["num_steps"] == validated[-1]["step"] < NUM_STEPS
    assert len([row for row in rows_of(stopped, "sft") if "loss" in row]) == summary["num_steps"]


def test_greedy_decoding_gives_every_exact_target(stopped: Path, data: Path) -> None:
    """Some that are not certain may be right too: the share is a lower bound."""
    dataset = Dataset.open(data)
    path = stopped / "model"
    processor = family_of(path).load_processor(path)
    samples = [dataset.sample(row) for row in range(len(dataset))]
    prompts = [to_prompt(processor, s, dataset.frames_shown(row), instruction="") for row, s in enumerate(samples)]
    engine = Local(path, EngineSettings())
    groups = engine.generate(prompts, Sampling(num_rollouts=1, temperature=0.0, max_tokens=150, seed=0))
    right = [group.rollouts[0].text == s.target for group, s in zip(groups, samples, strict=True)]
    assert sum(right) / len(right) >= rows_of(stopped, "sft_validation")[-1]["exact"][TASK]


def test_a_run_that_was_killed_after_its_stop_does_not_go_on(
    stopped: Path, data: Path, model: Path, tmp_path: Path
) -> None:
    before = {name: (stopped / name).read_bytes() for name in ("summary.json", "model/model.safetensors")}
    (stopped / "summary.json").rename(tmp_path / "summary.json")
    shutil.rmtree(stopped / "model")
    run(config(data, model, stopped))
    assert (
        json.loads((stopped / "summary.json").read_text())["num_steps"]
        == json.loads(before["summary.json"])["num_steps"]
    )
    assert (stopped / "model/model.safetensors").read_bytes() == before["model/model.safetensors"]


def test_every_kind_of_sample_decides() -> None:
    settings = SftSettings(stop_when_exact=0.8)
    assert settings.may_stop({"a": 0.8, "b": 0.9, "answer_only a": 0.8})
    assert not settings.may_stop({"a": 0.7, "b": 1.0})
    assert not settings.may_stop({"a": 1.0, "answer_only a": 0.1})
    assert not settings.may_stop({})
    assert not SftSettings().may_stop({"a": 1.0})


def test_the_form_of_an_answer_is_learned_alone(data: Path, model: Path, tmp_path: Path) -> None:
    """The model learns to answer at once and to end there, and nothing about the answer."""
    settings = config(data, model, tmp_path, answer_only_share=1.0, answer_only_learns="form")
    part = parts_of(data, (), VideoReading())
    inputs = prepare(settings, part, None)
    family = family_of(model)
    processor = family.load_processor(model)
    collate = Collate(
        family=family,
        processor=processor,
        mixture=Mixture.open(part),
        tokens_N=inputs.schedule.tokens_N,
        settings=settings,
        lock=Lock(),
    )
    batch = collate.batch(Pass((0, 1)), [collate.mixture.frames_shown(row) for row in (0, 1)])
    for ids_T, mask_T in zip(batch.completion_ids_BT, batch.completion_mask_BT, strict=True):
        learned = processor.tokenizer.decode(ids_T[mask_T.bool()])
        assert learned == f"{ANSWER_OPEN}{ANSWER_CLOSE}{processor.tokenizer.eos_token}"
    whole = collate_with(collate, answer_only_learns="answer").batch(
        Pass((0, 1)), [collate.mixture.frames_shown(row) for row in (0, 1)]
    )
    assert torch.equal(whole.input_ids_RL, batch.input_ids_RL)
    assert whole.completion_mask_BT.sum() > batch.completion_mask_BT.sum()


def collate_with(collate: Collate, **changes: Any) -> Collate:
    return replace(collate, settings=collate.settings.model_copy(update=changes))


def test_a_stop_needs_held_out_samples(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="measured on held-out samples: give validation"):
        config(tmp_path, tmp_path, tmp_path, validation=None)
