"""Supervised fine-tuning against a plain Hugging Face Trainer, and against our own loop without data: `make bench-sft`.

Three sides train the same tiny Qwen3-VL on the same mp4 clips with the same batch size, in float32 on the CPU. Clips
have 8 to 32 frames, because no real dataset has one length:

- ours: `temporay sft` as a user runs it, with Ray, its decoding tasks and logs; a step's samples are passed through the
  model in parts of like length, by `micro_batch_tokens`;
- trainer: transformers' Trainer with a dataset that decodes the same bytes by the same PyAV calls and a collator that
  calls the processor once a batch and pads to the longest, as by default: samples of like length are not grouped. With
  0, 1 and 2 dataloader workers, of which the fastest of every repeat counts;
- pre-made: our own updates on micro-batches that lie in memory, cut as ours are.

Every side is a process of its own that is held to the same two cores and gives torch two threads. Rates are samples
per wall second between the end of a warm-up and the last step: start-up and export are left out, data is not. Sides
take turns; figures are medians over the repeats with their range.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro

from models.chat import to_prompt
from models.collate import Batch, collate_samples
from models.families._base import Family, family_of
from models.policy import OptimizerConfig, Policy, supervised
from models.tiny import TinyShape, build
from models.token_lengths import TokenLengths
from operators.at_rest.shards import (
    Dataset,
)
from operators.primitives._base import Canvas
from operators.prompts import messages, question_text
from operators.recipe import Recipe
from tests.small_runs import write_recipe
from workflows.training.schedule import PassLimits, pack

TRAINER_WORKERS = (0, 1, 2)
THREADS = 2
LR = 1e-3
IGNORED_LABEL = -100


@dataclass(frozen=True)
class Settings:
    num_samples: int = 256
    side_px: int = 64
    min_frames: int = 8
    max_frames: int = 32
    batch_size: int = 16
    micro_batch_tokens: int = 2560  # of ours, with padding
    warmup_steps: int = 10  # not counted
    num_steps: int = 60  # with the warm-up
    repeats: int = 5
    side: Literal["all", "ours", "trainer", "premade"] = "all"
    folder: Path | None = None  # with data and model, where one side alone is asked for
    trainer_workers: int = 0
    threads: int = 2
    num_workers: int = 1


def main(settings: Settings) -> None:
    if settings.side != "all":
        assert settings.folder is not None
        sides = {"ours": ours, "trainer": trainer, "premade": premade}
        ends = sides[settings.side](settings, settings.folder)
        seconds = ends[-1] - ends[settings.warmup_steps - 1]
        print((settings.num_steps - settings.warmup_steps) * settings.batch_size / seconds)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_inputs(settings, folder)
        print_table(settings, measure(settings, folder))


def measure(settings: Settings, folder: Path) -> dict[str, list[float]]:
    """Samples per second of every side, repeat by repeat, the sides in turn."""
    sides = [("premade", 0), ("ours", 0), *(("trainer", workers) for workers in TRAINER_WORKERS)]
    rates: dict[str, list[float]] = {}
    for repeat in range(settings.repeats):
        for side, workers in sides if repeat % 2 == 0 else reversed(sides):
            name = f"{side} {workers}" if side == "trainer" else side
            rates.setdefault(name, []).append(rate_in_a_process(settings, folder, side, workers))
            print(f"repeat {repeat + 1}, {name}: {rates[name][-1]:.1f} samples/s", file=sys.stderr, flush=True)
    return rates


def print_table(settings: Settings, rates: dict[str, list[float]]) -> None:
    best_trainer = [max(rates[f"trainer {w}"][i] for w in TRAINER_WORKERS) for i in range(settings.repeats)]
    lines = [(f"samples/s, {name}", values, "") for name, values in rates.items()]
    lines.append(("ours / fastest trainer of the repeat", ratios(rates["ours"], best_trainer), ">= 1.2"))
    lines.append(("ours / pre-made batches", ratios(rates["ours"], rates["premade"]), ">= 0.9"))
    print(f"{'':40} {'min':>8} {'median':>8} {'max':>8}  bound")
    for what, values, bound in lines:
        print(f"{what:40} {min(values):8.2f} {statistics.median(values):8.2f} {max(values):8.2f}  {bound}".rstrip())


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def rate_in_a_process(settings: Settings, folder: Path, side: str, workers: int) -> float:
    given = {**asdict(settings), "side": side, "folder": folder, "trainer_workers": workers}
    command = [sys.executable, __file__, *(f"--{name.replace('_', '-')}={value}" for name, value in given.items())]
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS), "TOKENIZERS_PARALLELISM": "false"}
    cores = sorted(os.sched_getaffinity(0))[:THREADS]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return float(done.stdout.split()[-1])


def make_inputs(settings: Settings, folder: Path) -> None:
    """The dataset of mp4 clips and the model, with a tokenizer of the dataset's words."""
    canvas = Canvas(
        width=settings.side_px,
        height=settings.side_px,
        fps=8.0,
        num_frames=(settings.min_frames, settings.max_frames),
        num_scenes=(2, 2),
        frames_per_scene=(4, 4),
        jitter="none",
    )
    recipe = Recipe(tasks=("motion_direction",), num_samples=settings.num_samples, canvas=canvas)
    data = write_recipe(recipe, folder / "data")
    dataset = Dataset.open(data)
    samples = [dataset.sample(i) for i in range(len(dataset))]
    build(folder / "model", [t for s in samples for t in (question_text(s.question), s.target)], TinyShape(), seed=0)


