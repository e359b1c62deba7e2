"""Engines of the tiny models, the prompts they are asked, and how far they are from a trainer."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch.distributed as dist
from temporay.models.chat import text_prompt
from temporay.models.engines._base import Engine
from temporay.models.engines._settings import ENGINES, AppliedAdapters, EngineSettings
from temporay.operators.components import load
from temporay.operators.media import ShownMedium
from temporay.operators.records import Frames, Prompt

QUESTION = "Which way does the red circle move?"
Clip = tuple[tuple[int, int, int] | None, float]  # frames, height, width (None: blind), and frames per second


def start_engine(name: str, model: Path, tensor_parallel: int = 1, adapters: AppliedAdapters | None = None) -> Engine:
    """Start an engine with room for 8 completions at a time; skip the test where vLLM cannot be imported."""
    if name == "vllm":
        try:
            importlib.import_module("vllm")
        except ImportError as error:
            pytest.skip(f"vLLM cannot be imported: {error}")
    room = EngineSettings(max_model_len=256, max_num_seqs=8, kv_cache_mib=32, max_videos=2, max_images=2)
    settings = room.model_copy(update={"tensor_parallel": tensor_parallel, "adapters": adapters})
    engine: Engine = load(ENGINES, name)(model, settings)
    return engine


def end_engines() -> None:
    """Close the process group that vLLM leaves open, once nothing refers to its engines."""
    gc.collect()
    if dist.is_initialized():
        importlib.import_module("vllm.distributed.parallel_state").cleanup_dist_env_and_memory()


def small_prompts(processor: Any, clips: Sequence[Clip], *, blind_questions: int = 1) -> list[Prompt]:
    """Return one prompt for each clip, with random frames.

    Args:
        blind_questions: how often a blind prompt repeats its question.
    """
    rng = np.random.default_rng(0)
    prompts = []
    for i, (shape, fps) in enumerate(clips):
        media = [ShownMedium(frames_THWC=noise(rng, shape), fps=fps)] if shape else []
        text = QUESTION * (1 if shape else blind_questions)
        prompts.append(text_prompt(processor, key=f"p{i}", text=text, media=media))
    return prompts


def noise(rng: np.random.Generator, shape: tuple[int, int, int]) -> Frames:
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


def mixed_prompts(processor: Any) -> list[Prompt]:
    """Return prompts with several media: two videos, an image with a video between words, images alone, one video."""
    rng = np.random.default_rng(1)
    long = ShownMedium(frames_THWC=noise(rng, (6, 48, 32)), fps=2.0)
    short = ShownMedium(frames_THWC=noise(rng, (3, 32, 64)), fps=8.0)
    wide = ShownMedium(kind="image", frames_THWC=noise(rng, (1, 32, 64)), fps=1.0)
    tall = ShownMedium(kind="image", frames_THWC=noise(rng, (1, 64, 48)), fps=1.0)
    asked: list[tuple[str, list[ShownMedium]]] = [
        (QUESTION, [long, short]),
        (f"Look at <image> and then at <video> . {QUESTION}", [wide, short]),
        (f"{QUESTION}\nBefore: <image> After: <image>", [tall, wide]),
        (f"First <video>, then <image>\n{QUESTION}", [long, tall]),
        (QUESTION, [short]),
    ]
    return [text_prompt(processor, key=f"m{i}", text=text, media=media) for i, (text, media) in enumerate(asked)]
