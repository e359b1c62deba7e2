"""Presets of ``temporay run``."""

from temporay.models.tiny import TinyShape
from temporay.workflows.base_model import BaseModelSettings
from temporay.workflows.config import replaced
from temporay.workflows.evaluation.settings import EvaluateSettings
from temporay.workflows.pipeline import PipelineSettings
from temporay.workflows.presets import generate, grpo, sft

MAX_TOKENS = 192  # drawn scenes need about 40, captions of photographs more


def quickstart() -> PipelineSettings:
    """Learn the order of scenes from nothing, by a tiny model on two cores.

    Fine-tuning teaches reasoning for half of the wordings. For the others it mostly teaches to answer at once, but not
    what: asked for one scene, the model names any. Reinforcement finds by trying that reasoning pays for them too.
    """
    return PipelineSettings(
        **dict(generate.quickstart().recipe),
        num_rl_samples=600,
        num_test_samples=400,
        num_data_workers=2,
        base_model=BaseModelSettings(
            shape=TinyShape(bpe_vocab_size=1500),  # enough for whole words of real captions
            tasks=("scene_at", "first_last"),  # with the long texts of scene_order among them it takes twice the steps
            num_steps=300,
            batch_size=32,
            optimizer=replaced(sft.tiny().optimizer, {"lr": 2e-3, "decay_start": 0.6, "final_lr_ratio": 0.1}),
        ),
        sft=replaced(
            sft.tiny(),
            {
                "num_steps": 208,
                "stop_when_exact": 0.9,
                "answer_only_share": 0.85,
                "answer_only_wordings": 0.5,
                "answer_only_learns": "form",
                "answer_only_instruction": "",
                "optimizer.final_lr_ratio": 0.1,
                "validate_every": 13,
                "validation_arms": ("ordered",),
                "validation_samples": 160,
            },
        ),
        grpo=replaced(
            grpo.tiny(),
            {
                "max_tokens": MAX_TOKENS,
                "num_steps": 30,
                "prompts_per_step": 24,
                "rewards.weights": {"accuracy": 1.0, "process": 0.5},  # learns faster than accuracy alone
                "optimizer.lr": 3e-4,
                "optimizer.schedule": "constant",
                "validate_every": 10,
                "validation_samples": 100,
            },
        ),
        evaluate=EvaluateSettings(max_tokens=MAX_TOKENS),
    )
