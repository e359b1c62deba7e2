"""The speed of SFT and GRPO on this GPU, with a real architecture and random weights. `make measure-gpu` prints it.

    shape → model folder → temporay sft, temporay grpo (the product's own commands, in process) → their own step rows

Nothing is asserted: a number belongs to the device that is printed with it. `--shape tiny` runs the same on a CPU in a
minute, as a check of the script.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from temporay.models.policy import OptimizerConfig
from temporay.models.tiny import TinyShape, build
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.reader import Dataset
from temporay.operators.sampling import EVERY_FRAME
from temporay.workflows.grpo import loop as grpo
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.sft import loop as sft
from temporay.workflows.sft.settings import SftConfig
from transformers import Qwen3VLForConditionalGeneration

from tests.models.qwen3_vl_forms import write_form
from tests.small_data import write_dataset

Shape = Literal["tiny", "2b", "4b"]
MAX_POSITION = 16_384  # tokens


@dataclass(frozen=True)
class Settings:
    shape: Shape = "tiny"
    num_frames: int = 16
    side_px: int = 224
    sft_steps: int = 12
    sft_batch: int = 16
    grpo_steps: int = 6
    prompts_per_step: int = 16
    group_size: int = 8
    max_tokens: int = 512
    warmup_steps: int = 2  # steps left out of every median


def write_model(settings: Settings, data: Path, out: Path) -> Path:
    """Write a model folder with the real architecture and a small tokenizer."""
    dataset = Dataset.open(data)
    corpus = [dataset.sample(i).target for i in range(len(dataset))]
    if settings.shape == "tiny":
        build(out, corpus, TinyShape(max_position=MAX_POSITION), seed=0)
        return out
    config = write_form(out, settings.shape, corpus, MAX_POSITION)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen3VLForConditionalGeneration(config).to(torch.bfloat16)
    model.generation_config.eos_token_id = config.text_config.eos_token_id
    model.generation_config.pad_token_id = config.text_config.pad_token_id
    model.save_pretrained(out)
    return out


def measure_sft(settings: Settings, data: Path, model: Path, out: Path) -> None:
    """Run the sft command on one worker."""
    sft.run(
        SftConfig(
            data=data,
            model=model,
            out=out,
            num_steps=settings.sft_steps,
            batch_size=settings.sft_batch,
            micro_batch_size=4,
            gradient_checkpointing=settings.shape != "tiny",
            optimizer=OptimizerConfig(lr=1e-6, schedule="constant"),
            checkpoint_every=settings.sft_steps,
        )
    )
    rows = rows_of(out, "sft")[settings.warmup_steps :]
    show("SFT", rows, ("tokens_per_s", "flops_per_s", "mfu", "seconds", "wait"))


def grpo_config(settings: Settings, data: Path, model: Path, out: Path, *, on_gpu: bool) -> GrpoConfig:
    """Return settings for one engine and one worker, which share the GPU."""
    return GrpoConfig(
        data=data,
        model=model,
        out=out,
        num_steps=settings.grpo_steps,
        prompts_per_step=settings.prompts_per_step,
        group_size=settings.group_size,
        max_tokens=settings.max_tokens,
        micro_batch_size=4,
        rewards={"weights": {"tests.workflows.varied_rewards:Varied": 1.0}},  # type: ignore[arg-type]
        guards={"canary_every": 0, "max_engine_kl": 1.0},  # type: ignore[arg-type] # random weights, bfloat16
        optimizer=OptimizerConfig(lr=1e-6, schedule="constant"),
        checkpoint_every=settings.grpo_steps,
        pool=PoolConfig(placement="together" if on_gpu else "apart"),
    )


def measure_grpo(settings: Settings, data: Path, model: Path, out: Path) -> None:
    """Run the grpo command."""
    grpo.run(grpo_config(settings, data, model, out, on_gpu=torch.cuda.is_available()))
    rows = rows_of(out, "grpo")[settings.warmup_steps :]
    stages = tuple(f"seconds_{stage}" for stage in ("prompts", "generate", "reward", "train", "sync"))
    show("GRPO", rows, ("tokens_per_s", "tokens_per_s_generate", "seconds", *stages, "engine_kl", "parity_max_abs"))


def rows_of(out: Path, stage: str) -> list[dict[str, Any]]:
    rows = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if row.get("stage") == stage and "seconds" in row]


def show(what: str, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Print median and range of the run's own rows, or that they have no such value."""
    for name in names:
        values = [row[name] for row in rows if row.get(name) is not None]
        said = f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})" if values else "not measured"
        print(f"{what:<5} {name:<22} {said}")


def main() -> None:
    settings = tyro.cli(Settings)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{device}, torch {torch.__version__}, Qwen3-VL {settings.shape}, random weights, {settings}")
    canvas = Canvas(
        width=settings.side_px,
        height=settings.side_px,
        fps=4.0,
        num_frames=(settings.num_frames, settings.num_frames),
        num_scenes=(2, 2),
        frames_per_scene=(2, 2),
        jitter="none",
        sampling=EVERY_FRAME,
    )
    with tempfile.TemporaryDirectory() as folder:
        data = write_dataset(Path(folder) / "data", num_samples=128, canvas=canvas, check_pixels=False)
        model = write_model(settings, data, Path(folder) / "model")
        measure_sft(settings, data, model, Path(folder) / "sft")
        measure_grpo(settings, data, model, Path(folder) / "grpo")


if __name__ == "__main__":
    main()
