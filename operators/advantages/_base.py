"""What an advantage provides: rewards_G → advantages_G (G rollouts of a prompt); its file is its registration.

Every advantage is the distance to the group's mean (GRPO, arXiv 2402.03300 section 4.1.2). A file says what divides it.
The class has the name of the file with ``Advantage`` behind it.
"""

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator
from temporay.operators.components import load
from temporay.operators.errors import UserError

ADVANTAGES = "temporay.operators.advantages"


class Advantage(ABC):
    """How much better each rollout is than its group. Stateless."""

    @abstractmethod
    def scale(self, known: Sequence[float], task_std: float | None) -> float:
        """Return what divides the distances to the mean.

        Args:
            known: the rewards of a group that has a signal, without those that are None.
            task_std: deviation of the rewards of the group's task, this batch included; None before its first signal.
        """

    def __call__(self, rewards_G: Sequence[float | None], task_std: float | None = None) -> tuple[float | None, ...]:
        """Return advantages_G: None where there is no reward, and exactly 0.0 throughout a flat group.

        TRL gives a rollout without a reward the advantage 0. Here the caller can mask it out, so that it does not
        dilute a mean over rollouts.

        Raises:
            ValueError: a reward is NaN or infinite. Scoring gives None for those.
        """
        known = known_rewards(rewards_G)
        if not all(math.isfinite(reward) for reward in known):
            raise ValueError(f"rewards must be finite or None, got {list(rewards_G)}")
        if is_flat(rewards_G):
            return tuple(None if reward is None else 0.0 for reward in rewards_G)
        center, scale = statistics.fmean(known), self.scale(known, task_std)
        return tuple(None if reward is None else (reward - center) / scale for reward in rewards_G)


def advantage_called(name: str) -> Advantage:
    """Return the advantage of a file here, or of ``module:Class``.

    Raises:
        UserError: there is none; the message has the nearest name.
    """
    loaded = load(ADVANTAGES, name, suffix="Advantage")
    if not (isinstance(loaded, type) and issubclass(loaded, Advantage)):
        raise UserError(f"scale_rewards is {name!r}, which is no class that derives from {ADVANTAGES}._base.Advantage")
    return loaded()


def _checked(name: str) -> str:
    advantage_called(name)
    return name


AdvantageName = Annotated[str, AfterValidator(_checked)]


def is_flat(rewards_G: Sequence[float | None]) -> bool:
    """Return whether there are fewer than two rewards, or all are the same: nothing to learn from this group."""
    return len(set(known_rewards(rewards_G))) < 2


def known_rewards(rewards_G: Sequence[float | None]) -> list[float]:
    return [reward for reward in rewards_G if reward is not None]
