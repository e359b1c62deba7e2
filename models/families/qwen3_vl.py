"""Qwen3-VL (``model_type`` qwen3_vl): every pair of frames is a grid of its own, with its time written before it.

Architecture and processor: transformers ``models/qwen3_vl``; report arXiv 2511.21631.

Shapes: V videos.
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from temporay.models.families._positions import Positions, video_cells
from temporay.models.families._qwen_vl import QwenVl
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration
from transformers.vision_utils import get_vision_interpolation_indices_and_weights


class Qwen3Vl(QwenVl):
    """Dense Qwen3-VL checkpoints of every size, and the tiny one of ``temporay.models.tiny``."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_vl",)
    model_class: ClassVar[Any] = Qwen3VLForConditionalGeneration
    projector: ClassVar[tuple[str, ...]] = ("model.visual.merger.", "model.visual.deepstack_merger_list.")

    def video_cells(self, vision: Any, grid_V3: Tensor, inputs: Mapping[str, Any]) -> Iterable[Positions]:
        """Yield the positions of every pair of frames, which stand still in time."""
        merge = vision.spatial_merge_size
        for num_t, num_h, num_w in grid_V3.tolist():
            for _ in range(num_t):
                yield video_cells(1, num_h // merge, num_w // merge, 1.0)

    def tower_plan(self, visual: Any, grid_V3: Tensor) -> dict[str, Tensor]:
        """Return also where the table of learned positions is read, with the weights of neighbors."""
        indices, weights = get_vision_interpolation_indices_and_weights(
            grid_V3,
            num_grid_per_side=visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=visual.config.spatial_merge_size,
        )
        return {**super().tower_plan(visual, grid_V3), "interp_indices": indices, "interp_weights": weights}
