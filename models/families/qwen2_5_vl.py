"""Qwen2.5-VL (``model_type`` qwen2_5_vl): one grid per video, its time in the positions instead of the text.

Architecture and processor: transformers ``models/qwen2_5_vl``; report arXiv 2502.13923, section 2.1.2 (positions in
absolute time). Positions are our own: transformers 5.17 rounds a grid's seconds down to whole ones before it scales
them (huggingface/transformers#48669), so that every video above 2 fps stands still, and goes on with text after a
video's largest side. The original code and vLLM go on after the largest position of all. Log-probabilities of the two
differ by 0.01 to 0.06 nats a token on a tiny random model.

Shapes: B sequences, L positions, V videos, T temporal grid cells of a video.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.vision_utils import get_vision_window_index

from models.families._base import EncodedPrompts
from models.families.qwen3_vl import Qwen3Vl
from operators.records import Prompt

SECONDS = "second_per_grid_ts"


class Qwen25Vl(Qwen3Vl):
    """Qwen2.5-VL checkpoints of every size; all but positions and the seconds they need is Qwen3-VL's."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_5_vl",)
    model_class: ClassVar[Any] = Qwen2_5_VLForConditionalGeneration
    video_tensors: ClassVar[tuple[str, ...]] = ("pixel_values_videos", "video_grid_thw", SECONDS)
    projector: ClassVar[tuple[str, ...]] = ("model.visual.merger.",)

    def load_model(self, path: Path, dtype: torch.dtype) -> nn.Module:
        """The policy on the CPU, with ``rope_index`` in place of its own in training as in generation."""
        model: Any = super().load_model(path, dtype)
        model.model.get_rope_index = types.MethodType(rope_index, model.model)
        return model  # type: ignore[no-any-return]

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> EncodedPrompts:
        """Ids and tensors of the processor, and the seconds of a temporal grid cell as ``seconds_to_bits``."""
        encoded = super().encode(processor, prompts)
        if not encoded.video_tensors:
            return encoded
        bits_V = seconds_to_bits(encoded.video_tensors[SECONDS])
        return EncodedPrompts(prompt_ids=encoded.prompt_ids, video_tensors={**encoded.video_tensors, SECONDS: bits_V})

    def attention_pairs(self, visual: Any, grid_V3: Tensor) -> int:
        """Query-key pairs of all layers, most of which attend within windows."""
        whole = len(visual.fullatt_block_indexes)
        _, ends = get_vision_window_index(
            grid_V3, visual.spatial_merge_size, visual.window_size, visual.config.patch_size
        )
        windows = ends.unique_consecutive().diff().long()
        num_t, num_h, num_w = grid_V3.unbind(-1)
        in_windows = (len(visual.blocks) - whole) * int(windows.square().sum())
        return in_windows + whole * int((num_t * (num_h * num_w) ** 2).sum())


def seconds_to_bits(seconds_V: Tensor) -> Tensor:
    """float32 seconds as the int32 of the same bits: FSDP2's mixed precision would round a float to bfloat16."""
    return seconds_V.float().view(torch.int32)


def rope_index(
    backbone: Any,
    input_ids: Tensor,
    mm_token_type_ids: Tensor,
    image_grid_thw: Tensor | None = None,
    video_grid_thw: Tensor | None = None,
    second_per_grid_ts: Tensor | None = None,
    attention_mask: Tensor | None = None,
    **_unused: Any,  # generation passes on all that it was given
) -> tuple[Tensor, Tensor]:
    """Positions in time, height and width as vLLM and the original code have them, in place of ``get_rope_index``.

    Args:
        backbone: the ``Qwen2_5_VLModel`` that asks.
        input_ids: (B, L), padded on either side where ``attention_mask`` is 0.
        mm_token_type_ids: (B, L), 0 text, 2 video.
        video_grid_thw: (V, 3) cells before merging.
        second_per_grid_ts: (V,) of ``seconds_to_bits``.

    Returns:
        ``position_ids`` (3, B, L), 0 on padding, and (B, 1) what a later position is ahead of its number of tokens.

    Raises:
        ValueError: there are images, or videos without their seconds.
    """
    if image_grid_thw is not None or video_grid_thw is None or second_per_grid_ts is None:
        raise ValueError("positions need video_grid_thw and second_per_grid_ts, and are of videos only")
    vision = backbone.config.vision_config
    steps = [cell_s * vision.tokens_per_second for cell_s in second_per_grid_ts.view(torch.float32).tolist()]
    cells = video_cells(video_grid_thw, steps, vision.spatial_merge_size)
    return batch_positions(input_ids, mm_token_type_ids, cells, attention_mask)


def batch_positions(
    input_ids: Tensor, mm_token_type_ids: Tensor, cells: Iterator[Tensor], attention_mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What ``rope_index`` returns, of videos whose ``video_cells`` are given in order."""
    position_ids = torch.zeros((3, *input_ids.shape), dtype=torch.long, device=input_ids.device)
    ahead = []
    for b, types_L in enumerate(mm_token_type_ids):
        seen = torch.ones_like(types_L).bool() if attention_mask is None else attention_mask[b].bool()
        row = _row_positions(types_L[seen].tolist(), cells)
        position_ids[:, b, seen] = row.to(position_ids.device)
        ahead.append([int(row.max()) + 1 - row.shape[1]])
    return position_ids, torch.tensor(ahead, device=input_ids.device)


def video_cells(grids: Tensor, steps: Sequence[float], merge: int) -> Iterator[Tensor]:
    """(3, T·H·W) of every video from 0 on, in vLLM's own arithmetic: float64, rounded down after the product.

    Args:
        steps: by video, positions from one temporal grid cell to the next.
    """
    for (num_t, num_h, num_w), step in zip(grids.tolist(), steps, strict=True):
        times_T = (torch.arange(num_t, dtype=torch.float64) * step).long()
        axes = (times_T, torch.arange(num_h // merge), torch.arange(num_w // merge))
        yield torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)


def _row_positions(token_types: Sequence[int], cells: Iterator[Tensor]) -> Tensor:
    """(3, tokens): every part of a row begins one after the largest position before it."""
    parts: list[Tensor] = []
    start = 0
    for token_type, run in itertools.groupby(token_types):
        num_tokens = sum(1 for _ in run)
        part = next(cells) if token_type else torch.arange(num_tokens).expand(3, -1)
        if part.shape[1] != num_tokens:
            raise ValueError(f"a video has {num_tokens} tokens, but its grid {part.shape[1]}")
        parts.append(part + start)
        start = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)
