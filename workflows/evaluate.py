"""What a model answers to held-out samples, own data or a public benchmark, under arms that take away what it needs.

question → frames and options of an arm → prompt → engine → answer as it is read → row → accuracy with interval
"""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field
from temporay.models.families._base import check_weights, family_of
from temporay.models.lora import EVERYTHING
from temporay.operators.benchmarks._base import Benchmark, benchmark_called
from temporay.operators.benchmarks._priors import priors
from temporay.operators.dataset.opening import Samples
from temporay.operators.errors import UserError
from temporay.operators.files import write_text
from temporay.operators.scoring.evaluation import (
    EvaluationRow,
    answers_compared,
    by_arm,
    by_task,
    gaps,
    lenient_scores,
    taken_shares,
)
from temporay.operators.scoring.power import told_before
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.config import to_json
from temporay.workflows.data.own_data import opened, tell_dropped
from temporay.workflows.evaluation import lmms_log
from temporay.workflows.evaluation.asking import ask, demand_of, not_asked, tell_not_asked
from temporay.workflows.evaluation.benchmark_questions import Asking, BenchmarkQuestions, told
from temporay.workflows.evaluation.kept_rows import KeptRows
from temporay.workflows.evaluation.questions import SampleQuestions, first_of_each_task
from temporay.workflows.evaluation.settings import EvaluateSettings
from temporay.workflows.rollouts.adapters import check_adapters
from temporay.workflows.rollouts.defaults import lengths_of, resolved
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.room import await_room
from temporay.workflows.runs.run_dir import RunDir, finished_summary
from temporay.workflows.session import ray_session

KIND = "evaluate"
ROWS, LEFT_OUT = "samples.jsonl", "left_out.jsonl"


class EvaluateConfig(EvaluateSettings):
    """Settings of ``temporay evaluate``."""

    model: Path  # Hugging Face layout
    data: Path  # a dataset made by ``temporay generate``, own data, or the folder of a benchmark
    out: Path
    benchmark: str | None = None  # whose files are in ``data``: a file of operators/benchmarks, or module:Class
    # published: the benchmark's own words, frames and start of an answer. own: its question with ``instruction``, so
    # that a model may reason.
    asking: Asking = "published"
    video_reading: VideoReading = VideoReading()  # how videos are read; a benchmark's own number of frames if unchanged
    max_dropped_share: float = Field(default=0.05, ge=0, le=1)  # of questions that cannot be asked; more is refused
    pool: PoolConfig = PoolConfig()


def run(config: EvaluateConfig) -> dict[str, Any]:
    """Evaluate one model on one dataset; rows go to samples.jsonl, the table to summary.json.

    Raises:
        UserError: there is no such model or dataset, too few samples, a prompt that does not fit, or settings of the
            pool that only training has a use for.
    """
    check(config)
    if (finished := finished_summary(config.out, config, kind=KIND, may_change=())) is not None:
        return finished
    questions = questions_of(config)
    unasked = not_asked(questions, config.arms)
    check_weights(config.model)
    demand = demand_of(questions, config.arms, config.sampling, lengths_of(config.model))
    run_dir = RunDir.open(config.out, config, kind=KIND)
    tell_left_out(config, questions)
    num_videos = len({questions.cluster_of(i) for i in range(len(questions))})
    print(f"evaluate: {told_before(len(questions), num_videos)}", flush=True)
    kept, started = KeptRows(run_dir.path / ROWS), datetime.now(UTC)
    with ray_session():
        pool_config = resolved(config.pool, config.model, demand)
        with run_dir.stage("engine"):
            await_room([pool_config.need])
            pool = RolloutPool.start(pool_config, config.model)
        with closing(pool), run_dir.stage("evaluate"):
            asked = ask(pool, questions, config.arms, config.sampling, kept=kept, log_seconds=run_dir.log_seconds)
            rows = asyncio.run(asked)
    kept.finish(rows)
    if isinstance(questions, BenchmarkQuestions) and "ordered" in config.arms:
        times = {"started": started, "ended": datetime.now(UTC)}
        lmms_log.write(config.out, str(config.benchmark), questions, rows, to_json(config), **times)
    result = {"engine": pool.engine_name, **measured(rows), **of_benchmark(questions, rows), "rows": len(rows)}
    result["not_asked"] = unasked
    return run_dir.finish({**result, "pool": pool.settings()})


def check(config: EvaluateConfig) -> None:
    """Refuse settings that mean nothing here, before anything is read.

    Raises:
        UserError: there is no such model, or a setting has no use.
    """
    if config.pool.placement != "apart":
        raise UserError(
            f"pool.placement is {config.pool.placement}, but no trainer runs beside an evaluation; give apart"
        )
    if config.benchmark is None and config.asking != "published":
        raise UserError(f"asking is {config.asking}, but no benchmark is named; leave it out, or name one")
    if config.benchmark is not None and config.instruction and config.asking == "published":
        raise UserError("a benchmark in its published words takes no instruction; give --asking own, or leave it out")
    if config.benchmark is not None and config.video_reading.videos is not None:
        raise UserError(
            f"video_reading.videos is {config.video_reading.videos}, but a benchmark's videos are below its own folder "
            f"{config.data}; leave it out"
        )
    check_adapters(config.pool, EVERYTHING)
    family_of(config.model)


