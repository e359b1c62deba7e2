"""Held-out questions that a model is asked while it trains, in SFT and GRPO alike: chosen once, answered greedily.

    rows of ``validation`` → frames of an arm → engines → accuracy by arm, gaps → row of metrics.jsonl

What the order of the frames is worth shows in a gap: the accuracy on ordered frames less that under an arm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from temporay.models.token_lengths import TokenLengths
from temporay.operators.benchmarks._base import benchmark_called
from temporay.operators.scoring.arms import Arm
from temporay.operators.scoring.evaluation import EvaluationRow, by_arm, gaps, has_reasoning, interval_of
from temporay.operators.scoring.metrics import ConfidenceInterval
from temporay.operators.seeding import rng_at
from temporay.workflows.data.own_data import opened
from temporay.workflows.evaluation.asking import Engines, ask, demand_of, greedy, not_asked
from temporay.workflows.evaluation.benchmark_questions import BenchmarkQuestions
from temporay.workflows.evaluation.questions import SampleQuestions
from temporay.workflows.learner.settings import TrainingConfig
from temporay.workflows.rollouts.defaults import Demand


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOutQuestions:
    """What is asked at every validation of a run, and how."""

    questions: SampleQuestions | BenchmarkQuestions
    arms: tuple[Arm, ...]
    not_asked: Mapping[Arm, Mapping[str, int]]  # how many questions an arm cannot ask, by reason
    max_tokens: int

    @classmethod
    def open(
        cls, config: TrainingConfig, *, benchmark: str | None, max_tokens: int, command: str
    ) -> HeldOutQuestions | None:
        """Choose questions once for all steps; None where there is nothing to validate on.

        Args:
            benchmark: whose files are in ``validation``; None: it is a dataset or own data.
            command: whose run this is; each draws questions of its own.

        Raises:
            UserError: they cannot be read, or an arm can ask none of them.
        """
        if config.validation is None:
            return None
        draw = rng_at(f"{command}/validation", config.seed)
        if benchmark is None:
            dataset = opened(config.validation, config)
            chosen = sorted(draw.permutation(len(dataset))[: config.validation_samples].tolist())
            questions: SampleQuestions | BenchmarkQuestions = SampleQuestions.of(dataset, chosen, config.instruction)
        else:
            whole = BenchmarkQuestions.open(
                benchmark_called(benchmark),
                config.validation,
                config.video_reading,
                asking="own",
                instruction=config.instruction,
                num_samples=None,
            )
            questions = whole.some(sorted(draw.permutation(len(whole))[: config.validation_samples].tolist()))
        arms = config.validation_arms
        return cls(questions=questions, arms=arms, not_asked=not_asked(questions, arms), max_tokens=max_tokens)

    def demand(self, lengths: TokenLengths) -> Demand:
        """Return the most that a validation asks of the engines."""
        return demand_of(self.questions, self.arms, greedy(self.max_tokens), lengths)

    async def ask(self, engines: Engines, share: tuple[int, int] = (0, 1)) -> list[EvaluationRow]:
        """Have questions answered under the weights that the engines hold.

        Args:
            share: rank, number of ranks that answer a part each.
        """
        return await ask(engines, self.questions, self.arms, greedy(self.max_tokens), share=share)


def measures(rows: Sequence[EvaluationRow]) -> dict[str, Any]:
    """Measure every arm of a validation.

    ``ARM_accuracy`` is a share of all samples, ``ARM_unread`` the share of answers that name no option,
    ``ARM_reasoned`` that of answers after a chain of thought. ``ARM_gap`` is the accuracy on ordered frames less that
    of the arm, by pairs of answers to one question. ``…_interval`` is the interval of 95 %, low and high.
    """
    arms = by_arm(rows)
    found: dict[str, Any] = {}
    for arm, some in arms.items():
        found |= _with_interval(f"{arm}_accuracy", interval_of(some))
        found[f"{arm}_unread"] = fmean(row.parsed is None for row in some)
        found[f"{arm}_reasoned"] = fmean(has_reasoning(row.text) for row in some)
    for arm, gap in gaps(arms).items():
        found |= _with_interval(f"{arm}_gap", gap.difference)
    return found


def _with_interval(name: str, interval: ConfidenceInterval) -> dict[str, Any]:
    bounded = {f"{name}_interval": [interval.low, interval.high]} if math.isfinite(interval.high) else {}
    return {name: interval.value, **bounded}


def terminal_line(steps_done: int, found: Mapping[str, Any]) -> str:
    """Sum up a validation for somebody who waits."""
    said = []
    for name, value in found.items():
        if name.endswith(("_accuracy", "_gap")):
            low, high = found.get(f"{name}_interval", (math.nan, math.nan))
            said.append(f"{name.replace('_', ' ')} {value:.1%} ({low:.0%} to {high:.0%})")
    return f"validation after {steps_done} steps: {', '.join(said)}{unread_words(found)}"


def unread_words(found: Mapping[str, Any]) -> str:
    """Say what answers count for that name no option, where there are some; "" elsewhere."""
    unread = {name.removesuffix("_unread"): share for name, share in found.items() if name.endswith("_unread")}
    if not any(unread.values()):
        return ""
    shares = ", ".join(f"{arm.replace('_', ' ')} {share:.0%}" for arm, share in unread.items())
    return f"; unread: {shares} (wrong where the whole clip is shown, a guess elsewhere)"
