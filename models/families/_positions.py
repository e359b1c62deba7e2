"""Positions in time, height and width of a batch's tokens, in place of transformers' ``get_rope_index``.

A family says what cells its media have. The rest is one rule: every run of text or media tokens begins one after the
largest position before it. transformers' own code builds every run of tokens with a dozen tensors, which took a
twentieth of a training step on a CPU.

Shapes: B sequences, L positions, V videos, T temporal cells of a video.
"""

import functools
import itertools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Positions = npt.NDArray[np.int64]  # (3, tokens): time, height, width
CellsOf = Callable[[Any, Tensor, Mapping[str, Any]], Iterable[Positions]]  # (vision config, grid_V3, other inputs)


def position_by(backbone: Any, cells_of: CellsOf) -> None:
    """Give a backbone ``rope_index`` with a family's cells as its ``get_rope_index``, in training as in generation."""
    backbone.get_rope_index = types.MethodType(functools.partial(rope_index, cells_of), backbone)


def rope_index(
    cells_of: CellsOf,
    backbone: Any,
    input_ids: Tensor,
    mm_token_type_ids: Tensor,
    image_grid_thw: Tensor | None = None,
    video_grid_thw: Tensor | None = None,
    attention_mask: Tensor | None = None,
    **inputs: Any,  # generation passes on all that it was given
) -> tuple[Tensor, Tensor]:
    """Return what ``get_rope_index`` returns.

    Args:
        cells_of: gives ``video_cells`` of every run of video or image tokens, in order.
        backbone: the model that asks.
        input_ids: (B, L), padded on either side where ``attention_mask`` is 0.
        mm_token_type_ids: (B, L), 0 text, 2 video or image.
        video_grid_thw: (V, 3) cells before merging; those of images are among them.

    Returns:
        ``position_ids`` (3, B, L), 0 on padding, and (B, 1) by how much later positions are ahead of the token count.

    Raises:
        ValueError: images come by themselves, or there are no videos, or a video has other tokens than cells.
    """
    if image_grid_thw is not None or video_grid_thw is None:
        raise ValueError("positions need video_grid_thw, with images among the videos")
    cells = iter(cells_of(backbone.config.vision_config, video_grid_thw, inputs))
    valid_BL = np.ones(tuple(input_ids.shape), bool) if attention_mask is None else attention_mask.bool().cpu().numpy()
    ids_3BL = np.zeros((3, *input_ids.shape), np.int64)
    ahead = []
    for b, (types_L, valid_L) in enumerate(zip(mm_token_type_ids.cpu().numpy(), valid_BL, strict=True)):
        row = row_positions(types_L[valid_L].tolist(), cells)
        ids_3BL[:, b, valid_L] = row
        ahead.append([int(row.max()) + 1 - row.shape[1]])
    if next(cells, None) is not None:
        raise ValueError("there are more videos than runs of video tokens")
    return torch.from_numpy(ids_3BL).to(input_ids.device), torch.tensor(ahead, device=input_ids.device)


@functools.lru_cache(maxsize=1024)  # clips of a dataset are of few sizes
def video_cells(num_t: int, num_h: int, num_w: int, step: float) -> Positions:
    """Return (3, T·H·W) positions from 0 on, in vLLM's own arithmetic: float64, rounded down after the product.

    Args:
        num_h: rows after merging, as the text part reads them; ``num_w`` are the columns.
        step: positions from one temporal cell to the next.
    """
    times_T = np.floor(np.arange(num_t, dtype=np.float64) * step).astype(np.int64)
    axes = np.meshgrid(times_T, np.arange(num_h), np.arange(num_w), indexing="ij")
    return np.stack([axis.reshape(-1) for axis in axes])


def row_positions(token_types: Sequence[int], cells: Iterator[Positions]) -> Positions:
    """Return (3, tokens) positions of one sequence without its padding.

    Args:
        token_types: 0 for text, anything else for video.
        cells: ``video_cells`` of the next run of video tokens, and those after it.

    Raises:
        ValueError: a video has other tokens than cells.
    """
    row_3L = np.empty((3, len(token_types)), np.int64)
    place = start = 0
    for token_type, run in itertools.groupby(token_types):
        end = place + sum(1 for _ in run)
        ids_3L = next(cells) + start if token_type else np.arange(start, start + end - place)
        if ids_3L.shape[-1] != end - place:
            raise ValueError(f"a video has {end - place} tokens, but its grid {ids_3L.shape[-1]}")
        row_3L[:, place:end] = ids_3L
        place, start = end, int(ids_3L.max()) + 1
    return row_3L
