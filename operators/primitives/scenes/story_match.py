"""Which description tells the video? (After the hard negatives of VideoComp: two events reordered, one replaced, cut.)

The four descriptions are two tellings by two orders: a story, the same story with one scene replaced by another or
left out, and each of the two with two scenes exchanged. Any of the four is rendered, so each is wrong as often as it
is right, and each has the same two neighbours at one change and one at two: no option is the odd one out. Which
scenes appear narrows the answer to two; only their order tells which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Style, choose_truth
from temporay.operators.primitives.scenes._question import PseudoVideo
from temporay.operators.primitives.scenes._shots import (
    CaptionedScene,
    choose_num_scenes,
    compose,
    pick_scenes,
    split_length,
    tell_order,
)
from temporay.operators.records import Address, AnswerKind, AnswerValue, Question, Scene, ScenePlan
from temporay.operators.seeding import rng_at

MIN_SCENES_TO_CUT = 3  # what is left must have an order
EXCHANGED_BY_LEVEL = ("any", "any", "any", "neighbours", "neighbours")
WORDINGS = (
    "Which description tells the whole video, all of it in the right order?",
    "Which of these stories is the one that the video shows?",
    "Choose the description that matches the video from start to end.",
    "Only one description has all scenes of the video, no other, and in their order. Which one?",
    "Which summary fits the video exactly?",
    "How does the video go, from its first scene to its last?",
    "Which caption describes the complete course of the video?",
    "What happens in the video? Choose the account that is complete and in order.",
)


class StoryMatch(PseudoVideo):
    task: ClassVar[str] = "story_match"
    answer_kind: ClassVar[AnswerKind] = "order"

    def num_distinct_scenes(self, canvas: Canvas) -> int:
        """One more than a video shows: the scene that may replace another."""
        return canvas.num_scenes[1] + 1

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_scenes = choose_num_scenes(rng, canvas, address.level)
        *told, spare = pick_scenes(scenes, num_scenes + 1, address)
        exchanged = _choose_exchanged(rng, num_scenes, EXCHANGED_BY_LEVEL[address.level])
        pairs = _with_exchange(_tellings(rng, told, spare, exchanged), exchanged)
        telling, order = int(rng.integers(2)), choose_truth(rng, 2, address)  # a twin differs in its order alone
        stories = [story for pair in pairs for story in pair]
        shuffled = [stories[i] for i in rng.permutation(len(stories))]
        facts = {
            "stories": [[scene.caption for scene in story] for story in shuffled],
            "options": [tell_order([scene.caption for scene in story]) for story in shuffled],
            "wording": int(rng.integers(len(WORDINGS))),
        }
        # Lengths go with the scenes, not with the places, so that a twin shows the same frames.
        num_shots = len(pairs[telling][0])
        lengths = split_length(num_shots, num_scenes, canvas, address, min_shots=num_scenes - 1)
        by_image = {scene.scene.image_id: n for scene, n in zip(pairs[telling][0], lengths, strict=True)}
        shown = pairs[telling][order]
        return compose(shown, [by_image[scene.scene.image_id] for scene in shown], canvas, address, facts)

    def values(self, facts: Mapping[str, Any]) -> tuple[AnswerValue, ...]:
        return tuple(tuple(story) for story in facts["stories"])

    def text(self, facts: Mapping[str, Any]) -> str:
        return WORDINGS[facts["wording"]]

    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str | None:
        stories: list[list[str]] = facts["stories"]
        options: list[str] = facts["options"]
        return options[stories.index(list(order))] if list(order) in stories else None

    def conclude(self, plan: ScenePlan, answer: str) -> str:
        return answer

    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        told = super().explain(plan, question, style)
        return question.options[question.answer_index] if style == "concise" else told


Story = list[CaptionedScene]


def _choose_exchanged(rng: np.random.Generator, num_scenes: int, which: str) -> tuple[int, int]:
    """Two places of the story whose scenes change places."""
    if which == "neighbours":
        first = int(rng.integers(num_scenes - 1))
        return first, first + 1
    first, second = sorted(int(i) for i in rng.choice(num_scenes, 2, replace=False))
    return first, second


def _tellings(
    rng: np.random.Generator, told: Story, spare: CaptionedScene, exchanged: tuple[int, int]
) -> tuple[Story, Story]:
    """The story, and the same with one scene replaced or, where enough are left, one that is not exchanged left out."""
    changed = int(rng.integers(len(told)))
    can_be_cut = [place for place in range(len(told)) if place not in exchanged]
    cut = bool(rng.integers(2)) and len(told) >= MIN_SCENES_TO_CUT
    if cut:
        left_out = can_be_cut[int(rng.integers(len(can_be_cut)))]
        return told, [scene for place, scene in enumerate(told) if place != left_out]
    return told, [spare if place == changed else scene for place, scene in enumerate(told)]


def _with_exchange(tellings: tuple[Story, Story], exchanged: tuple[int, int]) -> list[tuple[Story, Story]]:
    """Each telling with its other order: the two scenes of these places of the first telling are exchanged in both."""
    pairs = []
    for telling in tellings:
        was_cut = len(telling) < len(tellings[0])
        one, another = (telling.index(tellings[0][place]) if was_cut else place for place in exchanged)
        other = list(telling)
        other[one], other[another] = telling[another], telling[one]
        pairs.append((list(telling), other))
    return pairs
