"""Presets of ``temporay run``."""

from temporay.models.policy import OptimizerConfig
from temporay.models.tiny import TinyShape
from temporay.workflows.base_model import BaseModelSettings
from temporay.workflows.config import replaced
from temporay.workflows.evaluate import EvaluateSettings
from temporay.workflows.pipeline import PipelineSettings
from temporay.workflows.presets import generate, grpo, sft

MAX_TOKENS = 192  # drawn scenes need about 40, captions of photographs more


def quickstart() -> PipelineSettings:
    """Drawn motion and the order of scenes, learned from nothing by a tiny model on two cores."""
    return PipelineSettings(
        **dict(generate.quickstart().recipe),
        num_rl_samples=2400,
        num_test_samples=440,
        num_data_workers=2,
        base_model=BaseModelSettings(
            shape=TinyShape(bpe_vocab_size=1500),  # enough for whole words of real captions
            num_steps=200,
            batch_size=32,
            optimizer=OptimizerConfig(
                lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01, warmup_steps=50, schedule="constant"
            ),
        ),
        sft=replaced(
            sft.tiny(),
            {
                "num_steps": 860,
                "checkpoint_every": 500,
                "optimizer.final_lr_ratio": 0.0,
                "validate_every": 100,
                "validation_arms": ("ordered", "shuffled"),
            },
        ),
        grpo=replaced(grpo.tiny(), {"max_tokens": MAX_TOKENS, "num_steps": 140, "prompts_per_step": 24}),
        evaluate=EvaluateSettings(max_tokens=MAX_TOKENS),
    )
