"""An engine that does not survive one prompt; imported by name in its actor, as a user's would be."""

from __future__ import annotations

import os
from collections.abc import Sequence

from temporay.models.engines._base import EngineLostError
from temporay.operators.records import Group, Prompt, Sampling

from tests.workflows.scripted_engine import Scripted


class Crashing(Scripted):
    """Ends its process when asked about ``fatal``, and loses a part of itself when asked about ``lost``."""

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, begun: Sequence[Group | None] | None = None
    ) -> list[Group]:
        if any(prompt.key == "fatal" for prompt in prompts):
            os._exit(1)
        if any(prompt.key == "lost" for prompt in prompts):
            raise EngineLostError("a worker process has ended")
        return super().generate(prompts, sampling, begun)
