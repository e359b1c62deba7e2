"""A checker that misbehaves on one word of the completion; imported by name in the tasks, as a user's would be."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporay.operators.records import Rollout, Sample
from temporay.operators.rewards._base import Reward


class Hostile(Reward):
    """1 for everything that is not an attack."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        if "deaf" in rollout.text:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
            time.sleep(600)
        if "die" in rollout.text:
            os._exit(1)
        if "raise" in rollout.text:
            raise RuntimeError("checker is broken")
        try:
            if "hang" in rollout.text:
                time.sleep(600)
        except Exception:  # a deadline must get through this
            return 1.0
        return 1.0


class DiesOnce(Reward):
    """Takes its process down the first time, as a machine that is short of memory would."""

    marker: Path

    def score(self, rollout: Rollout, sample: Sample) -> float:
        if not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0


def poisoned(completion_ids: Sequence[Sequence[int]], **columns: Any) -> Any:
    """Return numbers that no training survives, or no list of numbers at all, for one group in two. In TRL's form."""
    kind = sum(completion_ids[0]) % 8
    if kind == 0:
        raise ValueError("poisoned")
    if kind == 1:
        return [1.0]
    rewards = [float(sum(ids) % 5 == 0) for ids in completion_ids]
    if kind in (2, 3):
        bad = (float("nan"), float("inf"), None, 1e300)
        return [bad[(i + kind) % 4] if i % 2 == 0 else reward for i, reward in enumerate(rewards)]
    return rewards