def questions_of(config: EvaluateConfig) -> SampleQuestions | BenchmarkQuestions:
    """Open what is asked.

    Raises:
        UserError: it cannot be read, it is empty, or too much of it cannot be asked.
    """
    if config.benchmark is None:
        dataset = opened(config.data, config)
        return SampleQuestions.of(dataset, select(dataset, config.num_samples), config.instruction)
    benchmark = benchmark_called(config.benchmark)
    questions = BenchmarkQuestions.open(
        benchmark,
        config.data,
        reading_of(benchmark, config),
        asking=config.asking,
        instruction=config.instruction,
        num_samples=config.num_samples,
    )
    num_questions = len(questions) + len(questions.left_out)
    if len(questions.left_out) > config.max_dropped_share * num_questions:
        raise UserError(
            f"{len(questions.left_out)} of {num_questions} questions of {benchmark.title} cannot be asked, and "
            f"max_dropped_share is {config.max_dropped_share:g} ({told(questions.left_out)}); get what is missing, or "
            "raise the share"
        )
    return questions


def reading_of(benchmark: Benchmark, config: EvaluateConfig) -> VideoReading:
    """Return how videos are read: as many frames as the published run shows, unless the user says otherwise."""
    if config.asking == "own" or benchmark.num_frames is None or config.video_reading != VideoReading():
        return config.video_reading
    count = benchmark.num_frames
    return VideoReading(rule="count", count=count, max_frames=count)


def select(dataset: Samples, num_samples: int | None) -> list[int]:
    """Return the first ``num_samples`` of every primitive, in the dataset's order.

    Raises:
        UserError: the dataset is empty, or has fewer samples of some primitive.
    """
    if len(dataset) == 0:
        raise UserError(f"{dataset.path} has no samples; generate some first")
    return first_of_each_task([dataset.address(i).task for i in range(len(dataset))], num_samples)


def tell_left_out(config: EvaluateConfig, questions: SampleQuestions | BenchmarkQuestions) -> None:
    """Say what cannot be asked; a file in OUT names each line or question."""
    if isinstance(questions, SampleQuestions):
        tell_dropped("evaluate", config.out, {questions.samples.path: questions.samples.dropped})
    elif questions.left_out:
        rows = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in questions.left_out)
        write_text(config.out / LEFT_OUT, rows)
        print(f"evaluate: left out: {told(questions.left_out)} ({config.out / LEFT_OUT})", flush=True)


def of_benchmark(questions: SampleQuestions | BenchmarkQuestions, rows: Sequence[EvaluationRow]) -> dict[str, Any]:
    """Return a benchmark's own metrics for every arm and both protocols, and how it was asked; else nothing.

    The headline of ordered frames has an interval.
    """
    if isinstance(questions, SampleQuestions):
        return {}
    benchmark, arms = questions.benchmark, by_arm(rows)
    headlines = questions.headlines(arms["ordered"]) if "ordered" in arms else {}
    return {
        "benchmark": {
            "title": benchmark.title,
            "differs": benchmark.differs,
            "asking": questions.asking,
            "reading": to_json(questions.reading),
            "left_out": len(questions.left_out),
            "priors": [asdict(prior) for prior in priors(benchmark, questions.items)],
            "metrics": {arm: questions.tables(some) for arm, some in arms.items()},
            "headlines": {protocol: asdict(found) for protocol, found in headlines.items()},
        }
    }


def measured(rows: Sequence[EvaluationRow]) -> dict[str, Any]:
    """Return what an evaluation found, as JSON values: by primitive, and of all questions together."""
    arms = by_arm(rows)
    table = {task: {"arms": entry.pop("intervals"), **entry} for task, entry in by_task(arms).items()}
    return {
        "accuracy": table,
        "gaps": {arm: {**asdict(gap.difference), "p_value": gap.p_value} for arm, gap in gaps(arms).items()},
        "repeated": {
            arm: asdict(agreed) for arm, some in arms.items() if (agreed := answers_compared(some)) is not None
        },
        "taken": taken_shares(arms),
        "lenient": {arm: lenient_scores(some) for arm, some in arms.items()},
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
    tell_not_asked(summary["not_asked"])
    print("an answer that names no option is wrong where the whole clip is shown, and counts as a guess in other arms")
    for arm, gap in summary["gaps"].items():
        interval = f"{gap['low']:+.1%} to {gap['high']:+.1%}" if gap["n"] > 1 else "one question"
        print(f"ordered less {arm}: {gap['value']:+.1%} ({interval}, p {gap['p_value']:.2g})")
    for arm, agreed in summary["repeated"].items():
        print(
            f"{arm}: right by majority {agreed['consensus_accuracy']:.1%}, answers to a question agree in "
            f"{agreed['agreement']:.1%} of pairs"
        )
    for arm, found in summary["lenient"].items():
        if found and found["differ"]:
            print(
                f"{arm}: {found['score']:.1%} right to a lenient reader, who differs on {found['differ']:.1%} of the "
                "answers"
            )
    if "benchmark" in summary:
        tell_benchmark(summary["benchmark"])
    if summary["taken"]:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in summary["taken"].items())
        print(f"what the right answer took: {shares}")


def tell_benchmark(found: Mapping[str, Any]) -> None:
    """Print a benchmark's headline by arm: by the published protocol, and by the strict one where they differ."""
    for arm, tables in found["metrics"].items():
        name, official = next(iter(tables["official"].items()))
        strict = tables["strict"].get(name)
        strictly = "" if strict is None or strict == official else f", strict {strict:.2f}"
        print(f"{found['title']}, {arm}: {name} {official:.2f}{strictly}")
    for protocol, headline in found["headlines"].items():
        interval = headline["interval"]
        if math.isfinite(interval["low"]):
            print(f"  {protocol}: {interval['low']:.2f} to {interval['high']:.2f} ({headline['by']}, by video)")
    prior = found["priors"][-1]
    if prior["best"] is not None:
        print(f"without looking: a guess {prior['chance']:.1%}, the best single position {prior['best']:.1%}")
    if found["differs"]:
        print(f"protocols: {found['differs']}")
