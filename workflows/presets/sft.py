"""Presets of ``temporay sft``."""

from temporay.models.policy import OptimizerConfig
from temporay.workflows.sft.settings import SftSettings


def tiny() -> SftSettings:
    """Train a model of a million weights from scratch on two cores: many small steps, a high rate that falls late."""
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


def pseudo_video() -> SftSettings:
    """Follow arXiv 2506.06928, section 4: 100k samples in batches of 64 for two epochs, 5e-6, cosine, 3 % warm-up."""
    return SftSettings(
        num_steps=3125,
        batch_size=64,
        micro_batch_size=4,
        optimizer=OptimizerConfig(lr=5e-6, warmup_steps=94, schedule="cosine", weight_decay=0.0),
        gradient_checkpointing=True,
        num_workers=8,
        seed=42,
    )
