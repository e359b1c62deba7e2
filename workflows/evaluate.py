"""Accuracy by primitive on held-out samples, by generation only, under arms that take the time out of the video.

sample → frames of an arm → prompt → engine (greedy) → parsed answer → row → accuracy with interval
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pydantic import Field
from temporay.models.chat import to_prompt
from temporay.models.families._base import family_of
from temporay.models.lora import EVERYTHING
from temporay.models.token_lengths import TokenLengths
from temporay.operators.dataset.opening import Samples
from temporay.operators.dataset.video_qa import VideoReading
from temporay.operators.errors import UserError
from temporay.operators.records import Group, Sample, Sampling
from temporay.operators.scoring.answers import read_answer
from temporay.operators.scoring.arms import ARMS, Arm, apply_arm
from temporay.operators.scoring.evaluation import EvaluationRow, by_arm, by_task, write_rows
from temporay.operators.settings import Settings
from temporay.workflows.config import Arms, Instruction
from temporay.workflows.data.own_data import opened, tell_dropped
from temporay.workflows.rollouts.adapters import check_adapters
from temporay.workflows.rollouts.defaults import Demand, lengths_of, resolved
from temporay.workflows.rollouts.pool import Pool, RolloutPool
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.room import await_room
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session

CHUNK = 64  # prompts in flight at a time: frames are held for these alone


class EvaluateSettings(Settings):
    """How a model is evaluated, wherever it and the samples are."""

    arms: Arms = ARMS
    num_samples: int | None = Field(default=None, ge=1)  # per primitive; None: all
    max_tokens: int = Field(default=256, ge=1)
    instruction: Instruction = ""  # letter, text, or words of your own; "": the model was shown one format only


class EvaluateConfig(EvaluateSettings):
    """Settings of ``temporay evaluate``."""

    model: Path  # Hugging Face layout
    data: Path  # a dataset made by ``temporay generate``, usually with --split test, or own data
    out: Path
    video_reading: VideoReading = VideoReading()  # how videos of own data are read
    max_dropped_share: float = Field(default=0.05, ge=0, le=1)  # of the lines of own data; with more it is refused
    pool: PoolConfig = PoolConfig()


async def evaluate(
    pool: Pool,
    dataset: Samples,
    indices: Sequence[int],
    arms: Sequence[Arm],
    settings: EvaluateSettings,
    log_seconds: Callable[[str, float], None] = lambda arm, seconds: None,
) -> list[EvaluationRow]:
    """Return rows for every sample and arm, in order. The engines keep whatever weights they hold.

    Args:
        log_seconds: told how long every arm took.
    """
    sampling = Sampling(num_rollouts=1, temperature=0.0, max_tokens=settings.max_tokens, seed=0)
    rows: list[EvaluationRow] = []
    for arm in arms:
        began = time.monotonic()
        for start in range(0, len(indices), CHUNK):
            samples = {i: dataset.sample(i) for i in indices[start : start + CHUNK]}
            prompts = [
                to_prompt(
                    pool.processor,
                    sample,
                    apply_arm(arm, dataset.frames_shown(i), sample.address),
                    instruction=settings.instruction,
                )
                for i, sample in samples.items()
            ]
            groups = await pool.generate(prompts, sampling)
            rows += [_row(sample, arm, group) for sample, group in zip(samples.values(), groups, strict=True)]
        log_seconds(arm, time.monotonic() - began)
    return rows


def select(dataset: Samples, num_samples: int | None) -> list[int]:
    """Return the first ``num_samples`` of every primitive, in the dataset's order.

    Raises:
        UserError: the dataset is empty, or has fewer samples of some primitive.
    """
    if len(dataset) == 0:
        raise UserError(f"{dataset.path} has no samples; generate some first")
    by_name: dict[str, list[int]] = {}
    for i in range(len(dataset)):
        by_name.setdefault(dataset.sample(i).address.task, []).append(i)
    for task, indices in by_name.items():
        if num_samples is not None and len(indices) < num_samples:
            raise UserError(f"num_samples is {num_samples}, but the dataset has {len(indices)} samples of {task}")
    return sorted(i for indices in by_name.values() for i in indices[:num_samples])


def _row(sample: Sample, arm: Arm, group: Group) -> EvaluationRow:
    text = group.rollouts[0].text
    parsed = read_answer(text, sample.question)
    words = parsed.said if parsed.index is None else sample.question.options[parsed.index]
    return EvaluationRow(
        key=sample.key,
        task=sample.address.task,
        arm=arm,
        correct=parsed.index == sample.question.answer_index,
        parsed=words if parsed.failure is None else None,
        text=text,
        chance=sample.question.chance,
    )


def demand_of(settings: EvaluateSettings, dataset: Samples, lengths: TokenLengths) -> Demand:
    """Return the most that an evaluation asks of its engines; frames in order make the longest prompts."""
    return Demand.of_data(
        dataset,
        lengths,
        instruction=settings.instruction,
        max_tokens=settings.max_tokens,
        num_prompts=CHUNK,
        num_rollouts=1,
    )


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Evaluate one model on one dataset; rows go to samples.jsonl, the table to summary.json.

    Raises:
        UserError: there is no such model or dataset, too few samples, a prompt that does not fit, or settings of the
            pool that only training has a use for.
    """
    if config.pool.placement != "apart":
        raise UserError(
            f"pool.placement is {config.pool.placement}, but no trainer runs beside an evaluation; give apart"
        )
    check_adapters(config.pool, EVERYTHING)
    family_of(config.model)
    dataset = opened(config.data, config)
    indices = select(dataset, config.num_samples)
    demand = demand_of(config, dataset, lengths_of(config.model))
    run_dir = RunDir.open(config.out, config, kind="evaluate")
    tell_dropped("evaluate", config.out, {dataset.path: dataset.dropped})
    with ray_session():
        pool_config = resolved(config.pool, config.model, demand)
        with run_dir.stage("engine"):
            await_room([pool_config.need])
            pool = RolloutPool.start(pool_config, config.model)
        with closing(pool), run_dir.stage("evaluate"):
            rows = asyncio.run(evaluate(pool, dataset, indices, config.arms, config, run_dir.log_seconds))
    write_rows(run_dir.path / "samples.jsonl", rows)
    table = {
        task: {"arms": entry["intervals"], **{name: entry[name] for name in ("chance", "unread", "reasoned")}}
        for task, entry in by_task(by_arm(rows)).items()
    }
    result = {"engine": pool.engine_name, "accuracy": table, "rows": len(rows)}
    return run_dir.finish({**result, "pool": pool.settings()})


def tell(summary: Mapping[str, Any]) -> None:
    """Print one line per primitive."""
    for task, entry in summary["accuracy"].items():
        arms = "  ".join(
            f"{arm} {interval['value']:.1%} (unread {entry['unread'][arm]:.1%}, reasoned {entry['reasoned'][arm]:.1%})"
            for arm, interval in entry["arms"].items()
        )
        print(f"{task}  chance {entry['chance']:.1%}  {arms}")
    print("an answer that names no option is wrong on ordered frames and counts as a guess in the other arms")
