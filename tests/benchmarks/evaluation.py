"""Evaluation against two others: `make bench-evaluate` prints the table.

Every video has three questions, each is asked under six arms, and one engine answers.

    ours     a video is decoded once for all its questions and arms, while the engine answers others
    loop     for every question and arm: decode, ask, wait, as evaluation scripts do
    bare     the engine alone: all prompts are made before the clock starts

Sides take turns. The last line says how much the memory of the asking process grows from the second half of a long
evaluation to its end, with an engine that answers at once.
"""

from __future__ import annotations

import asyncio
import os

os.environ["OMP_NUM_THREADS"] = "1"

import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import tyro
from temporay.models.engines._settings import EngineSettings
from temporay.models.families._base import family_of
from temporay.models.tiny import TinyShape, build
from temporay.operators.dataset.opening import open_samples
from temporay.operators.records import FinishReason, Group, Rollout, Sampling
from temporay.operators.scoring.arms import Arm
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.evaluation.asking import ask, greedy
from temporay.workflows.evaluation.questions import SampleQuestions
from temporay.workflows.rollouts.pool import NoPool, RolloutPool
from temporay.workflows.rollouts.settings import ResolvedPool
from temporay.workflows.session import ray_session

ARMS: tuple[Arm, ...] = ("ordered", "shuffled", "reversed", "single_frame", "blind", "options_shuffled")
QUESTIONS_PER_VIDEO = 3
MAX_TOKENS = 32
MIB = 1 << 20


@dataclass(frozen=True)
class Settings:
    videos: int = 8  # of each side in each turn; no two sides share one, so that no cache of the engine helps
    repeats: int = 3
    seconds: int = 10  # of each video, at 30 frames a second
    width: int = 640
    height: int = 360
    frames: int = 8  # that a model is shown
    max_side: int = 112  # px, of each of them
    items: int = 2000  # questions of the long evaluation


