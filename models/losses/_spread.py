"""How far ratios of probabilities spread over a batch, over all ranks, micro-batches and updates together.

log ratios → counts in bins of 1/256 nat → sum over ranks → smallest, quantiles, largest

Quantiles are those of all values, to half a bin: 0.2 % of a ratio. The smallest and the largest are exact. A rank sends
counts, however many tokens it has. Nothing is read from the device before the end.

Shapes: (B, T) by token or (B, 1) by sequence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from temporay.models.parallel import Parallel
from torch import Tensor

BINS_PER_NAT = 256
LIMIT = 8.0  # nats; what lies beyond counts in the outermost bin
FARTHEST = 20.0  # nats; smallest and largest are not shown beyond: a ratio of 5e8
QUANTILES = {"p01": 0.01, "p50": 0.5, "p99": 0.99}


@dataclass(slots=True)
class _Counts:
    bins: Tensor  # float64, by bin
    low: Tensor  # log ratios
    high: Tensor


class RatioSpread:
    """Ratios of one rank by name, and the weights that its loss used. Every rank must add the same names."""

    def __init__(self) -> None:
        self._counts: dict[str, _Counts] = {}
        self._weights: Tensor | None = None  # number, sum and sum of squares

    @torch.no_grad()
    def add(self, name: str, log_ratio: Tensor, mask: Tensor) -> None:
        """Count log ratios where the mask is not 0."""
        values = torch.nan_to_num(log_ratio.detach(), nan=0.0).clamp(-FARTHEST, FARTHEST).double()
        if name not in self._counts:
            bins = values.new_zeros(2 * int(LIMIT * BINS_PER_NAT) + 1)
            self._counts[name] = _Counts(bins=bins, low=values.new_tensor(math.inf), high=values.new_tensor(-math.inf))
        counts, there = self._counts[name], mask > 0
        place = ((values.clamp(-LIMIT, LIMIT) + LIMIT) * BINS_PER_NAT).round().long()
        counts.bins.index_add_(0, place.flatten(), there.flatten().double())
        counts.low = torch.minimum(counts.low, values.masked_fill(~there, math.inf).min())
        counts.high = torch.maximum(counts.high, values.masked_fill(~there, -math.inf).max())

    @torch.no_grad()
    def add_weights(self, weights: Tensor, mask: Tensor) -> None:
        """Add importance weights as the loss used them."""
        used = (weights.detach() * (mask > 0)).double()
        sums = torch.stack([(mask > 0).double().sum(), used.sum(), used.square().sum()])
        self._weights = sums if self._weights is None else self._weights + sums

    def summary(self, parallel: Parallel) -> dict[str, float]:
        """Return ``NAME_min``, ``_p01``, ``_p50``, ``_p99``, ``_max``, and ``importance_ess``; every rank must call it.

        ``importance_ess`` is the effective sample size as a share: (Σw)² / (n Σw²), 1 where all weights are alike and
        0 where all are 0 (Kong 1992).
        """
        found: dict[str, float] = {}
        for name, counts in self._counts.items():
            ends_2R = torch.zeros(2, parallel.world_size, dtype=torch.float64)
            ends_2R[:, parallel.rank] = torch.stack([counts.low, counts.high]).cpu()
            ends_2R = ends_2R.nan_to_num(posinf=2 * FARTHEST, neginf=-2 * FARTHEST)  # of a rank without a value
            low_R, high_R = parallel.sum(ends_2R).cpu()
            bins = parallel.sum(counts.bins).cpu()
            if bins.sum() > 0:
                low, high = float(low_R.min()), float(high_R.max())
                found |= {f"{name}_min": math.exp(low), f"{name}_max": math.exp(high)}
                for quantile, share in QUANTILES.items():
                    found[f"{name}_{quantile}"] = math.exp(min(max(_quantile(bins, share), low), high))
        if self._weights is not None:
            number, total, squares = parallel.sum(self._weights).tolist()
            found["importance_ess"] = total**2 / (number * squares) if squares else 0.0
        return found


def _quantile(bins: Tensor, share: float) -> float:
    """Return the log ratio of the bin that holds the value at this share of all, in their order."""
    place = int(torch.searchsorted(bins.cumsum(0), share * bins.sum()))
    return min(place, len(bins) - 1) / BINS_PER_NAT - LIMIT
