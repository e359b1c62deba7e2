"""Memory of a training step on one rank, forecast before the step, so that one that cannot fit never starts.

    the sharded policy → bytes of weights, gradients, AdamW
    passes over small probes → bytes of activations by token, by token pair and by patch → any micro-batch

The bytes that autograd saves are measured on the run's device, with its type, sharding and checkpointing. A formula
would have to change with every release of transformers.

Shapes: B sequences, L positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from temporay.models.collate import Batch, collate_samples
from temporay.models.cost.host_memory import GIB
from temporay.models.parallel import cut_again, local_part
from temporay.models.policy import Policy
from temporay.models.scoring_head import MAX_LOGITS
from temporay.operators.errors import UserError
from temporay.operators.records import Prompt
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

TEXT_PROBES = ((1, 32), (1, 96), (2, 160))  # rows and length
VIDEO_PROBES = ((4, 64), (8, 96))  # frames and side, px
ADAMW_BYTES = 8  # two float32 for each trained weight
LOGIT_BYTES = 16  # logits, their log-softmax, its exponential and a product, all float32
GRADIENT_SHARE = 0.25  # gradients alive while a block is computed, as a measured share of what the block saves


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize:
    """The size of a micro-batch, padding included."""

    num_rows: int
    length: int
    num_patches: int
    num_scored: int
    num_completions: int = 0  # of a row that holds several; 0: one in each row

    @property
    def num_tokens(self) -> int:
        return self.num_rows * self.length

    def within(self, other: BatchSize) -> bool:
        """Return whether this size is no larger than the other in every way."""
        return (
            self.num_tokens <= other.num_tokens
            and self.num_tokens * self.length <= other.num_tokens * other.length
            and self.num_patches <= other.num_patches
            and self.num_scored <= other.num_scored
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedBytes:
    """Bytes that a forward pass saves for the backward pass."""

    fixed: float
    by_token: float
    by_pair: float  # for each pair of positions of one row: attention masks
    by_patch: float

    def text(self, size: BatchSize) -> float:
        return self.by_token * size.num_tokens + self.by_pair * size.num_tokens * size.length


def size_of(policy: Policy, batch: Batch) -> BatchSize:
    """Return the size of a micro-batch."""
    num_patches = 0
    if batch.has_video:
        num_patches = policy.family.vision_work(policy.model, batch.model_inputs).num_patches
    num_rows, length = batch.input_ids_RL.shape
    num_scored = int((batch.completion_mask_BT > 0).sum())
    return BatchSize(
        num_rows=num_rows,
        length=length,
        num_patches=num_patches,
        num_scored=num_scored,
        num_completions=sum(len(group.completions) for group in batch.groups),
    )


class MemoryForecast:
    """The bytes one rank needs for micro-batches of any size."""

    def __init__(self, policy: Policy, processor: Any, *, reference: bool = False) -> None:
        """Run a few small forward passes; every rank must make one.

        Args:
            reference: whether a second, frozen model will be sharded over the same ranks.
        """
        self._policy = policy
        probes = [*map(_text_probe, TEXT_PROBES), *(_video_probe(policy, processor, *p) for p in VIDEO_PROBES)]
        with torch.random.fork_rng():
            self._saved = measure(policy, probes)
            policy.model.eval()  # layers are not checkpointed in this mode
            self._whole = measure(policy, probes) if policy.settings.gradient_checkpointing else self._saved
            policy.model.train()
        cut_again(policy.model)
        self._states = state_bytes(policy, reference=reference)

    def bytes(self, size: BatchSize | None) -> dict[str, float]:
        """Return bytes by purpose. Without a micro-batch: weights, gradients and optimizer only."""
        if size is None:
            return dict(self._states)
        kept = self._saved.text(size) + self._saved.by_patch * size.num_patches
        # Backward works block by block, on gradients and on what the block saved or computes again.
        again = self._policy.settings.gradient_checkpointing
        by_text = self._whole.text(size) - again * self._saved.text(size)
        by_patch = self._whole.by_patch - again * self._saved.by_patch
        num_text, num_vision = blocks_by_part(self._policy)
        block = max(by_text / num_text, by_patch * size.num_patches / num_vision) if again else by_text / num_text
        activations = kept + (GRADIENT_SHARE + again) * block
        vocabulary: Any = self._policy.model.get_output_embeddings().out_features  # type: ignore[operator]
        rows = min(size.num_scored, max(1, MAX_LOGITS // vocabulary))
        return {**self._states, "activations": activations, "logits": float(LOGIT_BYTES * vocabulary * rows)}

    def check(self, size: BatchSize | None, available: float) -> dict[str, float]:
        """Return the forecast if it fits.

        Args:
            available: bytes, as ``available_bytes`` counts them.

        Raises:
            UserError: more is needed than there is.
        """
        parts = self.bytes(size)
        if sum(parts.values()) <= available:
            return parts
        what = "training" if size is None else f"a micro-batch of {size.num_rows} x {size.length} tokens"
        if size is not None and size.num_patches:
            what += f" and {size.num_patches} video patches"
        sums = " + ".join(f"{name} {count / GIB:.2f}" for name, count in parts.items())
        raise UserError(
            f"{what} needs {sum(parts.values()) / GIB:.2f} GiB on every rank ({sums}), but {available / GIB:.2f} GiB "
            f"are there; {self._advice(size)}; hardware.memory_forecast report would start it anyway"
        )

    def _advice(self, size: BatchSize | None) -> str:
        advice = []
        if size is not None and (count := max(size.num_rows, size.num_completions)) > 1:
            what = "rollouts" if size.num_completions else "samples"
            advice.append(f"put fewer than {count} {what} into a micro-batch (micro_batch_size, micro_batch_tokens)")
        if size is not None and not self._policy.settings.gradient_checkpointing:
            advice.append("set gradient_checkpointing")
        if self._policy.settings.hardware.sharding == "optimizer" and self._policy.parallel.mesh is not None:
            advice.append("set hardware.sharding parameters")
        if self._policy.settings.trained.weights == "all":
            advice.append("train adapters (trained.weights lora)")
        advice.append(f"use more workers than {self._policy.parallel.world_size}")
        return ", ".join(advice)


def state_bytes(policy: Policy, *, reference: bool) -> dict[str, float]:
    """Return the bytes a rank holds in every step for any batch, and those it gathers for one block."""
    local = [(local_part(p), p.requires_grad) for p in policy.model.parameters()]
    weights = sum(p.numel() * p.element_size() for p, _ in local)
    trained = [p for p, is_trained in local if is_trained]
    states = {
        "weights": weights,
        "gradients": sum(p.numel() * p.element_size() for p in trained),
        "AdamW": ADAMW_BYTES * sum(p.numel() for p in trained),
        "reference": weights if reference else 0,
        "gathered": _gathered_bytes(policy),
    }
    if policy.settings.hardware.offload == "cpu":  # only what is gathered is on the device
        states = {"gathered": states["gathered"]}
    return {name: float(count) for name, count in states.items() if count}


def _gathered_bytes(policy: Policy) -> int:
    """Return the bytes of whole tensors under FSDP2.

    Those are the parameters outside of blocks, the block at work, the next block, and one block's gradient before it is
    sharded. If only the optimizer is sharded, they are all weights, the sum of their gradients, and a copy of it that
    is to be sharded.
    """
    if policy.parallel.mesh is None:
        return 0
    if policy.settings.hardware.sharding == "optimizer":
        numbers = [(p.numel(), p.requires_grad) for p in policy.model.parameters()]
        return sum(n * (policy.pass_dtype.itemsize + 8 * is_trained) for n, is_trained in numbers)
    blocks = [sum(p.numel() for p in block.parameters()) for block in policy.family.shard_blocks(policy.model)]
    root = sum(p.numel() for p in policy.model.parameters()) - sum(blocks)
    width = policy.pass_dtype.itemsize
    return (root + 2 * max(blocks)) * width + max(root, *blocks) * (width + 4)


def blocks_by_part(policy: Policy) -> tuple[int, int]:
    """Blocks of the text part and of the vision tower."""
    blocks = {id(block) for block in policy.family.shard_blocks(policy.model)}
    parts = [policy.family.part_of(name) for name, module in policy.model.named_modules() if id(module) in blocks]
    return max(1, parts.count("text")), max(1, parts.count("vision_tower"))


def measure(policy: Policy, probes: Sequence[Batch]) -> SavedBytes:
    """Solves for the bytes by token, by pair and by patch that explain what the probes keep."""
    sizes = [size_of(policy, probe) for probe in probes]
    rows = [[1.0, size.num_tokens, size.num_tokens * size.length, size.num_patches] for size in sizes]
    kept = [float(kept_bytes(policy, probe)) for probe in probes]
    solution, *_ = np.linalg.lstsq(np.array(rows), np.array(kept), rcond=None)
    fixed, by_token, by_pair, by_patch = (max(0.0, float(value)) for value in solution)
    return SavedBytes(fixed=fixed, by_token=by_token, by_pair=by_pair, by_patch=by_patch)


def kept_bytes(policy: Policy, batch: Batch) -> int:
    """Return the bytes of a batch and of what autograd saves in its forward pass, without parameters."""
    own = {local_part(tensor).untyped_storage().data_ptr() for tensor in _tensors(policy.model)}
    storages: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = local_part(tensor).untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    on_device = batch.to(policy.parallel.device)
    for tensor in (on_device.input_ids_RL, *on_device.model_inputs.values()):
        keep(tensor)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        scores = policy.scores(on_device)
    total: int = sum(storage.nbytes() for pointer, storage in storages.items() if pointer not in own)
    del scores
    return total


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _text_probe(shape: tuple[int, int]) -> Batch:
    """Return ids without meaning, with one scored token in each row."""
    num_rows, length = shape
    ones_B1 = torch.ones((num_rows, 1))
    return Batch(
        input_ids_RL=torch.ones(shape, dtype=torch.long),
        completion_ids_BT=ones_B1.long(),
        completion_mask_BT=ones_B1,
        predictors_BT=torch.arange(num_rows)[:, None] * length,
        model_inputs={},
        lengths_R=(length,) * num_rows,
    )


def _video_probe(policy: Policy, processor: Any, num_frames: int, side_px: int) -> Batch:
    chat = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "?"}]}]
    prompt = Prompt(
        key="probe",
        text=processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True),
        frames_THWC=np.zeros((num_frames, side_px, side_px, 3), np.uint8),
        fps=4.0,
    )
    return collate_samples(policy.family, processor, [prompt], ["A"])
