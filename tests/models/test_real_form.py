"""Engine and trainer agree on a real tokenizer, template and video processor.

The files are not part of this repository. TEMPORAY_REAL_FORM names a folder that holds them, as Qwen3-VL's repositories
do: ``common`` (tokenizer, processors, template), ``2b/config.json`` and ``30b-a3b-thinking/chat_template.json``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from temporay.models.chat import to_prompt, to_target
from temporay.models.families._base import Family, family_of
from temporay.models.parity import TOLERANCE, gaps_to_trainer
from temporay.models.token_lengths import TokenLengths
from temporay.operators.media import Medium
from temporay.operators.records import Prompt, Sampling
from transformers import AutoConfig, Qwen3VLForConditionalGeneration

from tests.models.small_engines import end_engines, start_engine
from tests.models.small_samples import ANSWERED

REAL_FORM = os.environ.get("TEMPORAY_REAL_FORM", "")
pytestmark = [
    pytest.mark.skipif(not REAL_FORM, reason="TEMPORAY_REAL_FORM names no folder with a real tokenizer"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning"),  # vLLM's start warns
]
NARROW = {"num_hidden_layers": 2, "hidden_size": 128, "intermediate_size": 256, "num_attention_heads": 2}
SHALLOW = {"depth": 2, "deepstack_visual_indexes": [0, 1], "out_hidden_size": NARROW["hidden_size"]}
SAMPLE = replace(ANSWERED, media=(Medium(width=64, height=96, fps=8.0, num_frames=7),))


@pytest.fixture(scope="module")
def real_form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write narrow random weights beside the real files."""
    out = tmp_path_factory.mktemp("real_form") / "model"
    shutil.copytree(Path(REAL_FORM) / "common", out)
    out.chmod(0o755)
    config = AutoConfig.from_pretrained(Path(REAL_FORM) / "2b")
    for part, changes in ((config.text_config, {**NARROW, "num_key_value_heads": 1}), (config.vision_config, SHALLOW)):
        for name, value in changes.items():
            setattr(part, name, value)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Qwen3VLForConditionalGeneration(config).to(torch.float32).save_pretrained(out)
    return out


@pytest.fixture(scope="module")
def real_family(real_form: Path) -> Family:
    return family_of(real_form)


def processors(family: Family, path: Path) -> dict[str, Any]:
    """Return the processor with its own template and with that of a Thinking model."""
    instruct, thinking = family.load_processor(path), family.load_processor(path)
    template = json.loads((Path(REAL_FORM) / "30b-a3b-thinking" / "chat_template.json").read_text())["chat_template"]
    thinking.chat_template = template
    return {"instruct": instruct, "thinking": thinking}


def prompts_of(made_by: dict[str, Any]) -> dict[str, Prompt]:
    frames_THWC = np.random.default_rng(0).integers(0, 256, (SAMPLE.clip.num_frames, 96, 64, 3), dtype=np.uint8)
    return {name: to_prompt(one, SAMPLE, (frames_THWC,), instruction="Think.") for name, one in made_by.items()}


def test_a_thought_is_opened_once_and_lengths_are_counted(real_family: Family, real_form: Path) -> None:
    made_by = processors(real_family, real_form)
    prompts = prompts_of(made_by)
    assert prompts["thinking"].text.endswith("<think>\n") and not prompts["instruct"].text.endswith("<think>\n")
    for name, prompt in prompts.items():
        assert (prompt.text + to_target(prompt, SAMPLE)).count("<think>") == 1
        [ids] = real_family.encode(made_by[name], [prompt]).prompt_ids
        assert TokenLengths(real_family, made_by[name]).of_prompts([SAMPLE], ["Think."]) == [len(ids)]


@pytest.fixture
def engines_end() -> Iterator[None]:
    """Ends what a test has started, once the test has returned."""
    yield
    end_engines()


@pytest.mark.usefixtures("engines_end")
@pytest.mark.parametrize("engine", ["local", "vllm"])
def test_ids_and_log_probabilities_agree(engine: str, real_family: Family, real_form: Path) -> None:
    made_by = processors(real_family, real_form)
    prompts = list(prompts_of(made_by).values())
    groups = start_engine(engine, real_form).generate(
        prompts, Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=0)
    )
    model = real_family.load_model(real_form, torch.float32)
    gaps = gaps_to_trainer(model, real_family, made_by["instruct"], prompts, groups, 1.0)
    assert max(map(max, gaps)) < TOLERANCE["float32"]
