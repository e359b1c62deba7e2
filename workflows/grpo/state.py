"""What one batch of GRPO hands on: answered prompts, their groups with advantages, and where the run stands after it.

AnsweredPrompt → ScoredGroup (advantages, outcome) → RunState of the next batch; StageClock measures all of it
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from temporay.operators.advantages._base import advantage_called, is_flat
from temporay.operators.records import Group, Outcome, Sample, Score, ScoredGroup
from temporay.operators.reinforcement.curriculum import PassRates
from temporay.operators.reinforcement.prompt_stream import ChosenPrompt, Cursor
from temporay.operators.reinforcement.task_scales import TaskScales
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.rollouts.media import StoredPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run stands between two batches: all that the next batch depends on. It resumes as it was written."""

    cursor: Cursor = field(default_factory=Cursor)
    scales: TaskScales = field(default_factory=TaskScales)
    rates: PassRates = field(default_factory=PassRates)
    num_unusable: int = 0  # steps in a row without two rewards in any group

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, from which ``from_json`` makes an equal state."""
        return {
            "cursor": self.cursor.to_json(),
            "scales": self.scales.to_json(),
            "rates": self.rates.to_json(),
            "num_unusable": self.num_unusable,
        }

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` gave."""
        return cls(
            cursor=Cursor.from_json(tree["cursor"]),
            scales=TaskScales.from_json(tree["scales"]),
            rates=PassRates.from_json(tree["rates"]),
            num_unusable=tree["num_unusable"],
        )


@dataclass(slots=True)
class StageClock:
    """Wall seconds by stage of one step: ``with clock("generate"): …``. A stage that comes again adds up."""

    seconds: dict[str, float] = field(default_factory=dict)

    def move(self, seconds: float, source: str, target: str) -> None:
        """Count some of a stage's seconds as another's."""
        self.seconds[source] -= seconds
        self.seconds[target] = self.seconds.get(target, 0.0) + seconds

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredPrompt:
    """A prompt, its rollouts, and what they earned."""

    chosen: ChosenPrompt
    sample: Sample
    prompt: StoredPrompt
    group: Group
    scores: list[Score]

    @property
    def rewards_G(self) -> list[float | None]:
        return [score.reward for score in self.scores]

    @property
    def outcome(self) -> Outcome:
        if sum(reward is not None for reward in self.rewards_G) < 2:
            return Outcome.UNSCORED
        return Outcome.FLAT if is_flat(self.rewards_G) else Outcome.TRAINED

    def scored(self, config: GrpoConfig, step: int, scales: TaskScales) -> ScoredGroup:
        """Return the group with advantages and outcome; a run that only samples trains on none."""
        only_observed = config.mode == "rollouts_only" and self.outcome == Outcome.TRAINED
        return ScoredGroup(
            position=self.chosen.position,
            row=self.chosen.row,
            step=step,
            static=self.chosen.static,
            group=self.group,
            scores=tuple(self.scores),
            advantages=advantage_called(config.scale_rewards)(self.rewards_G, scales.std(self.sample.address.task)),
            outcome=Outcome.OBSERVED if only_observed else self.outcome,
        )