def ours(settings: Settings, folder: Path) -> list[float]:
    """When every step of `temporay sft` ended."""
    from workflows.sft import SftConfig, run

    out = folder / f"run-{time.time_ns()}"
    run(
        SftConfig(
            data=folder / "data",
            model=folder / "model",
            out=out,
            num_steps=settings.num_steps,
            batch_size=settings.batch_size,
            micro_batch_size=settings.batch_size,
            micro_batch_tokens=settings.micro_batch_tokens,
            optimizer=OptimizerConfig(lr=LR, schedule="linear"),
            threads=settings.threads,
            num_workers=settings.num_workers,
            checkpoint_every=settings.num_steps,
        )
    )
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    print(f"waited {json.loads((out / 'summary.json').read_text())['wait']:.3f}")
    return [row["time"] for row in rows if "loss" in row]


def premade(settings: Settings, folder: Path) -> list[float]:
    """When every step of our own updates ended, on batches made before."""
    torch.set_num_threads(settings.threads)
    family, dataset = family_of(folder / "model"), Dataset.open(folder / "data")
    processor = family.load_processor(folder / "model")
    policy = Policy(
        family.load_model(folder / "model", torch.float32),
        family,
        OptimizerConfig(lr=LR, schedule="linear"),
        total_steps=settings.num_steps,
    )
    samples = [dataset.sample(i) for i in range(len(dataset))]
    tokens_N = np.asarray(TokenLengths(family, processor)(samples, [""] * len(samples)))
    limits = PassLimits(micro_batch_size=settings.batch_size, micro_batch_tokens=settings.micro_batch_tokens)
    order = np.random.default_rng(0).permutation(len(samples))
    steps = []
    for start in range(0, len(samples) - settings.batch_size + 1, settings.batch_size):
        passes = pack(order[start : start + settings.batch_size].tolist(), tokens_N, limits, 1)
        steps.append([made_batch(family, processor, dataset, one.rows) for one in passes])
    ends = []
    for step in range(settings.num_steps):
        policy.forward_backward(steps[step % len(steps)], supervised)
        policy.step()
        ends.append(time.time())
    return ends


def made_batch(family: Family, processor: Any, dataset: Dataset, rows: Sequence[int]) -> Batch:
    prompts = [to_prompt(processor, dataset.sample(i), dataset.frames(i), instruction="") for i in rows]
    return collate_samples(family, processor, prompts, [dataset.sample(i).target for i in rows])


class Clips(torch.utils.data.Dataset[dict[str, Any]]):
    """Frames and chat text of every sample, decoded when asked for."""

    def __init__(self, data: Path, processor: Any) -> None:
        self.dataset, self.processor = Dataset.open(data), processor

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, i: int) -> dict[str, Any]:
        sample = self.dataset.sample(i)
        prompt = self.processor.apply_chat_template(messages(sample), tokenize=False, add_generation_prompt=True)
        return {"text": f"{prompt}{sample.target}<|im_end|>", "frames": self.dataset.frames(i), "fps": sample.fps}


@dataclass(frozen=True)
class Collator:
    """One call of the processor for a batch; only what follows the assistant's header is trained on."""

    processor: Any

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        metadata = [
            {"total_num_frames": len(i["frames"]), "fps": i["fps"], "frames_indices": list(range(len(i["frames"])))}
            for i in items
        ]
        batch = self.processor(
            text=[item["text"] for item in items],
            videos=[item["frames"] for item in items],
            video_metadata=metadata,
            do_sample_frames=False,
            padding=True,
            return_tensors="pt",
        )
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED_LABEL)
        header = self.processor.tokenizer.encode("<|im_start|>assistant\n", add_special_tokens=False)
        for row, ids in zip(labels, batch["input_ids"].tolist(), strict=True):
            start = next(i for i in reversed(range(len(ids))) if ids[i : i + len(header)] == header)
            row[: start + len(header)] = IGNORED_LABEL
        types = (batch["input_ids"] == self.processor.video_token_id).int() * 2
        return {**batch, "mm_token_type_ids": types, "labels": labels}


def trainer(settings: Settings, folder: Path) -> list[float]:
    """When every step of transformers' Trainer ended."""
    from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainerCallback, TrainingArguments

    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc] # transformers has no types
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(time.time())

    torch.set_num_threads(settings.threads)
    processor = AutoProcessor.from_pretrained(folder / "model")
    workers = settings.trainer_workers
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=settings.batch_size,
        max_steps=settings.num_steps,
        learning_rate=LR,
        optim="adamw_torch_fused",
        lr_scheduler_type="linear",
        use_cpu=True,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        dataloader_drop_last=True,
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        logging_steps=settings.num_steps,
        disable_tqdm=True,
    )
    model = AutoModelForImageTextToText.from_pretrained(folder / "model", dtype=torch.float32)
    Trainer(
        model=model,
        args=arguments,
        train_dataset=Clips(folder / "data", processor),
        data_collator=Collator(processor),
        callbacks=[Clock()],
    ).train()
    return ends


if __name__ == "__main__":
    main(tyro.cli(Settings))
