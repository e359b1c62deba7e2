"""Ask how many different scenes there are (A1 of arXiv 2506.06928: three numbers as options).

The clip's length is chosen before the number of scenes, and the same number of captions is compared whatever is shown.
So neither the length nor a rejection tells the count.
"""

from collections.abc import Sequence

from numpy.random import Generator
from temporay.operators.canvas import Canvas
from temporay.operators.primitives._base import Facts, choose_truth
from temporay.operators.primitives.scenes._question import Arrangement, PseudoVideo
from temporay.operators.primitives.scenes._shots import pick_scenes, scene_limits, split_length
from temporay.operators.records import Address, Scene

MAX_OPTIONS = 3


class SceneCount(PseudoVideo):
    """The number of different scenes."""

    task = "scene_count"
    answer_kind = "number"
    order_dependent = False
    twin = "restaged"
    wordings = (
        "How many different scenes appear in the video?",
        "What is the number of scenes in the video?",
        "Count the scenes of the video. How many are there?",
        "The video is made of how many different scenes?",
        "How many scenes does the video have?",
        "From start to end, how many different scenes are shown?",
        "Give the number of different scenes that can be seen in the video.",
        "The video goes from scene to scene. How many are there in total?",
    )

    def arrange(self, rng: Generator, scenes: Sequence[Scene], canvas: Canvas, address: Address) -> Arrangement:
        _, most = scene_limits(canvas, address.level, minimum=2)
        counts = [1 + int(i) for i in rng.choice(most, min(MAX_OPTIONS, most), replace=False)]
        truth = counts[choose_truth(rng, len(counts), address)]
        order = pick_scenes(scenes, most, address)[:truth]
        lengths = split_length(truth, most, canvas, address)
        return Arrangement(order=order, facts={"options": [str(n) for n in counts]}, lengths=lengths)

    def answer(self, order: Sequence[str], facts: Facts) -> str:
        return str(len(set(order)))

    def conclude(self, facts: Facts, answer: str) -> str:
        return f"The number of scenes is {answer}."