def write_video(path: Path, settings: Settings, seed: int) -> None:
    """Write a video of soft shapes that move, with the bit rate of a phone's."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (settings.height // 8, settings.width // 8 + settings.seconds * 30, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "28"}
        stream.time_base = Fraction(1, 30)
        for t in range(settings.seconds * 30):
            shown = coarse[:, t : t + settings.width // 8].repeat(8, axis=0).repeat(8, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), format="rgb24")))
        container.mux(stream.encode())


def write_questions(folder: Path, videos: range) -> Path:
    """Write own lines about some videos, three about each."""
    asked = {"options": ["left", "right"], "answer": "A"}
    lines = [
        {"video": f"{video}.mp4", "question": f"What moves in part {n}?", **asked}
        for video in videos
        for n in range(QUESTIONS_PER_VIDEO)
    ]
    file = folder / f"from{videos.start}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def questions_in(file: Path, settings: Settings) -> SampleQuestions:
    reading = VideoReading(rule="count", count=settings.frames, max_side=settings.max_side)
    samples = open_samples(file, reading)
    return SampleQuestions.of(samples, range(len(samples)), "")


async def loop(pool: Any, questions: SampleQuestions) -> int:
    """Decode, ask and wait for every question and arm."""
    for i in range(len(questions)):
        for arm in ARMS:
            clips = questions.frames_shown(questions.clip_of(i))
            await pool.generate([questions.prompt(pool.processor, i, arm, clips)], greedy(MAX_TOKENS))
    return len(questions) * len(ARMS)


async def ours(pool: Any, questions: SampleQuestions) -> int:
    return len(await ask(pool, questions, ARMS, greedy(MAX_TOKENS)))


def prompts_of(pool: Any, questions: SampleQuestions) -> list[Any]:
    """Make all prompts; their frames are held in memory."""
    prompts: list[Any] = []
    clips: dict[int, Any] = {}
    for i in range(len(questions)):
        clip = questions.clip_of(i)
        if clip not in clips:
            clips[clip] = questions.frames_shown(clip)
        prompts += [questions.prompt(pool.processor, i, arm, clips[clip]) for arm in ARMS]
    return prompts


async def bare(pool: Any, prompts: Sequence[Any]) -> int:
    return len(await pool.generate(prompts, greedy(MAX_TOKENS)))


class Silent(NoPool):
    """An engine that answers at once, so that only what asks is measured."""

    async def generate(self, prompts: Sequence[Any], sampling: Sampling) -> list[Group]:
        rollout = Rollout(
            completion_ids=(1,), logprobs=(0.0,), text="A", finish_reason=FinishReason.STOP, weight_versions=(0,)
        )
        return [Group(key=prompt.key, prompt_ids=(1,), rollouts=(rollout,)) for prompt in prompts]


def memory_growth(questions: SampleQuestions, processor: Any) -> tuple[float, float]:
    """Return resident memory in MiB after half of a long evaluation, and how much more it is at the end."""
    process, sizes = psutil.Process(), []
    half = len(questions.indices) // 2
    for part in (range(half), range(half, 2 * half)):
        some = SampleQuestions.of(questions.samples, [questions.indices[i] for i in part], "")
        asyncio.run(ours(Silent(processor), some))
        gc.collect()
        sizes.append(process.memory_info().rss / MIB)
    return sizes[0], sizes[1] - sizes[0]


def timed(run: Callable[[], int]) -> float:
    start = time.monotonic()
    count = run()
    return count / (time.monotonic() - start)


def turns(settings: Settings, folder: Path, model: Path) -> list[dict[str, float]]:
    """Return answers per second of each side, turn by turn. The first turn warms the engine and is left out."""
    config = ResolvedPool(
        engine="vllm", threads=1, prompts_per_call=64, settings=EngineSettings(max_model_len=512, kv_cache_mib=512)
    )
    sides: dict[str, Callable[[Any, SampleQuestions], float]] = {
        "ours": lambda pool, questions: timed(lambda: asyncio.run(ours(pool, questions))),
        "loop": lambda pool, questions: timed(lambda: asyncio.run(loop(pool, questions))),
        "bare": lambda pool, questions: bare_rate(pool, prompts_of(pool, questions)),
    }
    rows = []
    with RolloutPool.started(config, model) as pool:
        for turn in range(settings.repeats + 1):
            row = {}
            for n, (name, side) in enumerate(sides.items()):
                first = (turn * len(sides) + n) * settings.videos
                videos = range(first, first + settings.videos)
                for video in videos:
                    write_video(folder / f"{video}.mp4", settings, video)
                row[name] = side(pool, questions_in(write_questions(folder, videos), settings))
            rows.append(row)
    return rows[1:]


def bare_rate(pool: Any, prompts: Sequence[Any]) -> float:
    return timed(lambda: asyncio.run(bare(pool, prompts)))


def long_questions(settings: Settings, folder: Path) -> SampleQuestions:
    """Write one small video under many names, and three questions about each."""
    num_videos = settings.items // QUESTIONS_PER_VIDEO // 2 * 2
    write_video(folder / "0.mp4", replace(settings, seconds=2, width=160, height=96), 0)
    for video in range(1, num_videos):
        (folder / f"{video}.mp4").hardlink_to(folder / "0.mp4")
    return questions_in(write_questions(folder, range(num_videos)), settings)


def main(settings: Settings) -> None:
    with tempfile.TemporaryDirectory() as scratch, ray_session():
        folder, long, model = Path(scratch) / "videos", Path(scratch) / "long", Path(scratch) / "model"
        folder.mkdir()
        long.mkdir()
        build(model, ["What moves in part one? left right <answer>A</answer>"] * 20, TinyShape(), seed=0)
        rates = turns(settings, folder, model)
        per_turn = settings.videos * QUESTIONS_PER_VIDEO
        print(f"{per_turn} questions about {settings.videos} videos, {len(ARMS)} arms; {settings.repeats} turns each")
        print("| side | answers per second: median (least to most) | ours is times as fast |\n|---|---|---|")
        for name in rates[0]:
            ratios = [row["ours"] / row[name] for row in rates]
            print(f"| {name} | {told([row[name] for row in rates])} | {told(ratios)} |")
        asked = long_questions(settings, long)
        base, growth = memory_growth(asked, family_of(model).load_processor(model))
        print(f"{len(asked)} questions: {base:.0f} MiB after the first half, {growth:+.1f} MiB after the second")


def told(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main(tyro.cli(Settings))
