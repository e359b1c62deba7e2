"""How many different scenes are there? (A1 of arXiv 2506.06928: three numbers as options.)

The clip's length is drawn before the number of scenes, and so many scenes are compared for alikeness whatever their
number, so neither length nor rejection says anything about the count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import TwinKind, choose_truth
from temporay.operators.primitives.scenes._question import PseudoVideo
from temporay.operators.primitives.scenes._shots import compose, pick_scenes, scene_limits, split_length
from temporay.operators.records import Address, AnswerKind, Scene, ScenePlan
from temporay.operators.seeding import rng_at

MAX_OPTIONS = 3
WORDINGS = (
    "How many different scenes appear in the video?",
    "What is the number of scenes in the video?",
    "Count the scenes of the video. How many are there?",
    "The video is made of how many different scenes?",
    "How many scenes does the video have?",
    "From start to end, how many different scenes are shown?",
    "Give the number of different scenes that can be seen in the video.",
    "The video goes from scene to scene. How many are there in total?",
)


class SceneCount(PseudoVideo):
    task: ClassVar[str] = "scene_count"
    answer_kind: ClassVar[AnswerKind] = "number"
    order_dependent: ClassVar[bool] = False
    twin: ClassVar[TwinKind] = "restaged"

    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        rng = rng_at(*address.parts(), "plan")
        _, most = scene_limits(canvas, address.level, minimum=2)
        counts = [1 + int(i) for i in rng.choice(most, min(MAX_OPTIONS, most), replace=False)]
        truth = counts[choose_truth(rng, len(counts), address)]
        order = pick_scenes(scenes, most, address)[:truth]
        facts = {"options": [str(n) for n in counts], "wording": int(rng.integers(len(WORDINGS)))}
        return compose(order, split_length(truth, most, canvas, address), canvas, address, facts)

    def text(self, facts: Mapping[str, Any]) -> str:
        return WORDINGS[facts["wording"]]

    def answer(self, order: Sequence[str], facts: Mapping[str, Any]) -> str:
        return str(len(set(order)))

    def conclude(self, plan: ScenePlan, answer: str) -> str:
        return f"The number of scenes is {answer}."
