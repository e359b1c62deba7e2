"""Memory of a training step on one rank, forecast before the step, so that one that cannot fit never starts.

    config → bytes of weights, gradients and AdamW on a rank, of tensors it gathers
    a micro-batch through a policy without data → bytes of activations

A formula for activations would have to change with every release of transformers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from temporay.models.collate import Batch
from temporay.models.cost.host_memory import GIB
from temporay.models.cost.live_bytes import LiveBytes, drop_gradients
from temporay.models.cost.weightless import WeightlessPolicy
from temporay.models.families._base import Family
from temporay.models.parallel import Hardware, num_shards, pass_dtype
from temporay.models.policy import Policy, PolicySettings
from temporay.models.weight_files import stored_dtype
from temporay.operators.errors import UserError
from torch import Tensor, nn

ADAMW_BYTES = 8  # two float32 for each trained weight
FLOAT32_BYTES = 4  # of trained weights, of gradients and of their copies on the way to other ranks


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
            and self.num_completions <= other.num_completions
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RankShare:
    """How a model is laid over ranks."""

    world_size: int
    num_shards: int | None  # ranks that share one copy of the model; None: a process alone, without FSDP2
    dtype: torch.dtype  # of passes

    @classmethod
    def of(cls, policy: Policy) -> Self:
        """Return that of a policy."""
        ranks, hardware = policy.parallel, policy.settings.hardware
        shards = None if ranks.mesh is None else num_shards(ranks.world_size, hardware)
        return cls(world_size=ranks.world_size, num_shards=shards, dtype=policy.pass_dtype)

    @classmethod
    def on_gpus(cls, world_size: int, hardware: Hardware) -> Self:
        """Return that of ranks that have a GPU each."""
        dtype = pass_dtype(torch.device("cuda"), hardware.precision)
        return cls(world_size=world_size, num_shards=num_shards(world_size, hardware), dtype=dtype)


class MemoryForecast:
    """The bytes one rank needs for any micro-batch."""

    def __init__(
        self, path: Path, family: Family, settings: PolicySettings, share: RankShare, *, reference: bool = False
    ) -> None:
        """Make a policy without data from a config, tokenizer and processor.

        Args:
            reference: whether a second, frozen model is sharded over the same ranks.
        """
        self.policy = WeightlessPolicy(path, family, settings, share.dtype)
        self._settings, self._share = settings, share
        self._trained = [parameter for parameter in self.policy.model.parameters() if parameter.requires_grad]
        self._blocks = family.shard_blocks(self.policy.model)
        held = self._held_bytes(stored_dtype(path), reference=reference)
        is_offloaded = settings.hardware.offload == "cpu"
        self.host_bytes = held if is_offloaded else {}  # by purpose, of one rank
        self._states = {} if is_offloaded else held
        if gathered := self._gathered_bytes():
            self._states = {**self._states, "gathered": float(gathered)}

    def bytes(self, batch: Batch | None) -> dict[str, float]:
        """Return bytes by purpose. Without a micro-batch: weights, gradients, optimizer and what is gathered."""
        if batch is None:
            return dict(self._states)
        return {**self._states, "activations": float(self._activation_bytes(batch))}

    def check(self, batch: Batch | None, available: float) -> dict[str, float]:
        """Return the forecast if it fits.

        Args:
            available: bytes, as ``available_bytes`` counts them.

        Raises:
            UserError: more is needed than there is.
        """
        parts = self.bytes(batch)
        if sum(parts.values()) <= available:
            return parts
        size = None if batch is None else size_of(self.policy, batch)
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
        if size is not None and not self._settings.gradient_checkpointing:
            advice.append("set gradient_checkpointing")
        if self._settings.hardware.sharding == "optimizer" and self._share.num_shards is not None:
            advice.append("set hardware.sharding parameters")
        if self._settings.trained.weights == "all":
            advice.append("train adapters (trained.weights lora)")
        advice.append(f"use more workers than {self._share.world_size}")
        return ", ".join(advice)

    def _held_bytes(self, stored: torch.dtype, *, reference: bool) -> dict[str, float]:
        """Return the bytes that a rank holds in every step, for any micro-batch, on its device or in host memory.

        Args:
            stored: type of weights in the checkpoint's files.
        """
        shards = self._share.num_shards
        trained = sum(largest_part(parameter, shards) for parameter in self._trained)
        whole = sum(largest_part(parameter, shards) for parameter in self.policy.model.parameters())
        frozen = FLOAT32_BYTES if shards is None else min(FLOAT32_BYTES, stored.itemsize)
        states = {
            "weights": FLOAT32_BYTES * trained + frozen * (whole - trained),
            "gradients": FLOAT32_BYTES * trained,
            "AdamW": ADAMW_BYTES * trained,
            "reference": frozen * whole * reference,
        }
        return {name: float(count) for name, count in states.items() if count}

    def _gathered_bytes(self) -> int:
        """Return the bytes of whole tensors under FSDP2 while activations are there.

        Those are the parameters outside of blocks, the block at work, the next block, and the gradient of the block
        before in float32, on its way to other ranks. If only the optimizer is sharded, they are all weights and the sum
        of their gradients.
        """
        if self._share.num_shards is None:
            return 0
        width = self._share.dtype.itemsize
        whole = numel(self.policy.model.parameters())
        if self._settings.hardware.sharding == "optimizer":
            return width * whole + FLOAT32_BYTES * numel(self._trained)
        sizes = [numel(block.parameters()) for block in self._blocks]
        exchanged = max(map(numel, self._trained_by_block()), default=0)
        return width * (whole - sum(sizes) + 2 * max(sizes)) + FLOAT32_BYTES * exchanged

    def _trained_by_block(self) -> list[list[nn.Parameter]]:
        blocks = [[p for p in block.parameters() if p.requires_grad] for block in self._blocks]
        return [trained for trained in blocks if trained]

    def _activation_bytes(self, batch: Batch) -> int:
        """Return the most bytes of a micro-batch, its activations and whole gradients that are alive at once."""
        batch = self.policy.without_pixels(batch)
        live = LiveBytes([*self.policy.model.parameters(), *self.policy.model.buffers()])
        for tensor in (batch.input_ids_RL, *batch.model_inputs.values()):
            live.add(tensor)
        if self._share.num_shards is None:  # a gradient is added to the sum as soon as it is there
            dropped = drop_gradients([[parameter] for parameter in self._trained], live, copied=0)
        elif self._settings.hardware.sharding == "parameters":
            dropped = drop_gradients(self._trained_by_block(), live, copied=FLOAT32_BYTES)
        else:
            dropped = []
        with torch.random.fork_rng(devices=()), self.policy.passes(), live:
            scores = self.policy.scores(batch)
            (scores.logprobs_BT * batch.completion_mask_BT).sum().backward()  # type: ignore[no-untyped-call]
            del scores
        left = [parameter for parameter in self._trained if parameter.grad is not None]
        live.reach(FLOAT32_BYTES * numel(left))  # they are exchanged together
        for parameter in left:
            parameter.grad = None
        for handle in dropped:
            handle.remove()
        return live.peak


def numel(tensors: Iterable[Tensor]) -> int:
    """Return how many numbers tensors have together."""
    return sum(tensor.numel() for tensor in tensors)


def largest_part(parameter: nn.Parameter, num_shards: int | None) -> int:
    """Return how many numbers of a parameter the first rank has: FSDP2 cuts the first axis."""
    length = parameter.shape[0] if parameter.ndim else 1
    return -(-length // (num_shards or 1)) * (parameter.numel() // max(1, length))
