"""Pictures recognized in jittered, coded frames, and the questions whose answers follow from them."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import cv2
import numpy as np
import pytest
from temporay.operators.canvas import Canvas, Jitter
from temporay.operators.components import load
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.render import fit
from temporay.operators.primitives._base import NOT_AN_OPTION
from temporay.operators.primitives.scenes._question import NONE_OF_THE_OTHERS, PseudoVideo
from temporay.operators.primitives.scenes._recognize import RecognizedFrame, captions_seen, recognize, shots_seen
from temporay.operators.primitives.scenes._shots import choose_affine
from temporay.operators.primitives.scenes.recurring_scenes import RecurringScenes
from temporay.operators.primitives.scenes.scene_order import SceneOrder
from temporay.operators.primitives.scenes.story_match import StoryMatch
from temporay.operators.records import Address, Frames, Scene, ScenePlan
from temporay.operators.sampling import EVERY_FRAME

WIDTH, HEIGHT = 160, 120
CANVAS = Canvas(
    width=WIDTH,
    height=HEIGHT,
    fps=8.0,
    num_frames=(8, 8),
    num_scenes=(3, 5),
    frames_per_scene=(1, 4),
    jitter="paper",
    sampling=EVERY_FRAME,
)
CAPTIONS = ("cats on a sofa", "two red buses", "snowy mountains", "a plate of food", "people playing tennis", "boats")
SCENES = tuple(
    Scene(image_id=i, path="", captions=(caption,), license_id=None, source_url="")
    for i, caption in enumerate(CAPTIONS)
)


def picture(seed: int) -> Frames:
    """Make soft blobs of many colors, like a photograph out of focus."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return fit(cv2.resize(noise, (120, 90), interpolation=cv2.INTER_CUBIC), WIDTH, HEIGHT)


PICTURES = {caption: picture(i) for i, caption in enumerate(CAPTIONS)}


def show(captions: list[str], jitter: Jitter = "paper", pictures: dict[str, Frames] = PICTURES) -> Frames:
    """Return one decoded frame per caption, each under its own warp."""
    warps_T23 = choose_affine(np.random.default_rng(5), jitter, len(captions), WIDTH, HEIGHT)
    frames = [
        cv2.warpAffine(pictures[caption], warp, (WIDTH, HEIGHT))
        for caption, warp in zip(captions, warps_T23, strict=True)
    ]
    return decode(encode(np.stack(frames), 8.0, Codec(crf=20)).data)


def make_plan(task: str, index: int, level: int, *, twin: bool = False) -> ScenePlan:
    primitive: PseudoVideo = load("temporay.operators.primitives", task)()
    address = Address(task=task, split="train", index=index, seed=2, level=level, twin=twin)
    return primitive.plan(SCENES, CANVAS, address)


@pytest.mark.parametrize("jitter", ["paper", "smooth", "none"])
def test_every_frame_is_recognized_alone(jitter: Jitter) -> None:
    shown = [CAPTIONS[i] for i in np.random.default_rng(1).integers(0, 6, 40)]
    seen = recognize(show(shown, jitter), PICTURES)
    assert [one.caption for one in seen] == shown
    assert all(one.sure for one in seen)


def test_an_unknown_picture_leaves_a_doubt() -> None:
    known = {caption: PICTURES[caption] for caption in CAPTIONS[:2]}
    frames = show([CAPTIONS[0], CAPTIONS[0], CAPTIONS[4], CAPTIONS[1], CAPTIONS[1]])
    assert [one.sure for one in recognize(frames, known)] == [True, True, False, True, True]
    alone = recognize(frames[2:3], {CAPTIONS[0]: PICTURES[CAPTIONS[0]]})
    assert not alone[0].sure


def test_equal_pictures_leave_a_doubt() -> None:
    alike = {"one": PICTURES[CAPTIONS[0]], "other": PICTURES[CAPTIONS[0]]}
    assert not recognize(show(["one"], pictures=alike), alike)[0].sure


