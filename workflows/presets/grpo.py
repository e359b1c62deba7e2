"""Presets of ``temporay grpo``."""

from temporay.models.policy import OptimizerConfig
from temporay.workflows.grpo.settings import GrpoSettings


def tiny() -> GrpoSettings:
    """Train a model of a million weights on two cores."""
    return GrpoSettings(
        num_steps=60,
        prompts_per_step=16,
        group_size=8,
        max_tokens=48,
        optimizer=OptimizerConfig(lr=1.5e-4, betas=(0.9, 0.99), schedule="linear", warmup_steps=10),
        micro_batch_size=64,
    )


def synrl() -> GrpoSettings:
    """Follow SynRL, arXiv 2603.17693: 8 rollouts at temperature 1, 512 a batch, 1e-6, accuracy alone, no KL."""
    return GrpoSettings(
        num_steps=110,
        prompts_per_step=64,
        group_size=8,
        max_tokens=2048,
        optimizer=OptimizerConfig(lr=1e-6, schedule="constant"),
        gradient_checkpointing=True,
        num_workers=8,
        micro_batch_size=8,
    )
