"""What an evaluation refuses before its engines start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.records import Prompt
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.config import validated
from temporay.workflows.evaluate import EvaluateConfig, run
from temporay.workflows.evaluation.asking import ask, greedy
from temporay.workflows.evaluation.questions import SampleQuestions
from temporay.workflows.grpo.guards import CanaryQuestions
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.rollouts.media import ClipSource, StoredPrompt

from tests.small_data import damage_clip, write_dataset
from tests.small_runs import write_model


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": Path("/no/model")}, "/no/model"),
        ({"num_samples": 99}, "num_samples is 99, but there are 8 questions of motion_direction"),
        ({"pool": {"placement": "in_turns"}}, "no trainer runs beside"),
    ],
)
def test_no_folder_is_left_behind(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    data = write_dataset(tmp_path / "data")
    model, out = write_model(data, tmp_path / "model"), tmp_path / "run"
    with pytest.raises(UserError, match=message):
        run(validated(EvaluateConfig, {"data": data, "model": model, "out": out, **changes}))
    assert not out.exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("tokenizer.json", None, "has no tokenizer.json and no vocab.json; download"),
        ("tokenizer.json", '{"model": ', "cannot be read"),
        ("processor_config.json", None, "has no preprocessor_config.json and no processor_config.json; download"),
        ("processor_config.json", "{}", "cannot be read"),
        ("chat_template.jinja", "{% for turn in messages %}", "makes no prompt .*; download chat_template.jinja"),
        ("chat_template.jinja", "{{ 1 + messages }}", "makes no prompt .*; download chat_template.jinja"),
    ],
)
def test_a_damaged_model_is_one_sentence(tmp_path: Path, file: str, text: str | None, message: str) -> None:
    data = write_dataset(tmp_path / "data")
    model, out = write_model(data, tmp_path / "model"), tmp_path / "run"
    (model / file).unlink()
    if text is not None:
        (model / file).write_text(text)
    with pytest.raises(UserError, match=message) as told:
        run(validated(EvaluateConfig, {"data": data, "model": model, "out": out}))
    assert str(told.value).count("\n") == 0 and "huggingface.co" not in str(told.value)
    assert not out.exists()


def test_a_damaged_clip_is_one_sentence_that_names_it_and_its_shard(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data")
    name = damage_clip(data, 2)
    dataset, pool = Dataset.open(data), SimpleNamespace(processor=None)  # which is not asked before frames are there
    told = rf"clip {name} of {data}/shard-000000\.tar: .*clip_undecodable.*`temporay lint` lists every fault"
    with pytest.raises(UserError, match=told):
        asyncio.run(ask(cast(Any, pool), SampleQuestions.of(dataset, [2], ""), ("ordered",), greedy(4)))
    questions = validated(
        GrpoConfig, {"data": data, "model": tmp_path, "out": tmp_path, "guards": {"canary_prompts": 8}}
    )
    with pytest.raises(UserError, match=told), patch("temporay.workflows.grpo.guards.to_prompt"):
        CanaryQuestions.open(dataset, None, questions)
    prompt = Prompt(key=name, text="")
    with pytest.raises(UserError, match=told):
        StoredPrompt(prompt=prompt, media_ref=None, source=ClipSource(data=data, row=2, videos=VideoReading())).load()
