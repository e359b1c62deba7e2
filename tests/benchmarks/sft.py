"""Supervised fine-tuning against a plain Hugging Face Trainer, and against our own loop without data: `make bench-sft`.

Three sides train the same tiny Qwen3-VL on the same mp4 clips with the same batch size, in float32 on the CPU. Clips
have 8 to 32 frames, because no real dataset has one length:

- ours: `temporay sft` as a user runs it, with Ray, its decoding tasks and logs; a step's samples are passed through the
  model in parts of like length, by `micro_batch_tokens`;
- trainer: transformers' Trainer with a dataset that decodes the same bytes by the same PyAV calls and a collator that
  calls the processor once a batch and pads to the longest, as by default: samples of like length are not grouped;
- pre-made: our own updates on micro-batches that lie in memory, cut as ours are.

A machine's cores may go to the model or to what feeds it, so sides run in two ways: on as many ranks as there are
cores, with one thread each, and on one rank with one thread, which leaves a core to data as a GPU would leave all of
them. Trainer also runs on one rank with all threads, which is its default, with 0, 1 and 2 dataloader workers, of which
the fastest counts. Every side is held to the same two cores.

Sides of one way are there at once, but each runs in turns of a few seconds and stands still otherwise (SIGSTOP): shared
machines change their speed from one minute to the next. Rates are samples per wall second between the first and the
last step that end in a turn, after a warm-up; ratios are taken round by round, and figures are medians over the rounds
with their range.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
import torch
import tyro

from models.chat import to_prompt
from models.collate import Batch, collate_samples
from models.families._base import Family, family_of
from models.parallel import Hardware, this_process
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

CORES = 2
LR = 1e-3
IGNORED_LABEL = -100
ENDLESS = 20_000  # steps; sides are ended when all turns are over
HARDWARE = Hardware(sharding="optimizer")  # of ours: ranks exchange once a step
Kind = Literal["ours", "trainer", "premade"]


@dataclass(frozen=True)
class Side:
    """Who trains, and on what."""

    kind: Kind
    ranks: int = 1
    threads: int = 1  # of every rank
    loaders: int = 0  # dataloader workers of every rank of Trainer

    def __str__(self) -> str:
        text = f"{self.kind}, {self.ranks} x {self.threads}"
        return f"{text}, {self.loaders} loaders" if self.kind == "trainer" else text


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
    batch_size: int = 16  # of all ranks together
    micro_batch_tokens: int = 1280  # of ours, with padding
    warmup_steps: int = 10  # not counted
    rounds: int = 8
    turn_s: float = 10.0
    catch_up_s: float = 4.0  # before a turn: timers of many processes are due when they wake


@dataclass(frozen=True)
class One:
    """One side, as a process of its own or a rank of it. Every step leaves a line with ``loss`` and ``time``."""

    settings: Settings
    side: Side
    folder: Path  # with data and model
    out: Path

    @property
    def lines(self) -> Path:
        return self.out / "metrics.jsonl"


class Racer:
    """A side's processes, which stand still while it is not their turn."""

    def __init__(self, one: One) -> None:
        """A process for every rank; of ours a single one, because Ray Train starts the ranks."""
        self._one = one
        command = [sys.executable, __file__, base64.b64encode(pickle.dumps(one)).decode()]
        cores = sorted(os.sched_getaffinity(0))[:CORES]
        num_processes = 1 if one.side.kind == "ours" else one.side.ranks
        common = os.environ | {"OMP_NUM_THREADS": str(one.side.threads), "TOKENIZERS_PARALLELISM": "false"}
        if num_processes > 1:
            common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(num_processes)}
        self._processes = [
            subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=common | ({"RANK": str(rank), "LOCAL_RANK": str(rank)} if num_processes > 1 else {}),
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
                start_new_session=True,
            )
            for rank in range(num_processes)
        ]

    def ends(self) -> list[float]:
        """When every step ended."""
        if any(process.poll() is not None for process in self._processes):
            raise RuntimeError(f"{self._one.side} ended")
        rows = self._one.lines.read_text().splitlines() if self._one.lines.exists() else []
        return [row["time"] for row in map(json.loads, rows) if "loss" in row]

    def warm_up(self) -> None:
        while len(self.ends()) < self._one.settings.warmup_steps:
            time.sleep(0.5)
        self._signal(signal.SIGSTOP)

    def turn(self) -> float:
        """Samples per second between the first and the last step that end in it."""
        self._signal(signal.SIGCONT)
        time.sleep(self._one.settings.catch_up_s)
        start = time.time()
        time.sleep(self._one.settings.turn_s)
        self._signal(signal.SIGSTOP)
        ends = [end for end in self.ends() if end > start]
        return (len(ends) - 1) * self._one.settings.batch_size / (ends[-1] - ends[0])

    def close(self) -> None:
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def _signal(self, number: int) -> None:
        sessions = {process.pid for process in self._processes}
        for pid in psutil.pids():
            with suppress(ProcessLookupError):
                if os.getsid(pid) in sessions:
                    os.kill(pid, number)


