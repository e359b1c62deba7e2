"""Ask whether one scene comes before or after another (R2 of arXiv 2506.06928).

Which of the two scenes the question names first is chosen before the order in which they are shown.
"""

from collections.abc import Sequence
from typing import ClassVar

from numpy.random import Generator
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Facts, Inherent, choose_truth
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import choose_scenes, in_places, shown
from temporay.operators.records import Address, Event, Question, Scene, ScenePlan


class BeforeAfter(PseudoVideo):
    """The order of two scenes."""

    task = "before_after"
    # Of two scenes, the first one seen is before the other.
    inherent: ClassVar[Inherent] = {"first_frame": 0.93, "last_frame": 0.95, "two_frames": 1.0}
    wordings = (
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

    def arrange(self, rng: Generator, scenes: Sequence[Scene], canvas: Canvas, address: Address) -> Arrangement:
        options = ["before", "after"] if rng.integers(2) else ["after", "before"]
        truth = options[choose_truth(rng, 2, address)]
        picked = choose_scenes(rng, scenes, canvas, address)
        places = [int(i) for i in rng.permutation(len(picked))]
        if (places[0] < places[1]) != (truth == "before"):
            places[0], places[1] = places[1], places[0]
        facts = {"asked": picked[0].caption, "anchor": picked[1].caption, "options": options}
        return Arrangement(order=in_places(picked, places), facts=facts)

    def answer(self, order: Sequence[str], facts: Facts) -> str | None:
        if not {facts["asked"], facts["anchor"]} <= set(order):
            return None
        return "before" if order.index(facts["asked"]) < order.index(facts["anchor"]) else "after"

    def told(self, plan: ScenePlan, question: Question) -> list[Event]:
        return [event for event in shown(plan) if event.subject in (plan.facts["asked"], plan.facts["anchor"])]

    def conclude(self, facts: Facts, answer: str) -> str:
        return f"It is {answer}."
