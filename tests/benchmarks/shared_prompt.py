"""Prompts computed once against prompts repeated for every rollout: `make bench-shared` prints the table.

Both sides learn from the same group, in turns, with the same most tokens of a pass: those of the group as one row. The
other side passes as many whole rows at a time as that allows. Processor seconds are the time of all threads together,
which other programs on the machine disturb less than the clock's.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
import tyro
from temporay.models.collate import Batch, collate_groups
from temporay.models.families._base import family_of
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.models.tiny import TinyShape, build
from temporay.operators.media import ShownMedium
from temporay.operators.records import Group, Prompt

from tests.models.repeated_rows import collate_repeated
from tests.models.small_groups import gradients, make_rollout

FILLER = " and then"
MIB = 1 << 20


@dataclass(frozen=True)
class Settings:
    """What is measured, and how often."""

    model: Path | None = None  # None: a random one is made
    cases: tuple[tuple[int, int, int], ...] = ((500, 64, 8), (2400, 200, 8), (4700, 200, 16))  # prompt, completion, G
    repeats: int = 3
    threads: int = 2
    gradient_checkpointing: bool = False


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One forward and backward pass over a group."""

    seconds: float
    processor_seconds: float
    peak_mib: float  # more than before


def prompt_of(family: Any, processor: Any, num_tokens: int) -> tuple[Prompt, tuple[int, ...]]:
    """Return a prompt of about this many tokens, three quarters of them a video's, and its ids."""
    side_px = 14 * processor.video_processor.patch_size
    rng = np.random.default_rng(0)

    def made(num_frames: int, words: int) -> tuple[Prompt, tuple[int, ...]]:
        text = {"type": "text", "text": "Which way?" + FILLER * words}
        chat = [{"role": "user", "content": [{"type": "video"}, text]}]
        prompt = Prompt(
            key="p",
            text=processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True),
            media=(
                ShownMedium(
                    frames_THWC=rng.integers(0, 256, (num_frames, side_px, side_px, 3), dtype=np.uint8), fps=4.0
                ),
            ),
        )
        return prompt, family.encode(processor, [prompt]).prompt_ids[0]

    two, four = (len(made(num_frames, 0)[1]) for num_frames in (2, 4))
    num_frames = 2 * max(1, round(0.75 * num_tokens / (four - two)))
    missing = num_tokens - len(made(num_frames, 0)[1])
    per_word = len(made(num_frames, 8)[1]) - len(made(num_frames, 0)[1])
    return made(num_frames, max(0, missing * 8 // per_word))


@contextmanager
def watched() -> Iterator[Callable[[], float]]:
    """Watch this process's memory; the yielded function returns by how many MiB it had grown at most."""
    process = psutil.Process()
    before = largest = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.02):
            largest = max(largest, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: (largest - before) / MIB
    finally:
        done.set()
        thread.join()


def measure(policy: Policy, batches: Sequence[Batch]) -> tuple[Turn, float, dict[str, torch.Tensor]]:
    with watched() as peak_mib:
        start, start_cpu = time.perf_counter(), time.process_time()
        loss, found = gradients(policy, batches)
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    return Turn(seconds=seconds, processor_seconds=cpu, peak_mib=peak_mib()), loss, found


def compare(policy: Policy, processor: Any, case: tuple[int, int, int], repeats: int) -> None:
    prompt, ids = prompt_of(policy.family, processor, case[0])
    _, length, size = case
    rng = np.random.default_rng(1)
    banned = policy.family.banned_token_ids(processor)
    allowed = [i for i in range(len(processor.tokenizer)) if i not in banned]
    rollouts = tuple(make_rollout(tuple(rng.choice(allowed, length).tolist())) for _ in range(size))
    group = Group(key="p", prompt_ids=ids, rollouts=rollouts)
    advantages = rng.normal(size=size).tolist()
    shared = [collate_groups(policy.family, processor, [prompt], [group], [advantages])]
    rows = max(1, sum(shared[0].lengths_R) // (len(ids) + length))
    repeated = [
        collate_repeated(
            policy.family,
            processor,
            [prompt],
            [dataclasses.replace(group, rollouts=rollouts[start : start + rows])],
            [advantages[start : start + rows]],
        )
        for start in range(0, size, rows)
    ]
    turns: dict[str, list[Turn]] = {"repeated": [], "shared": []}
    gap_loss = gap_gradient = 0.0
    for _ in range(repeats):
        turn, loss, found = measure(policy, shared)
        turns["shared"].append(turn)
        turn, expected_loss, expected = measure(policy, repeated)
        turns["repeated"].append(turn)
        gap_loss = max(gap_loss, abs(loss / expected_loss - 1))
        for name, gradient in expected.items():
            largest = float(gradient.abs().max())
            gap_gradient = max(gap_gradient, float((found[name] - gradient).abs().max()) / (largest or 1.0))
    tokens = {
        name: sum(sum(batch.lengths_R) for batch in batches)
        for name, batches in (("repeated", repeated), ("shared", shared))
    }
    print(
        f"| {len(ids)}, {length}, {size} | {tokens['repeated']} → {tokens['shared']} |"
        f" {spread([t.seconds for t in turns['repeated']])} → {spread([t.seconds for t in turns['shared']])} |"
        f" {spread([t.processor_seconds for t in turns['repeated']])} → "
        f"{spread([t.processor_seconds for t in turns['shared']])} |"
        f" {spread(ratios(turns))} |"
        f" {max(t.peak_mib for t in turns['repeated']):.0f} → {max(t.peak_mib for t in turns['shared']):.0f} |"
        f" {gap_loss:.0e}, {gap_gradient:.0e} |",
        flush=True,
    )


def ratios(turns: dict[str, list[Turn]]) -> list[float]:
    """Return how many times the processor seconds of one row the repeated rows took, turn by turn."""
    pairs = zip(turns["repeated"], turns["shared"], strict=True)
    return [repeated.processor_seconds / shared.processor_seconds for repeated, shared in pairs]


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main(settings: Settings) -> None:
    torch.set_num_threads(settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = settings.model or Path(folder) / "model"
        if settings.model is None:
            build(model, [f"Which way does it move?{FILLER}"] * 20, TinyShape(max_position=16384), seed=0)
        family = family_of(model)
        how = PolicySettings(
            optimizer=OptimizerConfig(), total_steps=1, gradient_checkpointing=settings.gradient_checkpointing
        )
        policy = Policy(family.load_model(model, torch.float32), family, how)
        processor = family.load_processor(model)
    print("| P, R, G | tokens | seconds | processor seconds | ratio | peak MiB | largest gap of loss, gradient |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for case in settings.cases:
        compare(policy, processor, case, settings.repeats)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
