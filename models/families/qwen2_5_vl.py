"""Qwen2.5-VL (``model_type`` qwen2_5_vl): one grid per video, its time in the positions instead of the text.

Architecture and processor: transformers ``models/qwen2_5_vl``; report arXiv 2502.13923, section 2.1.2 (positions in
absolute time). Positions are our own, for two reasons. transformers 5.17 rounds a grid's seconds down to whole ones
before it scales them (huggingface/transformers#48669), so that every video above 2 fps stands still. It also continues
with text after a video's largest side; the original code and vLLM continue after the largest position. The two
log-probabilities of a token differ by 0.01 to 0.06 nats on a tiny random model.

Shapes: V videos.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from temporay.models.families._base import EncodedPrompts
from temporay.models.families._positions import Positions, video_cells
from temporay.models.families._qwen_vl import QwenVl, pairs_within_frames
from temporay.operators.records import Prompt
from torch import Tensor
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.vision_utils import get_vision_window_index

SECONDS = "second_per_grid_ts"


class Qwen25Vl(QwenVl):
    """Qwen2.5-VL checkpoints of every size."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_5_vl",)
    model_class: ClassVar[Any] = Qwen2_5_VLForConditionalGeneration
    of_videos: ClassVar[tuple[str, ...]] = (SECONDS,)

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> EncodedPrompts:
        """Return ids and tensors of the processor, with the seconds of a temporal cell as ``seconds_to_bits``."""
        encoded = super().encode(processor, prompts)
        if not encoded.media_tensors:
            return encoded
        bits_V = seconds_to_bits(encoded.media_tensors[SECONDS])
        return EncodedPrompts(prompt_ids=encoded.prompt_ids, media_tensors={**encoded.media_tensors, SECONDS: bits_V})

    def video_cells(self, vision: Any, grid_V3: Tensor, inputs: Mapping[str, Any]) -> Iterable[Positions]:
        """Yield cells as far apart as their seconds say.

        Raises:
            ValueError: the seconds are missing.
        """
        if inputs.get(SECONDS) is None:
            raise ValueError(f"positions need {SECONDS}")
        merge = vision.spatial_merge_size
        seconds = inputs[SECONDS].view(torch.float32).tolist()
        for (num_t, num_h, num_w), cell_s in zip(grid_V3.tolist(), seconds, strict=True):
            yield video_cells(num_t, num_h // merge, num_w // merge, cell_s * vision.tokens_per_second)

    def tower_plan(self, visual: Any, grid_V3: Tensor) -> dict[str, Tensor]:
        """Return also the order of patches by windows, and where windows begin and end."""
        index, ends = get_vision_window_index(
            grid_V3, visual.spatial_merge_size, visual.window_size, visual.config.patch_size
        )
        return {**super().tower_plan(visual, grid_V3), "window_index": index, "cu_window_seqlens": ends}

    def attention_pairs(self, visual: Any, grid_V3: Tensor) -> int:
        """Count the query-key pairs of all layers; most layers attend within windows."""
        whole = len(visual.fullatt_block_indexes)
        _, ends = get_vision_window_index(
            grid_V3, visual.spatial_merge_size, visual.window_size, visual.config.patch_size
        )
        windows = ends.unique_consecutive().diff().long()
        in_windows = (len(visual.blocks) - whole) * int(windows.square().sum())
        return in_windows + whole * pairs_within_frames(grid_V3)


def seconds_to_bits(seconds_V: Tensor) -> Tensor:
    """View float32 seconds as int32 bits: FSDP2's mixed precision would round a float to bfloat16."""
    return seconds_V.float().view(torch.int32)
