"""Supervised fine-tuning against a plain Hugging Face Trainer, and against our own loop without data: `make bench-sft`.

Three sides train the same tiny Qwen3-VL on the same mp4 clips with the same batch size, in float32 on the CPU. Clips
have 8 to 32 frames, because no real dataset has one length:

- ours: `temporay sft` as a user runs it, with Ray, its decoding tasks and logs. A step's samples pass through the model
  in micro-batches of similar length, by `micro_batch_tokens`.
- trainer: transformers' Trainer. Its dataset decodes the same bytes by the same PyAV calls. Its collator calls the
  processor once for a batch and pads to the longest, as by default: samples of similar length are not grouped.
- pre-made: our own updates on micro-batches in memory, cut like ours.

A core can serve the model or the data, so sides run in two ways. One way has a rank for every core, with one thread
each. The other has one rank with one thread, which leaves a core to data, as a GPU would leave all cores. Trainer also
runs on one rank with all threads, which is its default, with 0, 1 and 2 dataloader workers, and the fastest counts.
Every side is limited to the same two cores.

All sides of one way are alive at once, but each runs in turns of a few seconds and is stopped otherwise (SIGSTOP),
because shared machines change their speed within a minute. Rates are samples per wall second between the first and the
last step that end in a turn, after a warm-up. Ratios are computed in each round, and figures are medians over the
rounds with their range.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from temporay.models.tiny import TinyShape, build
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.rows import question_text
from temporay.operators.sampling import EVERY_FRAME

from tests.benchmarks.sft_sides import One, Side, command
from tests.benchmarks.turns import Racer, Turns
from tests.small_data import write_recipe

CORES = 2
PLAIN_TRAINER = [Side("trainer", threads=CORES, loaders=loaders) for loaders in (0, 1, 2)]
TRAINER_ON_RANKS = Side("trainer", ranks=CORES)
TRAINER_ON_ONE = Side("trainer", loaders=1)
OURS_ON_ALL_CORES, OURS_ON_ONE = Side("ours", ranks=CORES), Side("ours")
PREMADE_ON_ALL_CORES, PREMADE_ON_ONE = Side("premade", ranks=CORES), Side("premade")
HEATS = [
    [PREMADE_ON_ONE, OURS_ON_ONE, TRAINER_ON_ONE],
    [PREMADE_ON_ALL_CORES, OURS_ON_ALL_CORES, *PLAIN_TRAINER, TRAINER_ON_RANKS],
]


@dataclass(frozen=True)
class Settings:
    num_samples: int = 256
    side_px: int = 64
    min_frames: int = 8
    max_frames: int = 32
    batch_size: int = 16  # samples of all ranks together
    micro_batch_tokens: int = 1280  # tokens of our micro-batches, with padding
    rounds: int = 8
    turns: Turns = field(default_factory=Turns)


def main() -> None:
    settings = tyro.cli(Settings)
    with tempfile.TemporaryDirectory() as scratch:
        make_inputs(settings, Path(scratch))
        rates: dict[Side, list[float]] = {}
        for heat in HEATS:
            rates |= measure(settings, Path(scratch), heat)
        print_table(rates)


def measure(settings: Settings, folder: Path, heat: Sequence[Side]) -> dict[Side, list[float]]:
    """Return samples per second of every side of a heat, by round; the sides take turns."""
    rates: dict[Side, list[float]] = {side: [] for side in heat}
    racers: dict[Side, Racer] = {}
    try:
        for side in heat:
            racers[side] = start(settings, side, folder)
            racers[side].warm_up(settings.turns)
        for n in range(settings.rounds):
            for side in heat if n % 2 == 0 else reversed(heat):
                rates[side].append(racers[side].turn(settings.turns) * settings.batch_size)
            row = ", ".join(f"{rates[side][-1]:.1f}" for side in heat)
            print(f"round {n + 1}, samples/s: {row}", file=sys.stderr, flush=True)
    finally:
        for racer in racers.values():
            racer.close()
    return rates


def start(settings: Settings, side: Side, folder: Path) -> Racer:
    """Start a process for every rank; ours is a single process, because Ray Train starts the ranks."""
    one = One(side, settings.batch_size, settings.micro_batch_tokens, folder, folder / f"run {side}")
    processes = 1 if side.kind == "ours" else side.ranks
    return Racer(command(one), one.lines, ranks=processes, threads=side.threads, cores=CORES)


def print_table(rates: dict[Side, list[float]]) -> None:
    def fastest(sides: Sequence[Side]) -> list[float]:
        return rates[max(sides, key=lambda side: statistics.median(rates[side]))]

    on_all, on_one = rates[OURS_ON_ALL_CORES], rates[OURS_ON_ONE]
    lines = [(f"{side}, samples/s", values, "") for side, values in rates.items()]
    lines += [
        ("all cores: ours / fastest plain trainer", ratios(on_all, fastest(PLAIN_TRAINER)), ">= 1.2"),
        ("all cores: ours / trainer on two ranks", ratios(on_all, rates[TRAINER_ON_RANKS]), ""),
        ("all cores: ours / pre-made", ratios(on_all, rates[PREMADE_ON_ALL_CORES]), ""),
        ("a core for data: ours / trainer", ratios(on_one, rates[TRAINER_ON_ONE]), ">= 1.2"),
        ("a core for data: ours / pre-made", ratios(on_one, rates[PREMADE_ON_ONE]), ">= 0.9"),
    ]
    print(f"{'ranks x threads':42} {'min':>8} {'median':>8} {'max':>8}  bound")
    for what, values, bound in lines:
        print(f"{what:42} {min(values):8.2f} {statistics.median(values):8.2f} {max(values):8.2f}  {bound}".rstrip())


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def make_inputs(settings: Settings, folder: Path) -> None:
    """Make the dataset of mp4 clips and the model, with a tokenizer of the dataset's words."""
    canvas = Canvas(
        width=settings.side_px,
        height=settings.side_px,
        fps=8.0,
        num_frames=(settings.min_frames, settings.max_frames),
        num_scenes=(2, 2),
        frames_per_scene=(4, 4),
        jitter="none",
        sampling=EVERY_FRAME,
    )
    recipe = Recipe(tasks=("motion_direction",), num_samples=settings.num_samples, canvas=canvas)
    data = write_recipe(recipe, folder / "data").path
    dataset = Dataset.open(data)
    samples = [dataset.sample(i) for i in range(len(dataset))]
    build(folder / "model", [t for s in samples for t in (question_text(s.question), s.target)], TinyShape(), seed=0)


if __name__ == "__main__":
    main()
