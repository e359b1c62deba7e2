"""What a verifiable reward provides; its file is its registration (``operators.plugins``)."""

from __future__ import annotations

from abc import ABC, abstractmethod

from operators.records import Rollout, Sample


class Reward(ABC):
    """One number for one completion. Stateless, built without arguments; weights are configuration."""

    @abstractmethod
    def score(self, rollout: Rollout, sample: Sample) -> float:
        """A finite number, usually in [0, 1]. Defined for any text a model can write: an unreadable answer has a value.

        An exception means that the checker is broken. It makes the rollout's status ``crashed`` and its reward None,
        so that a fault of ours never teaches a model anything.
        """
