"""Ask whether one scene comes before or after another (R2 of arXiv 2506.06928).

Which of the two scenes the question names first is chosen before the order in which they are shown. At levels 2 and 3
every second question compares the scene with several others: how many of them come before it. At level 4 all do.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo, quoted
from temporay.operators.primitives.scenes._shots import choose_scenes
from temporay.operators.seeding import shuffled

NUM_ANCHORS_BY_LEVEL = (1, 1, 2, 3, 4)  # scenes that the asked one is compared with, as far as so many are shown
ALWAYS_FROM_LEVEL = 4  # below it every second question is about one anchor
MODES = ("one", "two", "three", "four")  # by the number of anchors
PAST = ("before all of them", "after just one of them", "after just two of them", "after just three of them")
PAST_ALL = "after all of them"
OF_TWO = (
    'In the given video, does the scene that can be captioned as "{asked}" happen before or after the scene that '
    'can be captioned as "{anchor}"?',
    'Is "{asked}" shown before or after "{anchor}"?',
    'Two of the scenes are "{asked}" and "{anchor}". Does the first-named one come before or after the other?',
    'Relative to the scene "{anchor}", when does the scene "{asked}" appear?',
    'Does "{asked}" come earlier ("before") or later ("after") than "{anchor}"?',
    'When is the scene "{asked}" on the screen: before or after the scene "{anchor}"?',
    'Look for "{asked}" and for "{anchor}". Is the former before or after the latter?',
    'With respect to "{anchor}", at what point does the video show "{asked}"?',
)
OF_SEVERAL = (
    'Compare "{asked}" with these scenes of the video, given in any order: {anchors}. When is it shown?',
    'Among the scenes are {anchors}, in some order. When does "{asked}" come, compared with them?',
    'Is "{asked}" shown before or after each of these scenes: {anchors}?',
    'Relative to the scenes {anchors}, when does the scene "{asked}" appear?',
    'Watch for {anchors}, which may come in any order. When is "{asked}" on the screen?',
    'Is "{asked}" shown after none, some or all of these scenes: {anchors}?',
    'Look for "{asked}". Before or after how many of these scenes does it come: {anchors}?',
    'With respect to {anchors}, at what point does the video show "{asked}"?',
)


class BeforeAfter(PseudoVideo):
    """The order of two scenes, or the place of one scene among several."""

    task = "before_after"
    wordings_by_mode: ClassVar = {MODES[0]: OF_TWO, **dict.fromkeys(MODES[1:], OF_SEVERAL)}
    # Of two scenes, the first one seen is before the other, and a cut in the middle may show both. Among several, a
    # scene at an end of the clip is right if it is the asked one, and else leaves one place less. Two moments do so
    # twice. What is shown in the middle of the clip is likely to come after some of the others.
    inherent: ClassVar[Inherent] = {
        "one first_frame": 0.93,
        "one last_frame": 0.95,
        "one two_frames": 1.0,
        "one few_frames": 0.58,
        **{
            f"{mode} {view}": 2 / compared
            for compared, mode in enumerate(MODES[1:], start=3)
            for view in ("first_frame", "last_frame", "first_two_frames", "last_two_frames")
        },
        **{f"{mode} two_frames": 3 / compared for compared, mode in enumerate(MODES[1:], start=3)},
        **{f"{mode} few_frames": 1.8 / compared for compared, mode in enumerate(MODES[1:], start=3)},
    }

    def arrange(self, choices: Choices) -> Arrangement:
        rng, (asked, *others) = choices.rng, choose_scenes(choices)
        is_simple = rng.integers(2) and choices.level < ALWAYS_FROM_LEVEL
        num_anchors = 1 if is_simple else min(NUM_ANCHORS_BY_LEVEL[choices.level], len(others))
        anchors, others = others[:num_anchors], others[num_anchors:]
        options = shuffled(rng, options_of_anchors(num_anchors))
        truth = choices.choose_truth(options)
        ranked = shuffled(rng, anchors)
        ranked.insert(options_of_anchors(num_anchors).index(truth), asked)
        places = np.sort(rng.permutation(len(ranked) + len(others))[: len(ranked)])
        order = shuffled(rng, others)
        for place, scene in zip(places.tolist(), ranked, strict=True):
            order.insert(place, scene)
        facts = {
            "mode": MODES[num_anchors - 1],
            "asked": asked.caption,
            "listed": [asked.caption, *(scene.caption for scene in anchors)],
            "options": options,
        }
        return Arrangement(order=order, facts=facts)

    def text(self, facts: Facts) -> str:
        anchors = facts["listed"][1:]
        return super().text({**facts, "anchor": anchors[0], "anchors": quoted(anchors)})

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        if not set(facts["listed"]) <= set(order):
            return None
        rank = sorted(facts["listed"], key=order.index).index(facts["asked"])
        return options_of_anchors(len(facts["listed"]) - 1)[rank]

    def conclude(self, facts: Facts, answer: str) -> str:
        return f"It is {answer}."


def options_of_anchors(num_anchors: int) -> tuple[str, ...]:
    """Return when a scene can be shown, compared with so many others, from before all of them to after all of them."""
    return ("before", "after") if num_anchors == 1 else (*PAST[:num_anchors], PAST_ALL)
