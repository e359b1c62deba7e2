"""Not divided (Dr. GRPO, arXiv 2503.20783)."""

from collections.abc import Sequence

from temporay.operators.advantages._base import Advantage


class NoneAdvantage(Advantage):
    """Groups with a wide spread of rewards count for more."""

    def scale(self, known: Sequence[float], task_std: float | None) -> float:
        return 1.0
