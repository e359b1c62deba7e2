"""Pictures recognized in jittered, coded frames, and the questions whose answers follow from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
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
from temporay.operators.primitives.scenes._shots import alike, choose_affine
from temporay.operators.primitives.scenes.scene_order import SceneOrder
from temporay.operators.primitives.scenes.story_match import StoryMatch
from temporay.operators.records import Address, Frames, Scene, ScenePlan
from temporay.operators.sampling import EVERY_FRAME, FrameSampling

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


def make_plan(task: str, index: int, level: int, *, twin: bool = False, num_scenes: int | None = None) -> ScenePlan:
    primitive: PseudoVideo = load("temporay.operators.primitives", task)()
    address = Address(task=task, split="train", index=index, seed=2, level=level, twin=twin)
    canvas = CANVAS if num_scenes is None else replace(CANVAS, num_scenes=(num_scenes, num_scenes))
    return primitive.plan(SCENES, canvas, address)


@pytest.mark.parametrize("jitter", ["paper", "smooth", "none"])
def test_every_frame_is_recognized_alone(jitter: Jitter) -> None:
    shown = [CAPTIONS[i] for i in np.random.default_rng(1).integers(0, 6, 40)]
    seen = recognize(show(shown, jitter), PICTURES)
    assert [one.caption for one in seen] == shown
    assert all(one.sure for one in seen)


@pytest.mark.parametrize("jitter", ["paper", "smooth", "none"])
def test_jitter_does_not_tell_how_long_a_scene_lasts(jitter: Jitter) -> None:
    """Two frames would tell it, and with it how many scenes there are."""
    short, long = (choose_affine(np.random.default_rng(5), jitter, length, WIDTH, HEIGHT) for length in (5, 30))
    np.testing.assert_array_equal(short, long[:5])


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


@pytest.mark.parametrize("level", [2, 3, 4])
def test_a_scene_that_is_seen_leaves_two_of_four_orders(level: int) -> None:
    """The options are two exchanges, done or not; the ends tell of one at most, and of none where there is room."""
    for index in range(60):
        plan = make_plan("scene_order", index, level, num_scenes=4 + index % 3)
        orders = [option.split("Scene ")[1:] for option in plan.facts["options"]]
        apart = [sum(a != b for a, b in zip(one, other, strict=True)) for one, other in combinations(orders, 2)]
        assert sorted(apart) == [2, 2, 2, 2, 4, 4]
        at_place = [Counter(order[place] for order in orders) for place in range(4 + index % 3)]
        assert all(set(seen.values()) <= {2, 4} for seen in at_place)
        assert len({(order[0], order[-1]) for order in orders}) == (1 if index % 3 == 2 else 2)


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


@pytest.mark.parametrize("num_scenes", [3, 4, 5])
def test_no_scene_tells_both_changes_of_a_story(num_scenes: int) -> None:
    for index in range(40):
        stories = make_plan("story_match", index, index % 5, num_scenes=num_scenes).facts["stories"]
        for place in (0, -1):
            assert set(Counter(story[place] for story in stories).values()) <= ({2, 4} if num_scenes < 5 else {4})
        ends = Counter((story[0], story[-1]) for story in stories)
        assert min(ends.values()) >= 2, "the first and the last frame leave two stories"


@pytest.mark.parametrize(("rate", "shortest_s"), [(2.0, 0.5), (4.0, 0.25)])
@pytest.mark.parametrize("task", ["scene_order", "scene_count", "recurring_scenes", "story_match"])
def test_every_shot_is_seen_at_the_rate_at_which_a_model_looks(task: str, rate: float, shortest_s: float) -> None:
    primitive: PseudoVideo = load("temporay.operators.primitives", task)()
    canvas = replace(CANVAS, sampling=FrameSampling(fps=rate), num_scenes=(2, 5))
    for index in range(20):
        address = Address(task=task, split="train", index=index, seed=2, level=index % 5)
        plan = primitive.plan(SCENES, canvas, address)
        for frames in canvas.sampling.choices(plan.num_frames, plan.fps):
            assert primitive.survives(plan, frames)
            unseen = [frame for frame in frames if frame >= plan.shots[0].end_frame]
            assert len(plan.shots) == 1 or not primitive.survives(plan, unseen)
        assert min(event.end_ms - event.start_ms for event in plan.events) >= 1000 * shortest_s - 1e-6


@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        ("a kitchen with a white stove", "an oven below a row of cupboards", True),
        ("two kittens asleep on a chair", "a cat looks out of the window", True),
        ("a man rides a wave", "surfers wait in the sea", True),
        ("a red bus in a street", "a man walks along a street", False),
        ("a plate of food", "a plate of food", True),
    ],
)
def test_captions_of_the_same_thing_are_alike(one: str, other: str, are_alike: bool) -> None:
    assert alike(one, other) is are_alike


@pytest.mark.parametrize("task", ["recurring_scenes", "scene_count"])
def test_frames_of_a_scene_do_not_tell_how_often_it_comes(task: str) -> None:
    for index in range(60):
        plan, twin = (make_plan(task, index, 3, twin=is_twin) for is_twin in (False, True))
        if plan.facts["mode"] == "scenes":
            continue  # the number of different scenes is what their frames tell
        totals = [Counter[int](), Counter[int]()]
        for total, one in zip(totals, (plan, twin), strict=True):
            for shot in one.shots:
                total[shot.scene.image_id] += shot.end_frame - shot.start_frame
        assert totals[0] == totals[1]
        primitive: PseudoVideo = load("temporay.operators.primitives", task)()
        assert primitive.ask(plan).answer_index != primitive.ask(twin).answer_index


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
