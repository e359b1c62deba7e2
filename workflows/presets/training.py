"""Named configurations of ``temporay sft``, ``grpo`` and ``tune``; data, model and out come from the command line."""

from __future__ import annotations

from collections.abc import Callable

import tyro
from temporay.models.policy import OptimizerConfig
from temporay.workflows.grpo.settings import GrpoConfig, GrpoSettings
from temporay.workflows.sft.settings import SftConfig, SftSettings
from temporay.workflows.tune import TuneConfig


def tiny_settings() -> SftSettings:
    """A model of a million weights from scratch on two cores: many small steps, a high rate that falls late."""
    return SftSettings(
        num_steps=600,
        batch_size=32,
        optimizer=OptimizerConfig(
            lr=1.5e-3,
            betas=(0.9, 0.98),
            weight_decay=0.01,
            warmup_steps=50,
            schedule="linear",
            decay_start=0.7,
            final_lr_ratio=0.05,
        ),
    )


def pseudo_video_settings() -> SftSettings:
    """arXiv 2506.06928, section 4: 100k samples in batches of 64 for two epochs, 5e-6, cosine, 3 % warm-up."""
    return SftSettings(
        num_steps=3125,
        batch_size=64,
        micro_batch_size=4,
        optimizer=OptimizerConfig(lr=5e-6, warmup_steps=94, schedule="cosine", weight_decay=0.0),
        gradient_checkpointing=True,
        num_workers=8,
        seed=42,
    )


PATHS = dict.fromkeys(("data", "model", "out"), tyro.MISSING)  # given on the command line


def sft_preset(settings: SftSettings) -> SftConfig:
    """A whole configuration but for its paths."""
    return SftConfig.model_construct(**{name: getattr(settings, name) for name in SftSettings.model_fields}, **PATHS)


def tune_preset(settings: SftSettings) -> TuneConfig:
    """A search around these settings."""
    return TuneConfig.model_construct(sft=settings, **PATHS)


def synrl_grpo_settings() -> GrpoSettings:
    """SynRL, arXiv 2603.17693: 8 rollouts at temperature 1, batches of 512 rollouts, 1e-6, accuracy alone, no KL."""
    return GrpoSettings(
        num_steps=110,
        prompts_per_step=64,
        group_size=8,
        max_tokens=2048,
        optimizer=OptimizerConfig(lr=1e-6, schedule="constant"),
        num_workers=8,
        micro_batch_size=8,
    )


def tiny_grpo_settings() -> GrpoSettings:
    """A model of a million weights on two cores."""
    return GrpoSettings(
        num_steps=60,
        prompts_per_step=16,
        group_size=8,
        max_tokens=48,
        optimizer=OptimizerConfig(lr=1.5e-4, betas=(0.9, 0.99), schedule="linear", warmup_steps=10),
        micro_batch_size=64,
        threads=2,
    )


def grpo_preset(settings: GrpoSettings) -> GrpoConfig:
    """A whole configuration but for its paths."""
    return GrpoConfig.model_construct(**{name: getattr(settings, name) for name in GrpoSettings.model_fields}, **PATHS)


SFT_PRESETS: dict[str, Callable[[], SftConfig]] = {
    "tiny": lambda: sft_preset(tiny_settings()),
    "pseudo-video": lambda: sft_preset(pseudo_video_settings()),
}
GRPO_PRESETS: dict[str, Callable[[], GrpoConfig]] = {
    "tiny": lambda: grpo_preset(tiny_grpo_settings()),
    "synrl": lambda: grpo_preset(synrl_grpo_settings()),
}
TUNE_PRESETS: dict[str, Callable[[], TuneConfig]] = {"tiny": lambda: tune_preset(tiny_settings())}