def test_a_doubtful_frame_matters_except_between_its_own_scenes() -> None:
    def frame(caption: str, runner_up: str = "b", *, sure: bool = True) -> RecognizedFrame:
        return RecognizedFrame(caption=caption, runner_up=runner_up, sure=sure)

    a, b, c = frame("a"), frame("b", "a"), frame("c", "a")
    assert shots_seen([a, a, frame("a", sure=False), b, b]) == [("a", 0, 2), ("b", 3, 5)]
    assert shots_seen([a, frame("c", sure=False), b]) is None
    assert shots_seen([frame("a", sure=False)]) is None
    assert shots_seen([a, c, a]) == [("a", 0, 1), ("c", 1, 2), ("a", 2, 3)]


def test_an_order_that_is_no_option_is_noticed() -> None:
    options = ("Scene 1: cats on a sofa. Scene 2: two red buses.", "Scene 1: boats. Scene 2: two red buses.")

    def witness(captions: list[str]) -> Witness:
        return Witness(frames_THWC=show(captions), fps=8.0, question="", options=options, facts={}, images=PICTURES)

    assert captions_seen(witness([CAPTIONS[0]] * 2 + [CAPTIONS[1]] * 3)) == [CAPTIONS[0], CAPTIONS[1]]
    assert SceneOrder().recover(witness([CAPTIONS[0], CAPTIONS[1]])) == 0
    assert SceneOrder().recover(witness([CAPTIONS[1], CAPTIONS[0]])) == NOT_AN_OPTION


@pytest.mark.parametrize("level", [3, 4])
def test_hard_permutations_are_all_equally_far_apart(level: int) -> None:
    for index in range(60):
        options = [option.split("Scene ") for option in make_plan("scene_order", index, level).facts["options"]]
        apart = [sum(a != b for a, b in zip(one, other, strict=True)) for one, other in combinations(options, 2)]
        assert apart == [3, 3, 3]


def test_every_story_differs_once_from_two_and_twice_from_one() -> None:
    kinds: Counter[bool] = Counter()
    for index in range(80):
        plan = make_plan("story_match", index, 2)
        stories = plan.facts["stories"]
        by_scenes = Counter(frozenset(story) for story in stories)
        assert sorted(by_scenes.values()) == [2, 2], "which scenes appear must leave two stories"
        assert len({tuple(story) for story in stories}) == 4
        kinds[len({len(story) for story in stories}) == 2] += 1
    assert min(kinds.values()) > 15, "both truncation and replacement are drawn"
    truths = Counter(StoryMatch().ask(make_plan("story_match", index, 2)).answer_index for index in range(200))
    assert min(truths[i] for i in range(4)) > 28


def test_frames_of_a_scene_do_not_tell_how_often_it_comes() -> None:
    for index in range(60):
        plan, twin = (make_plan("recurring_scenes", index, 3, twin=is_twin) for is_twin in (False, True))
        totals = [Counter[int](), Counter[int]()]
        for total, one in zip(totals, (plan, twin), strict=True):
            for shot in one.shots:
                total[shot.scene.image_id] += shot.end_frame - shot.start_frame
        assert totals[0] == totals[1]
        assert RecurringScenes().ask(plan).answer_index != RecurringScenes().ask(twin).answer_index


@pytest.mark.parametrize("task", ["first_last", "adjacent_scene", "scene_at"])
def test_none_of_the_others_is_right_at_chance_from_level_three_on(task: str) -> None:
    primitive: PseudoVideo = load("temporay.operators.primitives", task)()
    right, chance = 0, 0.0
    for index in range(300):
        question = primitive.ask(make_plan(task, index, 3))
        assert question.options.count(NONE_OF_THE_OTHERS) == 1
        right += question.options[question.answer_index] == NONE_OF_THE_OTHERS
        chance += question.chance
        assert NONE_OF_THE_OTHERS not in primitive.ask(make_plan(task, index, 2)).options
    assert abs(right - chance) < 4 * np.sqrt(chance * 0.75)
