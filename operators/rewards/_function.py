"""Reward functions as TRL's trainers take them: ``def reward(prompts, completions, **kwargs) -> list[float | None]``.

They are called once per group with TRL 1.16's arguments: conversational ``prompts`` and ``completions``,
``completion_ids`` and one list per column of ``columns``. ``trainer_state``, ``log_extra`` and ``log_metric`` are not
passed, because the processes that compute rewards have no trainer. None means that the function does not apply.
"""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from temporay.operators.dataset.rows import messages
from temporay.operators.records import Group, Sample
from temporay.operators.rewards._base import Comparisons, GroupReward


class FunctionReward(GroupReward):
    """A reward made of a plain function, a coroutine function, or a callable object."""

    function: Callable[..., Any]

    def score_group(self, group: Group, sample: Sample, compared: Comparisons) -> Sequence[float | None]:
        count = len(group.rollouts)
        given = self.function(
            prompts=[messages(sample)] * count,
            completions=[[{"role": "assistant", "content": rollout.text}] for rollout in group.rollouts],
            completion_ids=[list(rollout.completion_ids) for rollout in group.rollouts],
            **{name: [value] * count for name, value in columns(sample).items()},
        )
        return list(asyncio.run(_awaited(given)) if inspect.isawaitable(given) else given)


async def _awaited(given: Any) -> Any:
    return await given


def columns(sample: Sample) -> dict[str, Any]:
    """Return what a function may ask for by name. ``solution`` is the answer as the model is taught to write it."""
    question = sample.question
    return {
        "id": sample.key,
        "task": sample.address.task,
        "level": sample.address.level,
        "question": question.text,
        "options": list(question.options),
        "answer": question.letter,
        "answer_text": question.options[question.answer_index],
        "solution": question.answer,
        "rationale": sample.rationale,
        "order_dependent": sample.order_dependent,
        "needs_time": sample.needs_time,
        "num_frames": sample.clip.num_frames,
        "fps": sample.clip.fps,
        "events": [asdict(event) for event in sample.events],
        "facts": dict(sample.facts),
    }
