"""What the steps of one rank need and do: memory, forecast before it is taken, and operations by the second."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from temporay.models.collate import Batch
from temporay.models.cost.footprint import FlopCounter, Flops, peak_flops, utilization
from temporay.models.cost.host_memory import available_bytes
from temporay.models.cost.memory_forecast import BatchSize, MemoryForecast, RankShare, size_of
from temporay.models.policy import Policy


class StepCost:
    """What the steps of one rank need and do: memory, forecast before it is taken, and operations by the second."""

    def __init__(self, policy: Policy, model: Path, *, ranks_on_host: int, reference: bool) -> None:
        """Measure what a rank has; every rank must make one.

        Args:
            model: the folder that the policy comes from.
            reference: whether a second, frozen model will be loaded too.

        Raises:
            UserError: weights, gradients and optimizer alone need more memory than there is.
        """
        self._policy = policy
        hardware = policy.settings.hardware
        self._refuses = hardware.refuses(policy.parallel.device)
        self._flops = FlopCounter(policy.model, policy.family)
        self._peak = peak_flops(policy.parallel.device, policy.pass_dtype, hardware.peak_tflops)
        share = RankShare.of(policy)
        self._forecast = MemoryForecast(model, policy.family, policy.settings, share, reference=reference)
        policy.parallel.barrier()  # all ranks of a host hold their weights now
        self.available = available_bytes(policy, ranks_on_host=ranks_on_host)
        policy.parallel.barrier()
        self._copy_bytes = 0  # what a checkpoint's copy holds of ``available``
        self._checked: list[BatchSize] = []
        self.forecast_bytes = self._forecast_of(None)

    def check(self, batches: Sequence[Batch]) -> list[dict[str, float]]:
        """Forecast the micro-batches that are larger than all before, and return sizes and bytes for each.

        Raises:
            UserError: one needs more memory than there is.
        """
        found = []
        for batch in batches:
            size = size_of(self._policy, batch)
            if not any(size.within(other) for other in self._checked):
                found.append({**dataclasses.asdict(size), "forecast_bytes": self._forecast_of(batch)})
                self._checked = [size, *(other for other in self._checked if not other.within(size))]
        return found

    def hold(self, copy_bytes: int) -> None:
        """Take the copy of checkpoints from what micro-batches may use, where both are in the host's memory."""
        if self._policy.parallel.device.type == "cpu":
            self._copy_bytes = copy_bytes

    def count(self, batch: Batch) -> Flops:
        """Count the operations of one micro-batch."""
        return self._flops.count(batch)

    def rates(self, counts: Sequence[Flops], num_tokens: float, seconds: float) -> dict[str, float]:
        """Rate an update by all ranks, given this rank's counts; ``mfu`` where the devices' peak is known."""
        mine = [sum(count.training for count in counts), sum(count.text_training for count in counts)]
        whole, text = self._policy.parallel.sum(torch.tensor(mine, dtype=torch.float64)).tolist()
        flops = {"flops": whole, "text_flops": text}
        shares = utilization(flops, seconds, self._policy.parallel.world_size, self._peak)
        return {"tokens_per_s": num_tokens / seconds, **shares}

    def _forecast_of(self, batch: Batch | None) -> float:
        if not self._refuses:
            return sum(self._forecast.bytes(batch).values())
        return sum(self._forecast.check(batch, self.available - self._copy_bytes).values())
