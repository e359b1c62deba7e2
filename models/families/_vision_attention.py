"""Attention of a vision tower over many small grids in a few calls.

transformers' Qwen towers attend to the grids of a video one after another, with one call for each: 128 calls a layer
for a batch of 16 clips of 16 frames. Here, neighboring grids of one size are a batch, and a video has many such grids.
A training step of the tiny model with two threads took 1.5 s instead of 3.1 s on two busy cores. With one thread there
is no difference. Parameters stay as they are. The order of sums changes, so results differ by rounding.

Shapes: N patches of all grids together, H heads, D size of a head; G grids of L patches each.
"""

import itertools
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision


def attend_in_batches(visual: nn.Module) -> None:
    """Give every block of a tower ``batched_attention`` as its attention's forward, in place."""
    for block in visual.blocks:  # type: ignore[union-attr]
        block.attn.forward = types.MethodType(batched_attention, block.attn)


def plan_on_host(visual: nn.Module, plan: Callable[[Any, Tensor], Mapping[str, Tensor]]) -> None:
    """Let a tower take ``host_grid``, what ``grid_thw`` holds as numbers, and compute all that follows on the CPU.

    transformers reads the grid from the device, and its attention the ends of all grids in every layer. Each of these
    reads waits until the device has done all its work. Without ``host_grid`` the grid is read once.

    Args:
        plan: makes the forward's precomputed arguments from (V, 3) grids; those named ``cu_…`` stay on the CPU.
    """
    plain: Any = type(visual).forward  # not bound: a copy of the model must use its own weights

    def forward(
        self: Any, hidden_states: Tensor, grid_thw: Tensor, host_grid: Sequence[Sequence[int]] = (), **inputs: Any
    ) -> Any:
        grid_V3 = torch.tensor(host_grid) if host_grid else grid_thw.cpu()
        planned = {
            name: tensor if name.startswith("cu_") else tensor.to(hidden_states.device, non_blocking=True)
            for name, tensor in plan(self, grid_V3).items()
        }
        return plain(self, hidden_states, grid_thw=grid_thw, **planned, **inputs)

    visual.forward = types.MethodType(forward, visual)


def batched_attention(
    attention: Any,
    hidden_states: Tensor,
    cu_seqlens: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    **_unused: Any,  # arguments of other implementations of attention
) -> Tensor:
    """Compute what ``forward`` of transformers' Qwen vision attention computes.

    Args:
        hidden_states: (N, H * D).
        cu_seqlens: (grids + 1,) where grids begin and end, on the CPU.
        position_embeddings: cosines and sines, (N, D) each.
    """
    num_patches = len(hidden_states)
    queries_NHD, keys_NHD, values_NHD = (
        attention.qkv(hidden_states).view(num_patches, 3, attention.num_heads, -1).unbind(1)
    )
    queries_NHD, keys_NHD = apply_rotary_pos_emb_vision(queries_NHD, keys_NHD, *position_embeddings)
    runs = list(equal_runs(cu_seqlens.diff().tolist()))
    sizes = [num_grids * length for num_grids, length in runs]
    parts = []
    for (num_grids, length), *qkv in zip(
        runs, *(t.split(sizes) for t in (queries_NHD, keys_NHD, values_NHD)), strict=True
    ):
        queries, keys, values = (t.unflatten(0, (num_grids, length)).transpose(1, 2) for t in qkv)  # (G, H, L, D)
        attended = F.scaled_dot_product_attention(queries, keys, values, scale=attention.scaling)
        parts.append(attended.transpose(1, 2).reshape(num_grids * length, -1))
    result: Tensor = attention.proj(torch.cat(parts))
    return result


def equal_runs(lengths: list[int]) -> Iterator[tuple[int, int]]:
    """Yield how many neighboring grids have one length, and that length."""
    for length, run in itertools.groupby(lengths):
        yield sum(1 for _ in run), length
