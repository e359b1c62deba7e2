"""Which scene is immediately before or after another? (R4 of arXiv 2506.06928.)

Departs from the paper's code, whose option for "there is no such scene" was listed only when it was right: here it is
always an option and is right as often as any other, and every other option is a scene of the video. From level 3 on
the neighbour may be a scene that is not listed, and then none of the other answers is correct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import choose_truth
from temporay.operators.primitives.scenes._question import (
    NONE_OF_THE_OTHERS,
    NONE_OF_THE_OTHERS_BY_LEVEL,
    PseudoVideo,
    or_none,
)
from temporay.operators.primitives.scenes._shots import choose_num_scenes, choose_shot_lengths, compose, pick_scenes
from temporay.operators.records import Address, Scene, ScenePlan
from temporay.operators.seeding import rng_at

MAX_OPTIONS = 4
NO_SCENE = "there is no scene {side} it"
WORDINGS = (
    'One of the scenes in the video can be described as "{anchor}". What description best fits the scene immediately '
    "{side} it?",
    'Which scene comes directly {side} "{anchor}"?',
    'Look for the scene "{anchor}". What is shown immediately {side} it?',
    'What does the video show right {side} the scene "{anchor}"?',
    'Which scene is the neighbour of "{anchor}" just {side} it?',
    'Find "{anchor}" in the video. Which scene is next to it, {side} it in time?',
    'What can be seen straight {side} the scene "{anchor}"?',
    'No other scene lies between it and "{anchor}", and it comes {side} that one. Which scene is it?',
)


class AdjacentScene(PseudoVideo):
    task: ClassVar[str] = "adjacent_scene"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        num_scenes = choose_num_scenes(rng, canvas, address.level)
        anchor, *others = pick_scenes(scenes, num_scenes, address)
        side = ("before", "after")[int(rng.integers(2))]
        # The neighbour is one of `listed`; with "none of the others" the last of them is not named.
        listed = others[: MAX_OPTIONS - 1]
        options = [NO_SCENE.format(side=side), *(scene.caption for scene in listed)]
        if NONE_OF_THE_OTHERS_BY_LEVEL[address.level]:
            options[-1] = NONE_OF_THE_OTHERS
        truth = choose_truth(rng, len(options), address)
        order = [others[i] for i in rng.permutation(len(others))]
        if truth == 0:
            place = 0 if side == "before" else len(order)
        else:
            place = order.index(listed[truth - 1]) + (1 if side == "before" else 0)
        order.insert(place, anchor)
        facts = {
            "anchor": anchor.caption,
            "side": side,
            "options": [options[i] for i in rng.permutation(len(options))],
            "wording": int(rng.integers(len(WORDINGS))),
        }
        return compose(order, choose_shot_lengths(order, canvas, address), canvas, address, facts)

    def text(self, facts: Mapping[str, Any]) -> str:
        return WORDINGS[facts["wording"]].format(anchor=facts["anchor"], side=facts["side"])

    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str | None:
        if facts["anchor"] not in order:
            return None
        place = order.index(facts["anchor"]) + (1 if facts["side"] == "after" else -1)
        if not 0 <= place < len(order):
            return NO_SCENE.format(side=facts["side"])
        return or_none(order[place], facts["options"])

    def conclude(self, plan: ScenePlan, answer: str) -> str:
        anchor, side = plan.facts["anchor"], plan.facts["side"]
        if answer == NO_SCENE.format(side=side):
            return f"{anchor[:1].upper()}{anchor[1:]} is {'first' if side == 'before' else 'last'}: {answer}."
        if answer == NONE_OF_THE_OTHERS:
            return f"The scene just {side} {anchor} is not among the answers, so {answer}."
        return f"Just {side} {anchor} is {answer}."
