"""Ask which of the listed scenes, the options, comes first or last (R3 of arXiv 2506.06928).

From level 3 on one of the listed scenes is no option. Where it is the right one, none of the other answers is correct.
"""

from collections.abc import Sequence
from typing import ClassVar

from temporay.operators.primitives._base import Choices, Facts, Inherent
from temporay.operators.primitives.scenes._question import (
    Arrangement,
    PseudoVideo,
    conclude_with,
    or_none,
    quoted,
    with_none,
)
from temporay.operators.primitives.scenes._shots import choose_scenes, in_places
from temporay.operators.seeding import choose_one, shuffled

MAX_LISTED_BY_LEVEL = (4, 4, 4, 4, 5)


class FirstLast(PseudoVideo):
    """The first or the last of listed scenes."""

    task = "first_last"
    # An end of the clip is what is asked for.
    inherent: ClassVar[Inherent] = {"first_frame": 0.9, "last_frame": 0.92, "two_frames": 1.0}
    wordings = (
        "The following scenes appear in the video, not necessarily in this order: {listed}. Of those scenes, which "
        "occurs {end}?",
        "Which of these scenes is shown {end}: {listed}?",
        "The video has these scenes, in some order: {listed}. Which one comes {end}?",
        "Among {listed}, which scene appears {end} in the video?",
        "Consider the scenes {listed}. Which of them does the video show {end}?",
        "Of {listed}, which one is on the screen {end}?",
        "Watch for these scenes: {listed}. Which is the {end} of them to appear?",
        "If {listed} are put in the order in which they are shown, which comes {end}?",
    )

    def arrange(self, choices: Choices) -> Arrangement:
        rng, picked = choices.rng, choose_scenes(choices)
        options = with_none([scene.caption for scene in picked[: MAX_LISTED_BY_LEVEL[choices.level]]], choices.level)
        truth = choices.choose_truth(range(len(options)))
        end = choose_one(rng, ("first", "last"))
        places = [int(i) for i in rng.permutation(len(picked))]
        extreme = (min if end == "first" else max)(range(len(options)), key=lambda i: places[i])
        places[truth], places[extreme] = places[extreme], places[truth]
        facts = self.worded({"end": end, "listed": [], "options": options}, choices)
        facts["listed"] = [scene.caption for scene in shuffled(rng, picked[: len(options)])]
        return Arrangement(order=in_places(picked, places), facts=facts)

    def text(self, facts: Facts) -> str:
        return super().text({**facts, "listed": quoted(facts["listed"])})

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        listed = [caption for caption in order if caption in facts["listed"]]
        if len(listed) < len(facts["listed"]):
            return None
        return or_none(listed[0 if facts["end"] == "first" else -1], facts["options"])

    def conclude(self, facts: Facts, answer: str) -> str:
        return conclude_with(f"The {facts['end']}", answer)
