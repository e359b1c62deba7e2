"""Accuracy by primitive on held-out samples, by generation only, under arms that take the time out of the video.

sample → frames of an arm → prompt → engine (greedy) → parsed answer → row → accuracy with interval
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from temporay.models.chat import to_prompt
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.files import write_text
from temporay.operators.records import Group, Prompt, Sample, Sampling
from temporay.operators.scoring.answers import parse_answer
from temporay.operators.scoring.arms import ARMS, Arm, apply_arm
from temporay.operators.scoring.metrics import ConfidenceInterval, accuracy_interval
from temporay.operators.settings import Settings
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session

CHUNK = 64  # prompts in flight at a time: frames are held for these alone


class EvaluateSettings(Settings):
    """How a model is evaluated, wherever it and the samples are."""

    arms: tuple[Arm, ...] = ARMS
    num_samples: int | None = None  # per primitive; None: all
    max_tokens: int = 256
    instruction: str = ""  # how to answer; "" for a model that was only ever shown one format


class EvaluateConfig(EvaluateSettings):
    """Settings of ``temporay evaluate``."""

    model: Path  # Hugging Face layout
    data: Path  # a dataset made by ``temporay generate``, usually with --split test
    out: Path
    pool: PoolConfig = PoolConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRow:
    """What the model wrote for one sample under one arm."""

    key: str
    task: str
    arm: Arm
    correct: bool
    parsed: str | None  # the option it chose; None when nothing could be read, which counts as wrong
    text: str
    chance: float


async def evaluate(
    pool: RolloutPool,
    processor: Any,
    dataset: Dataset,
    indices: Sequence[int],
    arms: Sequence[Arm],
    settings: EvaluateSettings,
) -> list[EvaluationRow]:
    """Rows for every sample and arm, in order; the engines keep whatever weights they hold."""
    sampling = Sampling(num_rollouts=1, temperature=0.0, max_tokens=settings.max_tokens, seed=0)
    rows: list[EvaluationRow] = []
    for arm in arms:
        for chunk in _chunks(indices):
            samples = [dataset.sample(i) for i in chunk]
            prompts = [
                arm_prompt(processor, sample, dataset.frames(i), arm, settings.instruction)
                for i, sample in zip(chunk, samples, strict=True)
            ]
            groups = await pool.generate(prompts, sampling)
            rows += [_row(sample, arm, group) for sample, group in zip(samples, groups, strict=True)]
    return rows


def arm_prompt(processor: Any, sample: Sample, frames_THWC: Any, arm: Arm, instruction: str) -> Prompt:
    """The prompt of one sample under one arm."""
    return to_prompt(processor, sample, apply_arm(arm, frames_THWC, sample.address), instruction=instruction)


def by_task(rows: Sequence[EvaluationRow], arm: Arm) -> dict[str, ConfidenceInterval]:
    """Accuracy with its interval per primitive under one arm."""
    tasks = sorted({row.task for row in rows if row.arm == arm})
    return {
        task: accuracy_interval([credit(row) for row in rows if row.arm == arm and row.task == task]) for task in tasks
    }


def credit(row: EvaluationRow) -> float:
    """1 for the right option, else 0; in the control arms an answer that names no option counts as a uniform guess.

    Otherwise a model that falls silent without its video would look blind where it could have guessed. MMMU (arXiv
    2311.16502, official code) draws an option at random for unread answers; this is that draw's expectation.
    """
    if row.parsed is None and row.arm != "ordered":
        return row.chance
    return float(row.correct)


def unread_share(rows: Sequence[EvaluationRow], task: str, arm: Arm) -> float:
    """Share of answers that name no option: wrong on ordered frames, a guess in the control arms (see `credit`)."""
    unread = [row.parsed is None for row in rows if row.arm == arm and row.task == task]
    return sum(unread) / len(unread)


def chance_of(rows: Sequence[EvaluationRow]) -> dict[str, float]:
    """Mean chance per primitive: what a uniform guess among the options gets."""
    tasks = sorted({row.task for row in rows})
    per_task = {task: [row.chance for row in rows if row.task == task] for task in tasks}
    return {task: sum(values) / len(values) for task, values in per_task.items()}


def write_rows(path: Path, rows: Sequence[EvaluationRow]) -> None:
    """One JSON line per sample and arm, for the report and for anyone's own analysis."""
    write_text(path, "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))


def read_rows(path: Path) -> list[EvaluationRow]:
    return [EvaluationRow(**json.loads(line)) for line in path.read_text().splitlines()]


def select(dataset: Dataset, num_samples: int | None) -> list[int]:
    """The first ``num_samples`` of every primitive, in the dataset's order.

    Raises:
        UserError: the dataset has fewer than asked of some primitive.
    """
    by_name: dict[str, list[int]] = {}
    for i in range(len(dataset)):
        by_name.setdefault(dataset.sample(i).address.task, []).append(i)
    for task, indices in by_name.items():
        if num_samples is not None and len(indices) < num_samples:
            raise UserError(f"num_samples is {num_samples}, but the dataset has {len(indices)} samples of {task}")
    return sorted(i for indices in by_name.values() for i in indices[:num_samples])


def _chunks(indices: Sequence[int]) -> Iterator[Sequence[int]]:
    return (indices[start : start + CHUNK] for start in range(0, len(indices), CHUNK))


def _row(sample: Sample, arm: Arm, group: Group) -> EvaluationRow:
    text = group.rollouts[0].text
    parsed = parse_answer(text, sample.question.options)
    return EvaluationRow(
        key=sample.key,
        task=sample.address.task,
        arm=arm,
        correct=parsed.index == sample.question.answer_index,
        parsed=None if parsed.index is None else sample.question.options[parsed.index],
        text=text,
        chance=sample.question.chance,
    )


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Evaluates one model on one dataset; rows in samples.jsonl, the table in summary.json."""
    dataset = Dataset.open(config.data)
    run_dir = RunDir.open(config.out, config, kind="evaluate")
    with ray_session(), RolloutPool.started(config.pool, config.model) as pool, run_dir.stage("evaluate"):
        indices = select(dataset, config.num_samples)
        rows = asyncio.run(evaluate(pool, pool.processor, dataset, indices, config.arms, config))
    write_rows(run_dir.path / "samples.jsonl", rows)
    chance = chance_of(rows)
    arms = {arm: by_task(rows, arm) for arm in config.arms}
    table = {
        task: {
            "chance": chance[task],
            "arms": {arm: asdict(arms[arm][task]) for arm in config.arms},
            "unread": {arm: unread_share(rows, task, arm) for arm in config.arms},
        }
        for task in chance
    }
    return run_dir.finish({"engine": pool.engine_name, "accuracy": table, "rows": len(rows)})


def tell(summary: Mapping[str, Any]) -> None:
    """Print one line per primitive."""
    for task, entry in summary["accuracy"].items():
        arms = "  ".join(
            f"{arm} {interval['value']:.1%} (unread {entry['unread'][arm]:.1%})"
            for arm, interval in entry["arms"].items()
        )
        print(f"{task}  chance {entry['chance']:.1%}  {arms}")
    print("an answer that names no option is wrong on ordered frames and counts as a guess in the other arms")
