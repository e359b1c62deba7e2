"""Ask how often a scene comes, which comes again, or what lies between (proposed in arXiv 2506.06928).

Every scene has its number of frames, whatever the number of its shots. So neither a single frame nor the frames without
their order tell what comes again. The first scene and the last one are chosen before the truth.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import (
    MAX_SHOTS_PER_SCENE,
    choose_scenes,
    divide_lengths,
    shuffled_shots,
)
from temporay.operators.seeding import choose_one

ALL_MODES = ("count", "between", "which")
MODES_BY_LEVEL = (("count",), ("count", "between"), ALL_MODES, ALL_MODES, ALL_MODES)
MIN_SCENES = 3
FEWEST_BY_LEVEL = (3, 4, 4, 5, 6)  # scenes
MIN_SCENES_OF_WHICH = 4  # with fewer, the first or the last scene would tell
MAX_OPTIONS = 4
SPARE_SHOTS = 4  # shots beyond one per scene when they are counted: room for any count, first and last scene
GAPS = ("first and second", "second and third")


class RecurringScenes(PseudoVideo):
    """Scenes that come again: how often, which one, and what lies between."""

    task = "recurring_scenes"
    # What is seen at an end of the clip is not between two appearances, and what is seen in the middle often is.
    inherent: ClassVar[Inherent] = {
        "between one_frame": (0.33, 0.42, 0.38, 0.33, 0.33),
        "between two_frames": (0.33, 0.5, 0.45, 0.38, 0.38),
        "between few_frames": (0.33, 0.5, 0.45, 0.4, 0.38),
    }
    answer_kind = "number"
    scenes_recur = True
    wordings_by_mode: ClassVar = {
        "count": (
            'How many separate times does the scene "{anchor}" appear?',
            'How often does the video come to the scene "{anchor}"?',
            'Count the appearances of "{anchor}". How many are there?',
            'In how many separate stretches of the video is "{anchor}" shown?',
            'The scene "{anchor}" may come, go and come again. How many times does it come?',
            'How many times does the video cut to, or begin with, "{anchor}"?',
            'What is the number of appearances of the scene "{anchor}"?',
            'Watch for "{anchor}". How many times is it on the screen, with other scenes between?',
        ),
        "which": (
            "One scene comes again after another scene was shown. Which one?",
            "Which scene appears twice?",
            "All scenes but one are shown once. Which one comes back?",
            "To which scene does the video return?",
            "Which of these scenes is the one that recurs?",
            "Which scene is shown, leaves, and is shown again?",
            "The video shows one of its scenes a second time. Which is it?",
            "Which scene has two separate appearances?",
        ),
        "between": (
            'What is shown between the {gap} appearance of "{anchor}"?',
            'The scene "{anchor}" comes several times. Which scene lies between its {gap} appearance?',
            'Between the {gap} time that "{anchor}" is on the screen, what does the video show?',
            'Which scene separates the {gap} appearance of the scene "{anchor}"?',
            'Look at the {gap} appearance of "{anchor}". Which scene comes between them?',
            'What interrupts "{anchor}" between its {gap} appearance?',
            'From "{anchor}" the video goes elsewhere and back. What does it show between the {gap} appearance?',
            'Which of these scenes is seen after one and before the other of the {gap} appearance of "{anchor}"?',
        ),
    }

    def arrange(self, choices: Choices) -> Arrangement:
        rng = choices.rng
        picked = choose_scenes(choices, minimum=MIN_SCENES, fewest_by_level=FEWEST_BY_LEVEL)
        modes = [m for m in MODES_BY_LEVEL[choices.level] if m != "which" or len(picked) >= MIN_SCENES_OF_WHICH]
        mode = choose_one(rng, modes)
        captions = [scene.caption for scene in picked]
        facts = self.worded({"mode": mode}, choices)
        facts["anchor"] = captions[0] if mode != "which" else ""
        if mode == "count":
            counts = [1 + int(i) for i in rng.permutation(MAX_SHOTS_PER_SCENE)]
            facts["options"] = [str(n) for n in counts]
            order = _count_order(rng, len(picked), choices.choose_truth(counts))
        elif mode == "which":
            facts["options"] = captions[:MAX_OPTIONS]
            order = _which_order(rng, len(picked), choices.choose_truth(range(MAX_OPTIONS)))
        else:
            facts["gap"] = int(rng.integers(len(GAPS)))
            facts["options"] = captions[1 : 1 + MAX_OPTIONS]
            truth = 1 + choices.choose_truth(range(len(facts["options"])))
            order = _between_order(rng, len(picked), facts["gap"], truth)
        shown = [picked[i] for i in order]
        return Arrangement(order=shown, facts=facts, lengths=divide_lengths(shown, choices))

    def text(self, facts: Facts) -> str:
        return super().text({**facts, "gap": GAPS[facts.get("gap", 0)]})

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        if facts["mode"] == "count":
            return str(list(order).count(facts["anchor"]))
        if facts["mode"] == "which":
            again = {caption for caption in order if list(order).count(caption) > 1}
            return again.pop() if len(again) == 1 else None
        places = [place for place, caption in enumerate(order) if caption == facts["anchor"]]
        if len(places) != len(GAPS) + 1:
            return None
        between = order[places[facts["gap"]] + 1 : places[facts["gap"] + 1]]
        return between[0] if len(between) == 1 else None

    def conclude(self, facts: Facts, answer: str) -> str:
        if facts["mode"] == "count":
            return f"The number of its appearances is {answer}."
        return f"What {'comes again' if facts['mode'] == 'which' else 'lies between'} is {answer}."


def _count_order(rng: Generator, num_scenes: int, count: int) -> list[int]:
    """Order scene 0 ``count`` times and the others at least once each. The total is the same for every count."""
    first, last = (int(i) for i in rng.choice(num_scenes, 2, replace=False))
    while True:
        shots = [0] * count + list(range(1, num_scenes))
        shots += [1 + int(i) for i in rng.integers(num_scenes - 1, size=num_scenes + SPARE_SHOTS - len(shots))]
        order = shuffled_shots(rng, shots, first, last)
        if order is not None and max(np.bincount(order)) <= MAX_SHOTS_PER_SCENE:
            return order


def _which_order(rng: Generator, num_scenes: int, again: int) -> list[int]:
    first, last = (int(i) for i in rng.choice(num_scenes, 2, replace=False))
    while True:
        order = shuffled_shots(rng, [*range(num_scenes), again], first, last)
        if order is not None:
            return order


def _between_order(rng: Generator, num_scenes: int, gap: int, truth: int) -> list[int]:
    """Order scene 0 three times with one scene in each gap, ``truth`` in the one asked about, and the rest outside."""
    others = [1 + int(i) for i in rng.permutation(num_scenes - 1)]
    at = others.index(truth)
    others[at], others[gap] = others[gap], others[at]
    outside = others[len(GAPS) :]
    before = int(rng.integers(len(outside) + 1))
    return [*outside[:before], 0, others[0], 0, others[1], 0, *outside[before:]]
