"""Accuracy by primitive on held-out samples, by generation only, under arms that take the time out of the video.

sample → frames of an arm → prompt → engine (greedy) → parsed answer → row → accuracy with interval
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import Field
from temporay.models.families._base import family_of
from temporay.models.lora import EVERYTHING
from temporay.models.token_lengths import TokenLengths
from temporay.operators.dataset.opening import Samples
from temporay.operators.dataset.video_qa import VideoReading
from temporay.operators.errors import UserError
from temporay.operators.scoring.evaluation import EvaluationRow, by_arm, by_task, gaps, taken_shares
from temporay.workflows.data.own_data import opened, tell_dropped
from temporay.workflows.evaluation.asking import CHUNK, ask
from temporay.workflows.evaluation.kept_rows import KeptRows
from temporay.workflows.evaluation.questions import SampleQuestions
from temporay.workflows.evaluation.settings import EvaluateSettings
from temporay.workflows.rollouts.adapters import check_adapters
from temporay.workflows.rollouts.defaults import Demand, lengths_of, resolved
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.room import await_room
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session

ROWS = "samples.jsonl"


class EvaluateConfig(EvaluateSettings):
    """Settings of ``temporay evaluate``."""

    model: Path  # Hugging Face layout
    data: Path  # a dataset made by ``temporay generate``, usually with --split test, or own data
    out: Path
    video_reading: VideoReading = VideoReading()  # how videos of own data are read
    max_dropped_share: float = Field(default=0.05, ge=0, le=1)  # of the lines of own data; with more it is refused
    pool: PoolConfig = PoolConfig()


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
    if (finished := run_dir.summary()) is not None:
        return finished
    questions, kept = SampleQuestions(dataset, indices, config.instruction), KeptRows(run_dir.path / ROWS)
    tell_dropped("evaluate", config.out, {dataset.path: dataset.dropped})
    with ray_session():
        pool_config = resolved(config.pool, config.model, demand)
        with run_dir.stage("engine"):
            await_room([pool_config.need])
            pool = RolloutPool.start(pool_config, config.model)
        with closing(pool), run_dir.stage("evaluate"):
            rows = asyncio.run(
                ask(
                    pool,
                    questions,
                    config.arms,
                    max_tokens=config.max_tokens,
                    kept=kept,
                    log_seconds=run_dir.log_seconds,
                )
            )
    kept.finish(rows)
    result = {"engine": pool.engine_name, **measured(rows), "rows": len(rows)}
    return run_dir.finish({**result, "pool": pool.settings()})


def measured(rows: Sequence[EvaluationRow]) -> dict[str, Any]:
    """Return what an evaluation found, as JSON values: by primitive, and of all questions together."""
    arms = by_arm(rows)
    table = {task: {"arms": entry.pop("intervals"), **entry} for task, entry in by_task(arms).items()}
    return {
        "accuracy": table,
        "gaps": {arm: asdict(interval) for arm, interval in gaps(arms).items()},
        "taken": taken_shares(arms),
    }


def claims_told(entry: Mapping[str, Any]) -> str:
    """Say what chains of thought about the whole clip are worth, where a log is there to compare with."""
    claims, exact = entry["claims"].get("ordered"), entry["exact"].get("ordered")
    return "" if claims is None else f"  reasoning {claims:.2f} of the event log, all of it in {exact:.1%}"


def tell(summary: Mapping[str, Any]) -> None:
    """Print one line per primitive."""
    for task, entry in summary["accuracy"].items():
        arms = "  ".join(
            f"{arm} {interval['value']:.1%} (unread {entry['unread'][arm]:.1%}, reasoned {entry['reasoned'][arm]:.1%})"
            for arm, interval in entry["arms"].items()
        )
        print(f"{task}  chance {entry['chance']:.1%}  {arms}{claims_told(entry)}")
    print("an answer that names no option is wrong on ordered frames and counts as a guess in the other arms")
    for arm, gap in summary["gaps"].items():
        print(f"ordered less {arm}: {gap['value']:+.1%} ({gap['low']:+.1%} to {gap['high']:+.1%})")
    if summary["taken"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in summary["taken"].items())
        print(f"what the right answer took: {shares}")
