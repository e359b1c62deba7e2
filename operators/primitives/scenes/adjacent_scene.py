"""Ask which scene is immediately before or after another (R4 of arXiv 2506.06928).

Departs from the paper's code, which listed "there is no such scene" only when it was right. Here it is always an option
and is right as often as any other, and every other option is a scene of the video. From level 3 on the neighbor may be
a scene that is not listed, and then none of the other answers is correct.
"""

from collections.abc import Sequence
from typing import ClassVar

from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import (
    NONE_OF_THE_OTHERS,
    Arrangement,
    PseudoVideo,
    conclude_with,
    or_none,
    with_none,
)
from temporay.operators.primitives.scenes._shots import choose_scenes
from temporay.operators.seeding import choose_one, shuffled

MAX_OPTIONS = 4
NO_SCENE = "there is no scene {side} it"


class AdjacentScene(PseudoVideo):
    """The neighbor of a scene, before or after it."""

    task = "adjacent_scene"
    # Nothing comes before the first scene.
    inherent: ClassVar[Inherent] = {"first_frame": 0.8, "last_frame": 0.8, "two_frames": 0.85, "few_frames": 0.6}
    wordings = (
        'One of the scenes in the video can be described as "{anchor}". What description best fits the scene '
        "immediately {side} it?",
        'Which scene comes directly {side} "{anchor}"?',
        'Look for the scene "{anchor}". What is shown immediately {side} it?',
        'What does the video show right {side} the scene "{anchor}"?',
        'Which scene is the neighbour of "{anchor}" just {side} it?',  # codespell:ignore neighbour
        'Find "{anchor}" in the video. Which scene is next to it, {side} it in time?',
        'What can be seen straight {side} the scene "{anchor}"?',
        'No other scene lies between it and "{anchor}", and it comes {side} that one. Which scene is it?',
    )

    def arrange(self, choices: Choices) -> Arrangement:
        rng = choices.rng
        anchor, *others = choose_scenes(choices)
        side = choose_one(rng, ("before", "after"))
        listed = others[: MAX_OPTIONS - 1]  # the neighbor is one of them, also when the last of them is not named
        options = with_none([NO_SCENE.format(side=side), *(scene.caption for scene in listed)], choices.level)
        truth = choices.choose_truth(range(len(options)))
        order = shuffled(rng, others)
        if truth == 0:
            place = 0 if side == "before" else len(order)
        else:
            place = order.index(listed[truth - 1]) + (1 if side == "before" else 0)
        order.insert(place, anchor)
        return Arrangement(
            order=order, facts={"anchor": anchor.caption, "side": side, "options": shuffled(rng, options)}
        )

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        if facts["anchor"] not in order:
            return None
        place = order.index(facts["anchor"]) + (1 if facts["side"] == "after" else -1)
        if not 0 <= place < len(order):
            return NO_SCENE.format(side=facts["side"])
        return or_none(order[place], facts["options"])

    def conclude(self, facts: Facts, answer: str) -> str:
        anchor, side = facts["anchor"], facts["side"]
        if answer == NO_SCENE.format(side=side):
            return f"{anchor[:1].upper()}{anchor[1:]} is {'first' if side == 'before' else 'last'}: {answer}."
        just = "The scene just" if answer == NONE_OF_THE_OTHERS else "Just"
        return conclude_with(f"{just} {side} {anchor}", answer)
