"""Where the time of a run goes: seconds of every stage and of its parts, from what a run logs, finished or not.

RUN/seconds.json, metrics.jsonl, those of RUN/sft and RUN/grpo -> StageTime of every stage -> table
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporay.operators.files import read_json
from temporay.workflows.grpo.loop import ENGINES_PART
from temporay.workflows.grpo.worker import WORKER_STAGE
from temporay.workflows.learner.learner import LAUNCH
from temporay.workflows.runs.run_dir import BEGIN_AGAIN, SECONDS, TIME, RunDir

WORKERS_PART = "start of workers"
OTHER, OVERLAP = "other", "overlap"
OVERLAP_WORDS = (
    "Overlap: parts that ran at the same time, or in a call that was killed, add up to more than their stage took."
)
GRPO_PARTS = {  # as a step's line names them
    "prompts": "prompts and their clips",
    "generate": "sampling",
    "reward": "scoring",
    "train": "update",
    "sync": "publishing weights",
}
DATA_PARTS = {"source": "source images", "shards": "rendering and encoding", "index": "index and card"}
MIN_SHOWN_S = 0.05  # a shorter part is not shown


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """The wall seconds of one stage, which its parts sum up to."""

    name: str
    seconds: float
    parts: Mapping[str, float]  # the longest first; what they have too much is the last one, and negative


def time_profile(run: Path) -> list[StageTime]:
    """Return the time of every stage of a run of ``temporay run``, ``sft``, ``grpo`` or ``evaluate``.

    A stage that has not ended is not there. Parts of a call that was killed may be missing from its stage's seconds.
    """
    described = run / "config.json"
    command = read_json(described, BEGIN_AGAIN).get("command") if described.is_file() else None
    of_command: Mapping[Any, Callable[[Path], Iterable[StageTime]]] = {
        "run": of_pipeline,
        "sft": lambda run: [of_sft(run, stage_seconds(run).get("sft", 0.0))],
        "grpo": lambda run: [of_grpo(run, stage_seconds(run).get("grpo", 0.0), 0.0)],
        "evaluate": lambda run: [of_evaluation(run)],
    }
    stages = of_command[command](run) if command in of_command else ()
    return [stage for stage in stages if stage.seconds > 0]


def of_pipeline(run: Path) -> list[StageTime]:
    """Return the stages of ``temporay run`` in their order."""
    seconds, parts = stage_seconds(run), logged_parts(run)

    def of(stage: str, names: Mapping[str, str] | None = None) -> dict[str, float]:
        prefix = f"{stage}/"
        found = {name.removeprefix(prefix): value for name, value in parts.items() if name.startswith(prefix)}
        return {(names or {}).get(name, name): value for name, value in found.items()}

    return [
        stage_time("generate", seconds.get("data", 0.0), of("data", DATA_PARTS)),
        stage_time("audit", seconds.get("audit", 0.0), {}),
        stage_time("base model", seconds.get("base_model", 0.0), of("base_model")),
        of_sft(run / "sft", seconds.get("sft", 0.0)),
        of_grpo(run / "grpo", seconds.get("grpo", 0.0), seconds.get("engine", 0.0)),
        stage_time("evaluation", seconds.get("evaluate", 0.0), of("evaluate")),
    ]


def of_sft(run: Path, seconds: float) -> StageTime:
    """Return the time of a run of SFT that took so long."""
    run_dir = RunDir(path=run, resumed=True)
    steps = [row for row in run_dir.rows("sft") if "seconds" in row and "wait" in row]
    waited = sum(row["seconds"] * row["wait"] for row in steps)
    parts = {
        WORKERS_PART: seconds_to_start(run_dir, "sft"),
        "waiting for data": waited,
        "forward, backward, update": sum(row["seconds"] for row in steps) - waited,
    }
    return stage_time("SFT", seconds, parts | logged_parts(run))


def of_grpo(run: Path, seconds: float, engines_s: float) -> StageTime:
    """Return the time of a run of GRPO that took so long once its engines were there.

    What is left after all parts is mostly waiting of one half for the other. Checkpoints are written beside the next
    batch. Where a batch may lag behind the weights, both halves work at once. So parts may sum up to more than all.
    """
    run_dir = RunDir(path=run, resumed=True)
    rows = run_dir.rows("grpo")
    logged = logged_parts(run)
    engines_s += logged.pop(ENGINES_PART, 0.0)
    parts = {ENGINES_PART: engines_s, WORKERS_PART: seconds_to_start(run_dir, WORKER_STAGE)}
    parts |= {words: sum(row.get(f"seconds_{name}", 0.0) for row in rows) for name, words in GRPO_PARTS.items()}
    return stage_time("GRPO", seconds + engines_s, parts | logged, other="waiting and other", at_once=True)


def of_evaluation(run: Path) -> StageTime:
    """Return the time of a run of ``temporay evaluate``."""
    seconds = stage_seconds(run)
    engines_s = seconds.get("engine", 0.0)
    return stage_time(
        "evaluation", seconds.get("evaluate", 0.0) + engines_s, {ENGINES_PART: engines_s} | logged_parts(run)
    )


def stage_seconds(run: Path) -> dict[str, float]:
    """Read the seconds of every stage that has ended."""
    path = run / SECONDS
    if path.is_file():
        return read_json(path, BEGIN_AGAIN)
    summary = RunDir(path=run, resumed=True).summary() or {}
    return dict(summary.get("seconds", {}))


def logged_parts(run: Path) -> dict[str, float]:
    """Sum up the lines about time, by part."""
    parts: dict[str, float] = {}
    for row in RunDir(path=run, resumed=True).rows(TIME):
        if row["part"] != LAUNCH:
            parts[row["part"]] = parts.get(row["part"], 0.0) + row["seconds"]
    return parts


def seconds_to_start(run_dir: RunDir, stage: str) -> float:
    """Sum up the seconds from every launch of workers to the line that says they are there.

    Workers that Ray Train starts again after a fault are not launched, so their start is not counted.
    """
    seconds, launched = 0.0, None
    for row in run_dir.rows(TIME, stage):
        if row["stage"] == TIME:
            launched = row["time"] if row["part"] == LAUNCH else launched
        elif "pid" in row and launched is not None and "time" in row:
            seconds, launched = seconds + max(0.0, row["time"] - launched), None
    return seconds


def stage_time(
    name: str, seconds: float, parts: Mapping[str, float], *, other: str = OTHER, at_once: bool = False
) -> StageTime:
    """Return a stage with its parts and what they leave.

    Args:
        other: name of what they leave.
        at_once: whether parts may run at once. If not, and they sum up to more than the stage, some belong to a call
            that was killed before it could note the seconds of its stage, and the sum is taken.
    """
    shown = {part: value for part, value in sorted(parts.items(), key=lambda entry: -entry[1]) if value >= MIN_SHOWN_S}
    left = seconds - sum(shown.values())
    if not seconds:
        return StageTime(name=name, seconds=0.0, parts={})
    if left < 0 and not at_once:
        return StageTime(name=name, seconds=sum(shown.values()), parts=shown)
    if shown and abs(left) >= MIN_SHOWN_S:
        shown[other if left > 0 else OVERLAP] = left
    return StageTime(name=name, seconds=seconds, parts=shown)


def time_table(stages: Sequence[StageTime]) -> str:
    """Return the profile as plain text: seconds, share of the stage, share of the run."""
    total = sum(stage.seconds for stage in stages)
    lines = [("where the time goes", "seconds", "of stage", "of run")]
    for stage in stages:
        lines.append((stage.name, f"{stage.seconds:.1f}", "", f"{stage.seconds / total:.1%}"))
        for part, value in stage.parts.items():
            lines.append((f"  {part}", f"{value:.1f}", f"{value / stage.seconds:.1%}", f"{value / total:.1%}"))
    lines.append(("all", f"{total:.1f}", "", ""))
    width = max(len(line[0]) for line in lines)
    written = [f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells) for name, *cells in lines]
    return "\n".join([*written, *([OVERLAP_WORDS] if has_overlap(stages) else [])])


def has_overlap(stages: Sequence[StageTime]) -> bool:
    """Return whether the parts of a stage add up to more than it took."""
    return any(OVERLAP in stage.parts for stage in stages)
