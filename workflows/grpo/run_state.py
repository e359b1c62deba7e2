"""Where a run of GRPO stands between two batches: what the next one depends on, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from temporay.operators.reinforcement.advantage import TaskScales
from temporay.operators.reinforcement.curriculum import PassRates
from temporay.operators.reinforcement.prompt_stream import Cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run stands between two batches: a value, which resumes as it was written."""

    cursor: Cursor = field(default_factory=Cursor)
    scales: TaskScales = field(default_factory=TaskScales)
    rates: PassRates = field(default_factory=PassRates)
    num_unusable: int = 0  # steps in a row without two rewards in any group

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which ``from_json`` gives an equal state."""
        return {
            "cursor": self.cursor.to_json(),
            "scales": self.scales.to_json(),
            "rates": self.rates.to_json(),
            "num_unusable": self.num_unusable,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """What ``to_json`` gave."""
        return cls(
            cursor=Cursor.from_json(tree["cursor"]),
            scales=TaskScales.from_json(tree["scales"]),
            rates=PassRates.from_json(tree["rates"]),
            num_unusable=tree["num_unusable"],
        )
