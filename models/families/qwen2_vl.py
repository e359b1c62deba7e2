"""Qwen2-VL (``model_type`` qwen2_vl): one grid per video whose cells are one position apart at every frame rate.

Architecture and processor: transformers ``models/qwen2_vl``; report arXiv 2409.12191. As for Qwen2.5-VL, transformers
5.17 continues with text after a video's largest side, but the original code and vLLM after the largest position. The
two differ for every video with more pairs of frames than merged patches to a side. Positions here are the engine's.

Shapes: V videos.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from temporay.models.families._positions import Positions, video_cells
from temporay.models.families._qwen_vl import QwenVl
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration


class Qwen2Vl(QwenVl):
    """Qwen2-VL checkpoints of every size."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen2_vl",)
    model_class: ClassVar[Any] = Qwen2VLForConditionalGeneration

    def video_cells(self, vision: Any, grid_V3: Tensor, inputs: Mapping[str, Any]) -> Iterable[Positions]:
        """Yield cells that are one position apart."""
        merge = vision.spatial_merge_size
        for num_t, num_h, num_w in grid_V3.tolist():
            yield video_cells(num_t, num_h // merge, num_w // merge, 1.0)
