"""The sides of `make bench-sft`, each a script of its own or one for each rank; `sft.py` describes them."""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from temporay.models.chat import to_prompt
from temporay.models.collate import Batch, collate_samples
from temporay.models.families._base import Family, family_of
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import Hardware, this_process
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.models.token_lengths import TokenLengths
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.rows import messages
from temporay.workflows.learner.passes import PassLimits
from temporay.workflows.sft.schedule import pack

LR = 1e-3
IGNORED_LABEL = -100
ENDLESS = 20_000  # steps; sides are killed when all turns are over
HARDWARE = Hardware(sharding="optimizer")  # for our sides: ranks exchange once a step
Kind = Literal["ours", "trainer", "premade"]


@dataclass(frozen=True)
class Side:
    """One way of training."""

    kind: Kind
    ranks: int = 1
    threads: int = 1  # in every rank
    loaders: int = 0  # dataloader workers in every rank of Trainer

    def __str__(self) -> str:
        text = f"{self.kind}, {self.ranks} x {self.threads}"
        return f"{text}, {self.loaders} loaders" if self.kind == "trainer" else text


@dataclass(frozen=True)
class One:
    """The arguments of a side's process. Every step writes a line with ``loss`` and ``time``."""

    side: Side
    batch_size: int
    micro_batch_tokens: int
    folder: Path  # with data and model
    out: Path

    @property
    def lines(self) -> Path:
        return self.out / "metrics.jsonl"


def log_end(one: One, loss: float | None) -> None:
    """Write one line for a step that has just ended."""
    one.out.mkdir(exist_ok=True)
    with one.lines.open("a") as file:
        file.write(json.dumps({"loss": loss, "time": time.time()}) + "\n")


def ours(one: One) -> None:
    """Run `temporay sft` without end."""
    from temporay.workflows.sft.loop import SftConfig, run

    run(
        SftConfig(
            data=one.folder / "data",
            model=one.folder / "model",
            out=one.out,
            num_steps=ENDLESS,
            batch_size=one.batch_size,
            micro_batch_size=one.batch_size,
            micro_batch_tokens=one.micro_batch_tokens,
            optimizer=OptimizerConfig(lr=LR, schedule="linear"),
            threads=one.side.threads,
            num_workers=one.side.ranks,
            hardware=HARDWARE,
            checkpoint_every=ENDLESS,
        )
    )


def premade(one: One) -> None:
    """Run our own updates without end, on batches made before."""
    folder, ranks = one.folder, one.side.ranks
    torch.set_num_threads(one.side.threads)
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    family, dataset = family_of(folder / "model"), Dataset.open(folder / "data")
    processor = family.load_processor(folder / "model")
    policy = Policy.load(
        folder / "model",
        family,
        PolicySettings(optimizer=OptimizerConfig(lr=LR, schedule="linear"), total_steps=ENDLESS, hardware=HARDWARE),
        parallel := this_process(torch.device("cpu")),
    )
    samples = [dataset.sample(i) for i in range(len(dataset))]
    tokens_N = np.asarray(TokenLengths(family, processor)(samples, [""] * len(samples)))
    limits = PassLimits(micro_batch_size=one.batch_size, micro_batch_tokens=one.micro_batch_tokens)
    order = np.random.default_rng(0).permutation(len(samples))
    steps = []
    for start in range(0, len(samples) - one.batch_size + 1, one.batch_size):
        passes = pack(order[start : start + one.batch_size].tolist(), tokens_N, limits, ranks)[parallel.rank :: ranks]
        steps.append([made_batch(family, processor, dataset, made.rows) for made in passes])
    for step in range(ENDLESS):
        loss = policy.forward_backward(steps[step % len(steps)], supervised)["loss"]
        policy.step()
        if parallel.rank == 0:
            log_end(one, loss)


def made_batch(family: Family, processor: Any, dataset: Dataset, rows: Sequence[int]) -> Batch:
    prompts = [to_prompt(processor, dataset.sample(i), (dataset.frames(i),), instruction="") for i in rows]
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
        return {"text": f"{prompt}{sample.target}<|im_end|>", "frames": self.dataset.frames(i), "fps": sample.clip.fps}


@dataclass(frozen=True)
class Collator:
    """A collator with one call of the processor for a batch; only the assistant's text is trained on."""

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
    """Run transformers' Trainer without end."""
    from transformers import AutoModelForImageTextToText, AutoProcessor, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):  # type: ignore[misc] # transformers has no types
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if int(os.environ.get("RANK", 0)) == 0:
                log_end(one, None)

    folder, workers = one.folder, one.side.loaders
    torch.set_num_threads(one.side.threads)
    processor = AutoProcessor.from_pretrained(folder / "model")
    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=one.batch_size // one.side.ranks,
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


RUN = {"ours": ours, "trainer": trainer, "premade": premade}


def command(one: One) -> list[str]:
    """Return the command line of a side's process."""
    return [sys.executable, __file__, base64.b64encode(pickle.dumps(one)).decode()]


if __name__ == "__main__":
    found: One = pickle.loads(base64.b64decode(sys.argv[1]))
    RUN[found.side.kind](found)
