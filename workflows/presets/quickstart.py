"""The quickstart: drawn motion and the order of scenes, learned from nothing by a tiny model on two cores."""

from __future__ import annotations

from collections.abc import Callable

import tyro
from temporay.models.engines._base import EngineSettings
from temporay.models.policy import OptimizerConfig
from temporay.models.tiny import TinyShape
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.drawn_coco import DrawnScenes
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.pixels.clip import Codec
from temporay.workflows.base_model import BaseModelSettings
from temporay.workflows.evaluate import EvaluateSettings
from temporay.workflows.pipeline import PipelineConfig
from temporay.workflows.presets.training import tiny_grpo_settings
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.sft.settings import SftSettings

MAX_TOKENS = 192  # drawn scenes need about 40, photographs' captions more


def recipe() -> Recipe:
    """One motion primitive and one question about order; answers in words, which need no letter to be bound."""
    return Recipe(
        tasks=("motion_direction", "first_last"),
        num_samples=10_000,
        level=0,
        answer_format="text",
        instruct=False,
        wordings=4,  # a model of a million weights needs longer for all eight
        test_fraction=0.25,
        canvas=Canvas(
            width=48, height=48, fps=4.0, num_frames=(8, 8), num_scenes=(3, 3), frames_per_scene=(2, 2), jitter="paper"
        ),
        codec=Codec(crf=15, pad_bytes=8192),
        drawn=DrawnScenes(side=48, variants=200, shapes=("circle", "cross")),  # of three it still confuses half
        samples_per_shard=500,
        check_pixels=False,  # recognising drawn scenes takes eight times what making them takes; a test does it
    )


def quickstart() -> PipelineConfig:
    """``temporay run quickstart``."""
    fast = OptimizerConfig(lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01, warmup_steps=50)
    return PipelineConfig.model_construct(
        **dict(recipe()),
        out=tyro.MISSING,
        num_rl_samples=2400,
        num_test_samples=440,
        num_data_workers=2,
        base_model=BaseModelSettings(
            shape=TinyShape(bpe_vocab_size=1500),  # enough for whole words of real captions
            num_steps=200,
            batch_size=32,
            optimizer=fast.model_copy(update={"schedule": "constant"}),
        ),
        sft=SftSettings(
            num_steps=860,
            batch_size=32,
            optimizer=fast.model_copy(update={"lr": 1.5e-3, "schedule": "linear", "decay_start": 0.7}),
            threads=2,
            checkpoint_every=500,
        ),
        grpo=tiny_grpo_settings().model_copy(
            update={"max_tokens": MAX_TOKENS, "num_steps": 140, "prompts_per_step": 24}
        ),
        evaluate=EvaluateSettings(max_tokens=MAX_TOKENS),
        pool=PoolConfig(settings=EngineSettings(max_model_len=1024)),
    )


PRESETS: dict[str, Callable[[], PipelineConfig]] = {"quickstart": quickstart}
