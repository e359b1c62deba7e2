"""Qwen2-VL (``model_type`` qwen2_vl): one grid per video whose cells are one position apart, whatever the frame rate.

Architecture and processor: transformers ``models/qwen2_vl``; report arXiv 2409.12191. As for Qwen2.5-VL, transformers
5.17 goes on with text after a video's largest side, but the original code and vLLM after the largest position of all:
the two differ for every video with more pairs of frames than merged patches to a side. Positions are the latter's.

Shapes: B sequences, L positions, V videos.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import Qwen2VLForConditionalGeneration

from models.families.qwen2_5_vl import batch_positions, video_cells
from models.families.qwen3_vl import Qwen3Vl


class Qwen2Vl(Qwen3Vl):
    """Qwen2-VL checkpoints of every size; all but positions is Qwen3-VL's."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_vl",)
    model_class: ClassVar[Any] = Qwen2VLForConditionalGeneration
    projector: ClassVar[tuple[str, ...]] = ("model.visual.merger.",)

    def load_model(self, path: Path, dtype: torch.dtype) -> nn.Module:
        """The policy on the CPU, with ``rope_index`` in place of its own in training as in generation."""
        model: Any = super().load_model(path, dtype)
        model.model.get_rope_index = types.MethodType(rope_index, model.model)
        return model  # type: ignore[no-any-return]


def rope_index(
    backbone: Any,
    input_ids: Tensor,
    mm_token_type_ids: Tensor,
    image_grid_thw: Tensor | None = None,
    video_grid_thw: Tensor | None = None,
    attention_mask: Tensor | None = None,
    **_unused: Any,  # generation passes on all that it was given
) -> tuple[Tensor, Tensor]:
    """Positions in time, height and width as vLLM has them, in place of ``get_rope_index``.

    Args:
        backbone: the ``Qwen2VLModel`` that asks.
        input_ids: (B, L), padded on either side where ``attention_mask`` is 0.
        mm_token_type_ids: (B, L), 0 text, 2 video.
        video_grid_thw: (V, 3) cells before merging.

    Returns:
        ``position_ids`` (3, B, L), 0 on padding, and (B, 1) what a later position is ahead of its number of tokens.

    Raises:
        ValueError: there are images, or no videos.
    """
    if image_grid_thw is not None or video_grid_thw is None:
        raise ValueError("positions need video_grid_thw, and are of videos only")
    cells = video_cells(video_grid_thw, [1.0] * len(video_grid_thw), backbone.config.vision_config.spatial_merge_size)
    return batch_positions(input_ids, mm_token_type_ids, cells, attention_mask)
