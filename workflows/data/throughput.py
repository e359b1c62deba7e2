"""What a sample costs, by a short probe of the work itself, and how near a run comes to what the machine can do.

recipe -> a few samples of every task, made in this process -> Cost by task -> plan, ceiling -> progress
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import cv2
from temporay.operators.dataset.markers import REPLACED
from temporay.operators.dataset.recipe import Recipe, task_and_index
from temporay.operators.dataset.rows import to_row
from temporay.operators.dataset.samples import MadeSample, Source, make_unit
from tqdm import tqdm

REPORT_EVERY_S = 5.0
SEARCHED_UNITS = 20_000  # of a recipe, for samples of its rarest task
TAR_BLOCK = 512  # bytes: a header, and what every file is rounded up to
PIXELS_PER_TOKEN, FRAMES_PER_TOKEN = 32, 2  # a side of a video token of Qwen3-VL at native size
CHARS_PER_TOKEN = 4  # of English text, roughly


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Means over the samples of one task that were made."""

    seconds: float  # of one core
    nbytes: float  # in the tar
    video_tokens: float
    text_tokens: float


def probe(recipe: Recipe, source: Source, budget_s: float) -> dict[str, Cost]:
    """Make samples of every task in turn until the time is up: one that warms up, then at least one more."""
    units = _units_by_task(recipe)
    made: dict[str, list[MadeSample]] = {task: [] for task in units}
    seconds = dict.fromkeys(units, 0.0)
    num_threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as in a worker
    try:
        for task in units:
            make_unit(recipe, source, units[task][0])
        start = time.monotonic()
        for turn in range(max(len(listed) for listed in units.values())):
            for task, listed in units.items():
                if turn >= len(listed) or (turn and time.monotonic() - start > budget_s):
                    continue
                began = time.perf_counter()
                made[task] += make_unit(recipe, source, listed[turn])
                seconds[task] += time.perf_counter() - began
    finally:
        cv2.setNumThreads(num_threads)
    return {task: _cost(recipe, made[task], seconds[task]) for task in units}


def share_of_tasks(recipe: Recipe) -> dict[str, float]:
    """Return the share of a recipe's samples that each task has."""
    weights = recipe.weights or (1.0,) * len(recipe.tasks)
    return {task: weight / sum(weights) for task, weight in zip(recipe.tasks, weights, strict=True)}


def ceiling_per_s(recipe: Recipe, source: Source, budget_s: float, num_cores: float) -> float:
    """Return samples per second if every core did nothing but make samples."""
    costs = probe(recipe, source, budget_s)
    shares = share_of_tasks(recipe)
    return num_cores / sum(cost.seconds * shares[task] for task, cost in costs.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedShard:
    """What a worker says of a shard."""

    counts: Mapping[str, int]
    began_at: float  # Unix seconds


def report_progress(finished: Iterator[FinishedShard], num_shards: int, ceiling: float | None) -> None:
    """Progress on stderr: a bar on a terminal, a plain line now and then elsewhere. Start-up is stated apart.

    Args:
        ceiling: samples per second of the whole machine; None: not measured.
    """
    called_at = said_at = time.time()
    began_at = float("inf")  # of the first shard
    totals: Counter[str] = Counter()
    bar = tqdm(total=num_shards, unit="shard", disable=not sys.stderr.isatty())
    for done, shard in enumerate(finished, start=1):
        if done == 1:
            startup = f"workers were ready after {shard.began_at - called_at:.1f} s"
            tqdm.write(startup, file=sys.stderr)
        totals.update(shard.counts)
        began_at = min(began_at, shard.began_at)
        now = time.time()
        words = describe(totals, now - began_at, ceiling)
        bar.set_postfix_str(words, refresh=False)
        bar.update()
        if bar.disable and (now - said_at > REPORT_EVERY_S or done == num_shards):
            said_at = now
            print(f"shards {done}/{num_shards}, {words}", file=sys.stderr, flush=True)
    bar.close()


def describe(totals: Mapping[str, int], seconds: float, ceiling: float | None) -> str:
    """Clips, clips per second, share of the machine's ceiling, addresses replaced by reason."""
    rate = totals.get("ok", 0) / seconds
    words = [f"{totals.get('ok', 0)} clips", f"{rate:.1f}/s"]
    if ceiling is not None:
        words.append(f"{rate / ceiling:.0%} of this machine's ceiling ({ceiling:.1f}/s)")
    replaced = [f"{k.removeprefix(REPLACED)} {n}" for k, n in sorted(totals.items()) if k.startswith(REPLACED)]
    return ", ".join([*words, *(["replaced: " + " ".join(replaced)] if replaced else [])])


def cores() -> float:
    """Return the number of cores of this machine, or of the cluster that was joined."""
    if "RAY_ADDRESS" not in os.environ:
        return float(os.cpu_count() or 1)
    import ray  # heavy: not for --help

    return float(ray.cluster_resources().get("CPU", 1.0)) if ray.is_initialized() else float(os.cpu_count() or 1)


def _units_by_task(recipe: Recipe) -> dict[str, list[int]]:
    num_units = -(-recipe.num_samples // recipe.unit_size)
    units: dict[str, list[int]] = {}
    for unit in islice(range(num_units), SEARCHED_UNITS):
        units.setdefault(task_and_index(recipe, unit * recipe.unit_size)[0], []).append(unit)
    return units


def _cost(recipe: Recipe, made: list[MadeSample], seconds: float) -> Cost:
    sizes = video = 0
    text = 0.0
    for one in made:
        row = to_row(one.sample, recipe_hash="0" * 16, content_hash=one.content_hash, instruction=recipe.instruction)
        files = [len(json.dumps(row, ensure_ascii=False).encode())] + ([len(one.clip.data)] if one.clip else [])
        sizes += sum(TAR_BLOCK + -(-n // TAR_BLOCK) * TAR_BLOCK for n in files)
        shown = recipe.canvas.sampling.shown(one.sample.clip.num_frames, one.sample.clip.fps)
        num_shown = one.sample.clip.num_frames if shown is None else len(shown.indices)
        video += video_tokens(num_shown, one.sample.clip.height, one.sample.clip.width)
        text += sum(len(turn["content"]) for turn in row["messages"]) / CHARS_PER_TOKEN
    n = len(made)
    return Cost(seconds=seconds / n, nbytes=sizes / n, video_tokens=video / n, text_tokens=text / n)


def video_tokens(num_frames: int, height: int, width: int) -> int:
    """Count the tokens of a clip at native size as Qwen3-VL does: one for 2 frames of 32 x 32 px."""
    return -(-num_frames // FRAMES_PER_TOKEN) * -(-height // PIXELS_PER_TOKEN) * -(-width // PIXELS_PER_TOKEN)
