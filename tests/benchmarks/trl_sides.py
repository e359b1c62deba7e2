"""One experiment, told to temporay and to TRL's GRPOTrainer: the same settings, model, prompts and reward.

TRL takes images and no videos. Here a clip shows two scenes, each for two equal frames. Qwen3-VL reads two frames as
one patch in time, and an image as two equal frames. So TRL gets the two scenes as images, and their times as text. The
model then computes the same numbers from the same tokens; only the token that stands for pixels has another id.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from temporay.models.chat import to_prompt
from temporay.models.families._base import Family, family_of
from temporay.models.families._qwen_vl import forbid_tokens
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.reader import Dataset
from temporay.operators.records import Group
from temporay.operators.reinforcement.prompt_stream import Cursor
from temporay.operators.reinforcement.rollout_files import path_of, read_step
from temporay.operators.sampling import EVERY_FRAME
from temporay.workflows.grpo.reward_needs import prompt_stream
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.rollouts.settings import ResolvedPool
from transformers import Qwen3VLForConditionalGeneration
from transformers.trainer_callback import PrinterCallback

from tests.benchmarks.token_reward import NUM_TOKENS, every_fourth_token
from tests.small_data import write_dataset
from tests.small_runs import write_model

REWARD = "tests.benchmarks.token_reward:every_fourth_token"
POOL = ResolvedPool(engine="local")
CANVAS = Canvas(
    width=32,
    height=32,
    fps=2.0,
    num_frames=(4, 4),
    num_scenes=(2, 2),
    frames_per_scene=(2, 2),
    jitter="none",
    sampling=EVERY_FRAME,
)
IMAGE = re.compile(r"<\|vision_start\|>(?:<\|video_pad\|>)+<\|vision_end\|>")
EMBEDDING, END_FACTOR = "model.language_model.embed_tokens.weight", 6.0
USER, ASSISTANT = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What both sides are told."""

    steps: int = 40  # batches
    prompts: int = 8  # of each batch
    group_size: int = 8
    max_tokens: int = NUM_TOKENS
    temperature: float = 0.9
    lr: float = 8e-4
    betas: tuple[float, float] = (0.9, 0.95)
    grad_clip: float = 0.4
    loss: str = "dapo"  # mean over tokens
    epsilon: float = 0.2
    epsilon_high: float = 0.28
    iterations: int = 2  # updates on each batch, so that ratios differ from 1 and are clipped

    @property
    def batch_size(self) -> int:
        """Rollouts of a batch, all of which are computed in one pass."""
        return self.prompts * self.group_size


def write_clips(folder: Path) -> Path:
    """Write questions about clips of two scenes; frames are rendered when they are read, and never compressed."""
    return write_dataset(folder, tasks=("first_last",), split="rl", num_samples=64, canvas=CANVAS, storage="virtual")


def write_start(data: Path, out: Path, seed: int) -> Path:
    """Write random weights that end a completion after few or many tokens: the token that ends it has a long vector.

    Otherwise nearly all completions had the same length, and means over tokens and over sequences were the same.
    """
    path = write_model(data, out, seed) / "model.safetensors"
    weights = load_file(path)
    eos_id = family_of(out).load_processor(out).tokenizer.eos_token_id
    weights[EMBEDDING][eos_id] *= END_FACTOR
    save_file(weights, path, metadata={"format": "pt"})
    return out


def ours(asked: Experiment, data: Path, model: Path, out: Path, seed: int) -> GrpoConfig:
    """Return the experiment as temporay's settings."""
    return GrpoConfig.model_validate(
        {
            "data": data,
            "model": model,
            "out": out,
            "seed": seed,
            "num_steps": asked.steps,
            "prompts_per_step": asked.prompts,
            "group_size": asked.group_size,
            "max_tokens": asked.max_tokens,
            "temperature": asked.temperature,
            "scale_rewards": "group",
            "rewards": {"weights": {REWARD: 1.0}},
            "loss": {
                "loss_type": asked.loss,
                "beta": 0.0,
                "epsilon": asked.epsilon,
                "epsilon_high": asked.epsilon_high,
                "importance_sampling": "none",  # engine and trainer compute the same numbers
            },
            "optimizer": {
                "lr": asked.lr,
                "betas": asked.betas,
                "weight_decay": 0.0,
                "grad_clip": asked.grad_clip,
                "schedule": "constant",
            },
            "num_iterations": asked.iterations,
            "micro_batch_size": asked.batch_size,
            "threads": 1,
            "guards": {"canary_every": 0},
            "checkpoint_every": asked.steps,
            "keep_rollouts_every": 1,
            "trackers": (),
            "pool": POOL,
        }
    )


