"""Guards that stop a run which would learn the wrong thing without a word.

    blindness canary    the same questions with real and with blank frames: a model that sees answers them differently
    engine against trainer    the KL per token between who samples and who learns
    rewards that fail   steps in a row in which no checker gave a usable reward
    flat reward         a line, not a stop: the last steps have no more reward than the first

Video input has been lost on the way to an engine without an error (verl PR 7802: 0.50 instead of 0.79 on NextQA, and
fluent answers), and prompts of engine and trainer have differed by two tokens (vllm issue 46817).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from temporay.models.chat import to_prompt
from temporay.operators.dataset.opening import Samples, frames_needed
from temporay.operators.errors import UserError
from temporay.operators.records import Group, Prompt, Sample, Sampling
from temporay.operators.reinforcement.reward_trend import WORDS, reward_trend
from temporay.operators.rewards._base import is_right
from temporay.operators.seeding import rng_at
from temporay.workflows.grpo.settings import GrpoConfig, GuardSettings
from temporay.workflows.rollouts.pool import Pool

STAGE = "canary"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryQuestions:
    """Fixed questions with real and with blank frames, by the same keys and in the same order."""

    samples: tuple[Sample, ...]
    real: tuple[Prompt, ...]
    blank: tuple[Prompt, ...]

    @classmethod
    def open(cls, dataset: Samples, processor: Any, config: GrpoConfig) -> CanaryQuestions:
        """Read rows of a dataset; which ones depends on its size alone."""
        rows = rng_at("canary", len(dataset)).permutation(len(dataset))[: config.guards.canary_prompts].tolist()
        samples = tuple(map(dataset.sample, rows))
        real = tuple(
            to_prompt(processor, sample, frames_needed(dataset, row), instruction=config.instruction)
            for sample, row in zip(samples, rows, strict=True)
        )
        return cls(samples=samples, real=real, blank=tuple(map(blanked, real)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryResult:
    """What the canary showed, as shares of its questions."""

    agreement: float  # answered word for word alike with real and with blank frames
    accuracy_real: float
    accuracy_blank: float


def blanked(prompt: Prompt) -> Prompt:
    """Return the same prompt over gray frames: as many tokens, nothing to see."""
    gray = (replace(medium, frames_THWC=np.full_like(medium.frames_THWC, 128)) for medium in prompt.media)
    return replace(prompt, media=tuple(gray))


async def look(pool: Pool, questions: CanaryQuestions, settings: GuardSettings) -> CanaryResult:
    """Answer the questions greedily, under whatever weights the engines hold."""
    greedy = Sampling(num_rollouts=1, temperature=0.0, max_tokens=settings.canary_tokens, seed=0)
    real = await pool.generate(questions.real, greedy)
    blank = await pool.generate(questions.blank, greedy)
    same = [
        one.rollouts[0].completion_ids == other.rollouts[0].completion_ids
        for one, other in zip(real, blank, strict=True)
    ]
    return CanaryResult(
        agreement=sum(same) / len(same),
        accuracy_real=_accuracy(real, questions.samples),
        accuracy_blank=_accuracy(blank, questions.samples),
    )


def check_canary(result: CanaryResult, settings: GuardSettings) -> None:
    """Stop a run whose model answers as if it saw nothing.

    Raises:
        UserError: real and blank frames get the same answers.
    """
    if result.agreement > settings.max_agreement:
        raise UserError(
            f"the model does not look at the video: {result.agreement:.0%} of its answers to {settings.canary_prompts} "
            f"questions are the same, word for word, when every frame is gray (accuracy {result.accuracy_real:.0%} and "
            f"{result.accuracy_blank:.0%}), and guards.max_agreement is {settings.max_agreement:g}. Check that the "
            "engine gets the frames, start from a model that uses them, or raise the limit"
        )


def check_engine_kl(step: int, engine_kl: float, staleness: int, settings: GuardSettings) -> None:
    """Stop a run whose engine samples from another distribution than the trainer believes.

    Raises:
        UserError: the KL per token is above the limit, or is no number.
    """
    limit = settings.max_engine_kl * (1 + staleness)
    if not engine_kl <= limit:  # no number is beyond any limit
        raise UserError(
            f"engine and trainer are {engine_kl:.3g} nats per token apart at step {step}, and guards.max_engine_kl is "
            f"{settings.max_engine_kl:g}, which allows {limit:.3g} at staleness {staleness}: one of them computes "
            "something else, or the policy moves too far in an update. Compare dtypes (pool.settings.dtype), try "
            "--pool.engine local, lower optimizer.lr or max_staleness, or raise the limit if the distance is known"
        )


def check_usable(num_unusable: int, details: Sequence[str], settings: GuardSettings) -> None:
    """Stop a run that only waits for rewards that do not come.

    Args:
        num_unusable: steps in a row without two rewards in any group, this one included.
        details: what the checkers of this step said.

    Raises:
        UserError: there were too many such steps.
    """
    if num_unusable >= settings.max_unusable_steps:
        [(said, count)] = Counter(filter(None, details)).most_common(1) or [("nothing", 0)]
        raise UserError(
            f"{num_unusable} steps in a row had no group with two rewards, so nothing was learned; of the last "
            f"{len(details)} rollouts {count} have none because: {said}. Correct what rewards.weights names and run "
            "the same command again, or give other rewards, or a longer rewards.deadline_s, and another --out"
        )


def flat_reward(num_steps: int, rewards: Sequence[float], settings: GuardSettings) -> str:
    """Return a line that says after ``flat_after_steps`` that the reward has not risen; "" at all other times.

    Args:
        rewards: means of the steps so far that have any.
    """
    trend = reward_trend(rewards) if num_steps == settings.flat_after_steps else None
    if trend is None or trend.verdict == "rose":
        return ""
    return (
        f"grpo: the reward {WORDS[trend.verdict]} in {num_steps} steps (guards.flat_after_steps): {trend.first:.3f} in "
        f"the first {trend.window}, {trend.last:.3f} in the last, standard error of the difference "
        f"{trend.standard_error:.3f}; useful_groups and noise_scale tell whether easier prompts or larger batches help"
    )


def _accuracy(groups: Sequence[Group], samples: Sequence[Sample]) -> float:
    right = [is_right(group.rollouts[0], sample) for group, sample in zip(groups, samples, strict=True)]
    return sum(right) / len(right)
