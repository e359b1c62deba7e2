"""The memory forecast against torch's own tracker: `make bench-memory` prints the table.

    preset, size, ranks → forecast, as `temporay plan` and every run make it, from a whole model in one process
                        → the same pass on one rank of a fake process group under FSDP2, watched by ``FSDPMemTracker``

With ``--takes-steps``, it is compared with what a process on this CPU grows by when it takes real steps instead.

Nothing else has data, so that no GPU is needed and no weights. Models have the real sizes and a small tokenizer. The
forecast counts what FSDP2 would gather and exchange; the tracker sees FSDP2 itself.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from temporay.models.collate import Batch, collate_samples
from temporay.models.cost.memory_forecast import MemoryForecast, RankShare, size_of
from temporay.models.families._base import Family, family_of
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import Hardware
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.models.tiny import TinyShape, build
from temporay.operators.records import Prompt
from temporay.workflows.learner.settings import TrainingSettings
from temporay.workflows.planning.grpo import longest_groups
from temporay.workflows.planning.machine import RESERVED_BYTES
from temporay.workflows.planning.trainer import GB, Assumed, longest_prompt, plan_trainer
from temporay.workflows.presets.grpo import synrl
from temporay.workflows.presets.sft import pseudo_video

from tests.benchmarks.shared_prompt import MIB, watched
from tests.models.qwen3_vl_forms import Size, write_form
from tests.models.sharded_weightless import tracked_bytes

DEVICES_GB = (24, 80, 141)
CORPUS = ["Which way does it move? It moves left, and then right. a a a a"] * 20
SMALL = TinyShape(
    hidden_size=512,
    num_layers=6,
    num_heads=8,
    num_kv_heads=4,
    head_dim=64,
    vision_hidden_size=512,
    vision_depth=6,
    vision_heads=8,
    patch_px=16,
    max_position=16384,
)
Stage = Literal["sft", "grpo"]


@dataclass(frozen=True)
class Settings:
    """What is compared."""

    sizes: tuple[Size, ...] = ("4b", "8b", "32b")
    ranks: tuple[int, ...] = (8, 16)
    stages: tuple[Stage, ...] = ("sft", "grpo")
    num_frames: int = 48
    side_px: int = 448
    target_tokens: int = 256  # of a completion of SFT
    max_tokens: int = 2048  # of a completion of GRPO
    tracks: bool = True  # whether the tracker runs too, which takes minutes for a large model
    takes_steps: bool = False  # real steps of a model on this CPU, instead of all this
    model: Path | None = None  # that model; None: a small random one is made


def preset_of(stage: Stage) -> TrainingSettings:
    return pseudo_video() if stage == "sft" else synrl()


def batch_of(stage: Stage, settings: Settings, family: Family, processor: Any, prompt: Prompt) -> Batch:
    """Return the longest micro-batch of a preset."""
    if stage == "sft":
        num_rows = pseudo_video().micro_batch_size
        return collate_samples(family, processor, [prompt] * num_rows, [" a" * settings.target_tokens] * num_rows)
    return longest_groups(family, processor, prompt, 1, synrl().group_size, settings.max_tokens)


def compare(model: Path, size: Size, stage: Stage, checkpointing: bool, ranks: int, settings: Settings) -> None:
    """Print one row."""
    how = preset_of(stage).model_copy(update={"gradient_checkpointing": checkpointing, "num_workers": ranks})
    assumed = Assumed(model=model, num_frames=settings.num_frames, side_px=settings.side_px)

    def made(family: Family, processor: Any, prompt: Prompt) -> Batch:
        return batch_of(stage, settings, family, processor, prompt)

    start = time.perf_counter()
    plan = plan_trainer(how, assumed, made, reference=False)
    seconds = time.perf_counter() - start
    forecast = plan.total_bytes
    cells = ["", ""]
    if settings.tracks:
        start = time.perf_counter()
        family = family_of(model, with_weights=False)
        processor = family.load_processor(model)
        in_bfloat16 = PolicySettings(
            optimizer=how.optimizer,
            total_steps=1,
            gradient_checkpointing=checkpointing,
            hardware=Hardware(precision="bfloat16"),
        )
        batch = made(family, processor, longest_prompt(assumed, processor))
        tracked = tracked_bytes(model, family, in_bfloat16, ranks, batch)
        cells = [f"{tracked / GB:.1f} ({time.perf_counter() - start:.0f} s)", f"{forecast / tracked - 1:+.1%}"]
    fits = ["yes" if forecast <= size_gb * GB - RESERVED_BYTES else "no" for size_gb in DEVICES_GB]
    told = "yes" if checkpointing else "no"
    shape = f"{plan.size.num_rows} x {plan.size.length}, {plan.size.num_patches}"
    row = [size, stage, shape, told, str(ranks), f"{forecast / GB:.1f} ({seconds:.0f} s)", *cells, *fits]
    print(f"| {' | '.join(row)} |", flush=True)


def take_steps(model: Path, stage: Stage, checkpointing: bool, settings: Settings) -> str:
    """Return a row: the forecast, and by how much this process grew while it loaded a model and trained it."""
    family = family_of(model)
    processor = family.load_processor(model)
    assumed = Assumed(model=model, num_frames=settings.num_frames, side_px=settings.side_px)
    batch = batch_of(stage, settings, family, processor, longest_prompt(assumed, processor))
    how = PolicySettings(optimizer=OptimizerConfig(), total_steps=2, gradient_checkpointing=checkpointing)
    with watched() as peak_mib:
        policy = Policy.load(model, family, how)
        for _ in range(2):
            policy.forward_backward([batch, batch], supervised)
            policy.step()
    measured = peak_mib() * MIB
    forecast = sum(MemoryForecast(model, family, how, RankShare.of(policy)).bytes(batch).values())
    size = size_of(policy, batch)
    cells = [stage, f"{size.num_rows} x {size.length}, {size.num_patches}", "yes" if checkpointing else "no"]
    cells += [f"{forecast / GB:.2f}", f"{measured / GB:.2f}", f"{forecast / measured - 1:+.1%}"]
    return f"| {' | '.join(cells)} |"


def measure(settings: Settings, model: Path) -> None:
    """Print a table of real steps, each in a process of its own."""
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "65536")  # what is freed goes back to the system at once
    print("| stage | tokens, patches | checkpointing | forecast, GB | measured, GB | difference |\n|" + "---|" * 6)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for stage in settings.stages:
            for checkpointing in (True, False):
                print(processes.submit(take_steps, model, stage, checkpointing, settings).result(), flush=True)


def rows_of(settings: Settings) -> Iterator[tuple[Size, Stage, bool, int]]:
    for size in settings.sizes:
        for stage in settings.stages:
            for checkpointing in (True, False):
                for ranks in settings.ranks:
                    yield size, stage, checkpointing, ranks


def header() -> Sequence[str]:
    names = ["size", "stage", "tokens, patches", "checkpointing", "ranks", "forecast, GB", "tracker, GB", "difference"]
    return [*names, *(f"fits {size_gb} GB" for size_gb in DEVICES_GB)]


def main(settings: Settings) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        if settings.takes_steps:
            if settings.model is None:
                build(Path(folder) / "model", CORPUS, SMALL, seed=0)
            measure(settings, settings.model or Path(folder) / "model")
            return
        print(f"| {' | '.join(header())} |\n|{'---|' * len(header())}", flush=True)
        for size in settings.sizes:
            write_form(Path(folder) / size, size, CORPUS)
        for size, stage, checkpointing, ranks in rows_of(settings):
            compare(Path(folder) / size, size, stage, checkpointing, ranks, settings)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