def theirs(asked: Experiment, out: Path, seed: int) -> Any:
    """Return the experiment as TRL's settings."""
    from trl import GRPOConfig

    return GRPOConfig(
        output_dir=str(out),
        seed=seed,
        max_steps=asked.steps * asked.iterations,
        per_device_train_batch_size=asked.batch_size,
        gradient_accumulation_steps=1,
        num_generations=asked.group_size,
        max_completion_length=asked.max_tokens,
        temperature=asked.temperature,
        scale_rewards="group",
        loss_type=asked.loss,
        beta=0.0,
        epsilon=asked.epsilon,
        epsilon_high=asked.epsilon_high,
        learning_rate=asked.lr,
        adam_beta1=asked.betas[0],
        adam_beta2=asked.betas[1],
        weight_decay=0.0,
        max_grad_norm=asked.grad_clip,
        lr_scheduler_type="constant",
        num_iterations=asked.iterations,
        shuffle_dataset=False,  # rows are in temporay's order
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def rows_for_trl(config: GrpoConfig, family: Family, processor: Any) -> list[dict[str, Any]]:
    """Return the prompts of all batches, in the order in which temporay chooses them."""
    dataset = Dataset.open(config.data)
    num_prompts = config.num_steps * config.prompts_per_step
    chosen, _ = prompt_stream(config, dataset).choose(Cursor(), num_prompts)
    row_of = {row: row_for_trl(config, dataset, row, family, processor) for row in {one.row for one in chosen}}
    return [row_of[one.row] for one in chosen]


def row_for_trl(config: GrpoConfig, dataset: Dataset, row: int, family: Family, processor: Any) -> dict[str, Any]:
    """Return one prompt as messages with images in place of pairs of frames."""
    sample, frames_THWC = dataset.sample(row), dataset.frames(row)
    if (frames_THWC[::2] != frames_THWC[1::2]).any():
        raise ValueError(f"the pairs of frames of {sample.key} differ, so that they are no images")
    prompt = to_prompt(processor, sample, (frames_THWC,), instruction=config.instruction)
    text = processor.tokenizer.decode(family.encode(processor, [prompt]).prompt_ids[0])
    parts = IMAGE.split(text.removeprefix(USER).removesuffix(ASSISTANT))
    content = [{"type": "text", "text": parts[0]}]
    for part in parts[1:]:
        content += [{"type": "image"}, {"type": "text", "text": part}]
    images = [Image.fromarray(frame_HWC) for frame_HWC in frames_THWC[::2]]
    return {"prompt": [{"role": "user", "content": content}], "images": images}


def peer(asked: Experiment, config: GrpoConfig, out: Path, rollout_func: Callable[..., Any] | None = None) -> Any:
    """Return TRL's trainer, ready to train.

    Args:
        config: temporay's settings of the same run.
        rollout_func: gives the completions instead of the model, as TRL asks for them.
    """
    from datasets import Dataset as HfDataset
    from trl import GRPOTrainer

    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"  # about ``rollout_func``
    family = family_of(config.model)
    processor = family.load_processor(config.model)
    rows = rows_for_trl(config, family, processor)
    images, videos = processor.image_processor, processor.video_processor
    images.image_mean, images.image_std = videos.image_mean, videos.image_std
    processor.tokenizer.padding_side = "left"  # as TRL loads one
    model = Qwen3VLForConditionalGeneration.from_pretrained(config.model, dtype=torch.float32)
    forbid_tokens(model.lm_head, family.banned_token_ids(processor))  # as in temporay: no policy writes pixels
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=every_fourth_token,
        args=theirs(asked, out, config.seed),
        train_dataset=HfDataset.from_list(rows),
        processing_class=processor,
        rollout_func=rollout_func,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def rewards_of(trainer: Any) -> list[float]:
    """Return the mean reward of every batch of a trainer that has finished."""
    return [row["reward"] for row in trainer.state.log_history if "reward" in row]


def given_rollouts(config: GrpoConfig, iterations: int) -> Callable[..., dict[str, Any]]:
    """Return a function that gives TRL the completions of a finished run of temporay."""
    processor = family_of(config.model).load_processor(config.model)

    def rollouts(prompts: Sequence[Any], trainer: Any) -> dict[str, Any]:
        found = read_step(path_of(config.out, trainer.state.global_step // iterations)).groups
        return as_trl_takes([scored.group for scored in found], processor)

    return rollouts


def as_trl_takes(groups: Sequence[Group], processor: Any) -> dict[str, Any]:
    """Return groups as the result of TRL's ``rollout_func``: one entry per rollout, images in place of videos."""
    video, image = processor.video_token_id, processor.image_token_id
    pairs = [(group, rollout) for group in groups for rollout in group.rollouts]
    return {
        "prompt_ids": [[image if token == video else token for token in group.prompt_ids] for group, _ in pairs],
        "completion_ids": [list(rollout.completion_ids) for _, rollout in pairs],
        "logprobs": [list(rollout.logprobs) for _, rollout in pairs],
    }
