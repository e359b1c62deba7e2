"""A whole model of the real form, trained by LoRA without a GPU: an SFT step, a GRPO step, the memory of each process.

    config.json, tokenizer, template → random weights in bfloat16 → temporay sft, temporay grpo → peak memory by role

`make drill-2b TEMPORAY_REAL_FORM=FOLDER` runs it on Qwen3-VL-2B. FOLDER holds the files of Qwen3-VL's repositories
without weights, in ``common`` and ``2b``. Nothing is downloaded.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
import tyro
from temporay.operators.canvas import Canvas
from temporay.operators.sampling import EVERY_FRAME
from transformers import AutoConfig, Qwen3VLForConditionalGeneration

from tests.drills.commands import DRIVER, TITLES, Command, session_of, title
from tests.small_data import write_dataset

GB = 1e9
SAMPLE_INTERVAL_S = 0.5
CANVAS = Canvas(
    width=224,
    height=224,
    fps=4.0,
    num_frames=(8, 8),
    num_scenes=(2, 2),
    frames_per_scene=(2, 2),
    jitter="none",
    sampling=EVERY_FRAME,
)
LORA = ("--trained.weights", "lora", "--trained.vision-tower", "frozen", "--gradient-checkpointing", "True")
ONE_STEP = ("--num-steps", "1", "--num-workers", "1", "--trackers")


@dataclass(frozen=True)
class Settings:
    form: Path  # with ``common`` and one folder for each size
    size: str = "2b"
    narrow: bool = False  # two narrow layers instead of all: a check of this script


def write_model(settings: Settings, out: Path) -> None:
    """Write random weights beside the real files, in bfloat16 as they are published."""
    shutil.copytree(settings.form / "common", out, copy_function=shutil.copyfile)
    out.chmod(0o755)
    config = AutoConfig.from_pretrained(settings.form / settings.size)
    if settings.narrow:
        text = {"num_hidden_layers": 2, "hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1}
        vision = {"depth": 2, "deepstack_visual_indexes": [0, 1], "out_hidden_size": text["hidden_size"]}
        for part, changes in ((config.text_config, text), (config.vision_config, vision)):
            for name, value in changes.items():
                setattr(part, name, value)
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    model = Qwen3VLForConditionalGeneration(config)
    print(f"{sum(weight.numel() for weight in model.parameters()) / 1e9:.3f} B weights", flush=True)
    model.save_pretrained(out)


def watched(name: str, arguments: list[str], out: Path) -> None:
    """Run a command to its end and print the peak memory of its processes by role.

    Raises:
        SystemExit: it did not end with 0; the last lines of its log are printed.
    """
    command, start = Command(arguments, out / f"{name}.log"), time.monotonic()
    command.start()
    peaks: dict[str, float] = defaultdict(float)
    try:
        while command.process.poll() is None:
            held: dict[str, float] = defaultdict(float)
            for pid in session_of(command.process.pid):
                held[role_of(pid, command.process.pid)] += resident_bytes(pid)
            held["all together"] = sum(held.values())
            for role, size in held.items():
                peaks[role] = max(peaks[role], size)
            time.sleep(SAMPLE_INTERVAL_S)
    finally:
        command.end()
    print(f"{name}: exit code {command.process.returncode} after {time.monotonic() - start:.0f} s", flush=True)
    for role, size in peaks.items():
        print(f"  {role:<13} {size / GB:6.2f} GB at most", flush=True)
    if command.process.returncode != 0:
        print("\n".join(command.log.read_text().splitlines()[-15:]))
        sys.exit(1)


def role_of(pid: int, driver: int) -> str:
    if pid == driver:
        return DRIVER
    return next((role for role, begins in TITLES.items() if title(pid).startswith(begins)), "rest of Ray")


def resident_bytes(pid: int) -> float:
    """Return what a process has in memory, without what it shares with others."""
    try:
        info = psutil.Process(pid).memory_info()
    except psutil.NoSuchProcess:
        return 0.0
    return float(info.rss - info.shared)


def main() -> None:
    settings = tyro.cli(Settings)
    with tempfile.TemporaryDirectory() as folder:
        try_both(settings, Path(folder))


def try_both(settings: Settings, out: Path) -> None:
    """Take a step of SFT and one of GRPO, each as a command of its own."""
    model = out / "model"
    write_model(settings, model)
    for split in ("train", "rl"):
        write_dataset(out / split, split=split, num_samples=4, canvas=CANVAS, check_pixels=False)
    sft = ["sft", "pseudo-video", "--data", f"{out}/train", "--model", f"{model}", "--out", f"{out}/sft"]
    watched("sft", [*sft, "--batch-size", "2", "--micro-batch-size", "1", *LORA, *ONE_STEP], out)
    shutil.rmtree(out / "sft")  # the whole model that it wrote
    grpo = ["grpo", "synrl", "--data", f"{out}/rl", "--model", f"{model}", "--out", f"{out}/grpo"]
    sizes = ["--prompts-per-step", "1", "--group-size", "4", "--max-tokens", "16", "--micro-batch-size", "1"]
    given = ["--guards.canary-every", "0", "--guards.max-engine-kl", "1", "--pool.settings.dtype", "bfloat16"]
    rewards = ["--rewards.weights", "tests.workflows.varied_rewards:Varied=1"]  # random weights are never right
    watched("grpo", [*grpo, *sizes, *given, *rewards, *LORA, *ONE_STEP], out)


if __name__ == "__main__":
    main()
