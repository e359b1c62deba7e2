"""A small base model made on the spot: random weights, then a short stage of text without a single video.

A pretrained model can read: it knows the format, follows an argument to its conclusion and repeats an option's words.
This stage gives random weights just that. Every example is a question with what happens written out, its target the
reasoning and the answer. Nothing about pixels is learned, which the evaluation of the base model shows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from temporay.models.collate import collate_samples
from temporay.models.export import export
from temporay.models.families._base import family_of
from temporay.models.losses._supervised import supervised
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.models.tiny import TinyShape, build
from temporay.operators.dataset.rows import question_text
from temporay.operators.errors import UserError
from temporay.operators.records import Prompt, Sample
from temporay.operators.seeding import rng_at
from temporay.operators.settings import Settings
from temporay.workflows.runs.run_dir import RunDir, part_of

STAGE = "base_model"


class BaseModelSettings(Settings):
    """How the small base model is made."""

    shape: TinyShape = TinyShape()
    tasks: tuple[str, ...] = ()  # it reads the texts of these questions; none: of all in the data
    seed: int = 0
    num_steps: int = Field(default=200, ge=1)
    batch_size: int = Field(default=32, ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    threads: int = Field(default=2, ge=1)


def make_base_model(settings: BaseModelSettings, samples: Sequence[Sample], run_dir: RunDir, out: Path) -> None:
    """Build a model with a tokenizer of the samples' own words, teach it to read, and write it to ``out``.

    Args:
        samples: some are of the tasks to read.

    Raises:
        UserError: none of these has a chain of thought, which is what is read.
    """
    if not any(sample.rationale for sample in samples if not settings.tasks or sample.address.task in settings.tasks):
        raise UserError("a base model learns to read from chains of thought; give the data style concise or detailed")
    torch.set_num_threads(settings.threads)
    random_weights = out.with_name(f"{out.name}-random")
    corpus = [text for sample in samples for text in (question_text(sample.question), sample.target)]
    with run_dir.timed(part_of(STAGE, "tokenizer, random weights")):
        build(random_weights, corpus, settings.shape, settings.seed)
    family = family_of(random_weights)
    policy = Policy.load(
        random_weights,
        family,
        PolicySettings(optimizer=settings.optimizer, total_steps=settings.num_steps),
    )
    run_dir.drop_from(STAGE, 0)
    with run_dir.timed(part_of(STAGE, "steps")):
        read = [sample for sample in samples if not settings.tasks or sample.address.task in settings.tasks]
        teach_to_read(policy, family.load_processor(random_weights), settings, read, run_dir)
    with run_dir.timed(part_of(STAGE, "export")):
        export(policy, random_weights, out)


def teach_to_read(
    policy: Policy, processor: Any, settings: BaseModelSettings, samples: Sequence[Sample], run_dir: RunDir
) -> None:
    """Train on texts alone and log every step."""
    for step in range(settings.num_steps):
        rows = rng_at(STAGE, settings.seed, step).integers(0, len(samples), settings.batch_size)
        prompts = [reading_prompt(processor, samples[row]) for row in rows]
        batch = collate_samples(policy.family, processor, prompts, [samples[row].target for row in rows])
        metrics = {**policy.forward_backward([batch], supervised), **policy.step()}
        run_dir.log({"stage": STAGE, "step": step, **metrics})


def reading_prompt(processor: Any, sample: Sample) -> Prompt:
    """Return what happens in words, without its conclusion, then the question. There is no video."""
    facts, period, _conclusion = sample.rationale.rpartition(". ")
    content = f"{facts}{period.strip()}" if facts else sample.rationale
    chat = [{"role": "user", "content": f"{content}\n{question_text(sample.question)}"}]
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return Prompt(key=sample.key, text=text)
