"""Qwen2-VL: positions by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from temporay.models.families._positions import rope_index
from temporay.models.families.qwen2_vl import Qwen2Vl


def test_positions_by_hand() -> None:
    """Three cells in time, one by two in space: text continues after the third cell, not after the second column."""
    types = torch.tensor([[0, 2, 2, 2, 2, 2, 2, 0, 0]])
    backbone = SimpleNamespace(config=SimpleNamespace(vision_config=SimpleNamespace(spatial_merge_size=2)))
    cells_of = Qwen2Vl().video_cells
    ids, ahead = rope_index(
        cells_of, backbone, torch.zeros_like(types), types, video_grid_thw=torch.tensor([[3, 2, 4]])
    )
    assert ids[:, 0].tolist() == [
        [0, 1, 1, 2, 2, 3, 3, 4, 5],
        [0, 1, 1, 1, 1, 1, 1, 4, 5],
        [0, 1, 2, 1, 2, 1, 2, 4, 5],
    ]
    assert ahead.tolist() == [[-3]]
    with pytest.raises(ValueError, match="need video_grid_thw"):
        rope_index(cells_of, backbone, types, types)
