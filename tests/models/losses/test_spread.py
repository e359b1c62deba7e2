"""How far ratios spread is the same however a batch is cut over ranks and micro-batches, and that of all its values."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from temporay.models.losses._spread import BINS_PER_NAT, FARTHEST, RatioSpread
from temporay.models.parallel import Parallel, this_process
from torch import Tensor

ALONE = this_process(torch.device("cpu"))


class Together(Parallel):
    """A rank that is a thread."""

    gathered_values: dict[int, Tensor]
    gate: threading.Barrier

    @classmethod
    def ranks(cls, count: int) -> list[Together]:
        cpu = torch.device("cpu")
        made = [cls(rank=rank, world_size=count, device=cpu, mesh=None) for rank in range(count)]
        values: dict[int, Tensor] = {}
        gate = threading.Barrier(count)
        for one in made:
            object.__setattr__(one, "gathered_values", values)
            object.__setattr__(one, "gate", gate)
        return made

    def sum(self, values: Tensor) -> Tensor:
        self.gathered_values[self.rank] = values
        self.gate.wait()
        total = torch.stack([self.gathered_values[rank] for rank in range(self.world_size)]).sum(0)
        self.gate.wait()
        return total


def spread_of(parts: list[tuple[Tensor, Tensor]]) -> RatioSpread:
    spread = RatioSpread()
    for log_ratio, mask in parts:
        spread.add("importance", log_ratio, mask)
        spread.add_weights(log_ratio.exp(), mask)
    return spread


def test_quantiles_are_those_of_all_values_over_ranks_and_micro_batches() -> None:
    torch.manual_seed(0)
    log_ratio, mask = 0.4 * torch.randn(12, 50), (torch.rand(12, 50) > 0.3).float()
    whole = spread_of([(log_ratio, mask)]).summary(ALONE)
    cuts = [[slice(0, 2), slice(2, 7)], [slice(7, 8), slice(8, 12)], [slice(0, 0)]]  # a rank with blanks alone
    spreads = [
        spread_of([(log_ratio[s], mask[s]) if s != slice(0, 0) else (log_ratio, 0 * mask) for s in cut]) for cut in cuts
    ]
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(RatioSpread.summary, spreads, Together.ranks(3)))
    assert found[0] == found[1] == found[2] == pytest.approx(whole, rel=1e-12)
    values = log_ratio[mask > 0].double().numpy()
    assert math.log(whole["importance_min"]) == pytest.approx(values.min())
    assert math.log(whole["importance_max"]) == pytest.approx(values.max())
    for name, share in {"p01": 0.01, "p50": 0.5, "p99": 0.99}.items():
        expected = np.quantile(values, share, method="inverted_cdf")
        assert math.log(whole[f"importance_{name}"]) == pytest.approx(expected, abs=0.51 / BINS_PER_NAT)
    weights = np.exp(values)
    assert whole["importance_ess"] == pytest.approx(weights.sum() ** 2 / (len(weights) * (weights**2).sum()), rel=1e-5)


def test_a_policy_that_has_not_moved_has_ratio_one() -> None:
    found = spread_of([(torch.zeros(2, 3), torch.ones(2, 3))]).summary(ALONE)
    assert set(found.values()) == {1.0} and len(found) == 6


def test_what_is_not_finite_or_far_away_stays_a_number() -> None:
    found = spread_of([(torch.tensor([[math.nan, math.inf, -math.inf, 0.0]]), torch.ones(1, 4))])
    assert math.log(RatioSpread.summary(found, ALONE)["importance_max"]) == pytest.approx(FARTHEST)


def test_nothing_added_says_nothing() -> None:
    assert RatioSpread().summary(ALONE) == {}
    assert spread_of([(torch.ones(1, 2), torch.zeros(1, 2))]).summary(ALONE) == {"importance_ess": 0.0}
