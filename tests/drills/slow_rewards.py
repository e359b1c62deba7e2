"""A reward slow enough that a signal finds its task at work; imported by name in the tasks, as a user's would be."""

import time

from temporay.operators.records import Rollout, Sample

from tests.workflows.varied_rewards import Varied

SECONDS_PER_ROLLOUT = 0.06


class SlowVaried(Varied):
    """``Varied`` after a wait."""

    def score(self, rollout: Rollout, sample: Sample) -> float:
        time.sleep(SECONDS_PER_ROLLOUT)
        return super().score(rollout, sample)