def main(given: Settings | One) -> None:
    if isinstance(given, One):
        {"ours": ours, "trainer": trainer, "premade": premade}[given.side.kind](given)
        return
    with tempfile.TemporaryDirectory() as scratch:
        make_inputs(given, Path(scratch))
        rates: dict[Side, list[float]] = {}
        for heat in HEATS:
            rates |= measure(given, Path(scratch), heat)
        print_table(rates)


def measure(settings: Settings, folder: Path, heat: Sequence[Side]) -> dict[Side, list[float]]:
    """Samples per second of every side of a heat, round by round, the sides in turn."""
    rates: dict[Side, list[float]] = {side: [] for side in heat}
    racers: dict[Side, Racer] = {}
    try:
        for side in heat:
            racers[side] = Racer(One(settings, side, folder, folder / f"run {side}"))
            racers[side].warm_up()
        for n in range(settings.rounds):
            for side in heat if n % 2 == 0 else reversed(heat):
                rates[side].append(racers[side].turn())
            row = ", ".join(f"{rates[side][-1]:.1f}" for side in heat)
            print(f"round {n + 1}, samples/s: {row}", file=sys.stderr, flush=True)
    finally:
        for racer in racers.values():
            racer.close()
    return rates


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


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def log_end(one: One, loss: float | None) -> None:
    """One line for a step that has just ended."""
    one.out.mkdir(exist_ok=True)
    with one.lines.open("a") as file:
        file.write(json.dumps({"loss": loss, "time": time.time()}) + "\n")


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


def ours(one: One) -> None:
    """`temporay sft`, without end."""
    from workflows.sft import SftConfig, run

    settings = one.settings
    run(
        SftConfig(
            data=one.folder / "data",
            model=one.folder / "model",
            out=one.out,
            num_steps=ENDLESS,
            batch_size=settings.batch_size,
            micro_batch_size=settings.batch_size,
            micro_batch_tokens=settings.micro_batch_tokens,
            optimizer=OptimizerConfig(lr=LR, schedule="linear"),
            threads=one.side.threads,
            num_workers=one.side.ranks,
            hardware=HARDWARE,
            checkpoint_every=ENDLESS,
        )
    )


def premade(one: One) -> None:
    """Our own updates without end, on batches made before."""
    settings, folder, ranks = one.settings, one.folder, one.side.ranks
    torch.set_num_threads(one.side.threads)
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    family, dataset = family_of(folder / "model"), Dataset.open(folder / "data")
    processor = family.load_processor(folder / "model")
    policy = Policy(
        family.load_model(folder / "model", torch.float32),
        family,
        OptimizerConfig(lr=LR, schedule="linear"),
        total_steps=ENDLESS,
        parallel=(parallel := this_process(torch.device("cpu"))),
        hardware=HARDWARE,
    )
    samples = [dataset.sample(i) for i in range(len(dataset))]
    tokens_N = np.asarray(TokenLengths(family, processor)(samples, [""] * len(samples)))
    limits = PassLimits(micro_batch_size=settings.batch_size, micro_batch_tokens=settings.micro_batch_tokens)
    order = np.random.default_rng(0).permutation(len(samples))
    steps = []
    for start in range(0, len(samples) - settings.batch_size + 1, settings.batch_size):
        passes = pack(order[start : start + settings.batch_size].tolist(), tokens_N, limits, ranks)[
            parallel.rank :: ranks
        ]
        steps.append([made_batch(family, processor, dataset, made.rows) for made in passes])
    for step in range(ENDLESS):
        loss = policy.forward_backward(steps[step % len(steps)], supervised)["loss"]
        policy.step()
        if parallel.rank == 0:
            log_end(one, loss)


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


def trainer(one: One) -> None:
    """transformers' Trainer, without end."""
    from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):  # type: ignore[misc] # transformers has no types
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if int(os.environ.get("RANK", 0)) == 0:
                log_end(one, None)

    settings, folder, workers = one.settings, one.folder, one.side.loaders
    torch.set_num_threads(one.side.threads)
    processor = AutoProcessor.from_pretrained(folder / "model")
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=settings.batch_size // one.side.ranks,
        max_steps=ENDLESS,
        learning_rate=LR,
        optim="adamw_torch_fused",
        lr_scheduler_type="linear",
        use_cpu=True,
        ddp_backend="gloo" if one.side.ranks > 1 else None,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        dataloader_drop_last=True,
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        logging_steps=ENDLESS,
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


if __name__ == "__main__":
    alone = sys.argv[1:] and not sys.argv[1].startswith("-")
    main(pickle.loads(base64.b64decode(sys.argv[1])) if alone else tyro.cli(Settings))
