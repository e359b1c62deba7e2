"""Prompts with their rollouts and scores → groups with advantages and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from temporay.operators.records import Group, Outcome, Sample, Score, ScoredGroup
from temporay.operators.reinforcement.advantage import TaskScales, group_advantages, is_flat
from temporay.operators.reinforcement.prompt_stream import Draw
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.rollouts.media import StoredPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A prompt, its rollouts, and what they earned."""

    draw: Draw
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


def scored(config: GrpoConfig, step: int, asked: Sequence[Asked], scales: TaskScales) -> tuple[ScoredGroup, ...]:
    """Groups with advantages and outcome; a group without a signal is dropped whole, and says why."""
    return tuple(
        ScoredGroup(
            position=one.draw.position,
            row=one.draw.row,
            step=step,
            static=one.draw.static,
            group=one.group,
            scores=tuple(one.scores),
            advantages=group_advantages(
                one.rewards_G, scale_rewards=config.scale_rewards, task_std=scales.std(one.sample.address.task)
            ),
            outcome=Outcome.OBSERVED
            if config.mode == "rollouts_only" and one.outcome == Outcome.TRAINED
            else one.outcome,
        )
        for one in asked
    )


def trainable(outcome: Outcome) -> Outcome:
    """What becomes of a group when training comes after a run that only sampled."""
    return Outcome.TRAINED if outcome == Outcome.OBSERVED else outcome


def oldest_version(groups: Sequence[ScoredGroup], step: int) -> int:
    """The oldest weights that any rollout of a step came from."""
    return min((r.weight_version for one in groups for r in one.group.rollouts), default=step)
