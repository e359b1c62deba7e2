"""Tier C: leaks planted in small frames are found by the probe that can see them, and only where it is promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from temporay.operators.audit.certificate import audit
from temporay.operators.audit.gate import judge
from temporay.operators.audit.inherent import NO_PROMISE
from temporay.operators.audit.pixels import pixel_attacks
from temporay.operators.audit.thumbnails import NUM_EVEN, SIDE, Thumbnails, thumbnails_of
from temporay.operators.pixels.shapes import COLORS, paint
from temporay.operators.primitives._base import Inherent
from temporay.operators.records import Frames

NUM_ROWS = 150
NUM_FRAMES = 10
NUM_COMPARISONS = 30
CANVAS = 48  # px
OPTIONS = ("accelerating", "decelerating", "moving at a constant speed")
DIRECTIONS = ("left", "right", "up", "down")
Draw = np.random.Generator


def clip(xs: np.ndarray, ys: np.ndarray, background: int = 20, color: str = "red") -> Frames:
    """Draw a circle on a frame with joined edges."""
    frames_THWC = np.full((NUM_FRAMES, CANVAS, CANVAS, 3), background, np.uint8)
    for frame_HWC, x, y in zip(frames_THWC, xs % CANVAS, ys % CANVAS, strict=True):
        for dx in (-CANVAS, 0, CANVAS):
            for dy in (-CANVAS, 0, CANVAS):
                paint(frame_HWC, "circle", COLORS[color], (float(x + dx), float(y + dy)), 5.0)
    return frames_THWC


def speeding(rng: Draw, answer: int, first_speeds: tuple[float, float, float]) -> Frames:
    """Speeds up, slows down or goes on, at first with one of these speeds in px per frame."""
    start = rng.uniform(0, CANVAS, 2)
    steps = first_speeds[answer] + np.array([0.5, -0.5, 0.0])[answer] * np.arange(NUM_FRAMES - 1)
    path = np.concatenate([[0.0], np.cumsum(np.maximum(steps, 0.0))])
    return clip(start[0] + path, np.full(NUM_FRAMES, start[1]))


def fair_speed(rng: Draw, answer: int) -> Frames:
    """Choose the mean speed independently of the answer."""
    mean = float(rng.uniform(2.5, 7.0))
    return speeding(rng, answer, (mean - 2.0, mean + 2.0, mean))


def telling_speed(rng: Draw, answer: int) -> Frames:
    """As in the released SynRL generator: 0.5 and faster, 12 and slower, 7."""
    return speeding(rng, answer, (0.5, 5.0, 2.75))


def telling_brightness(rng: Draw, answer: int) -> Frames:
    frames_THWC = fair_speed(rng, answer)
    return np.maximum(frames_THWC, np.uint8(15 + 25 * answer))


def telling_first_frame(rng: Draw, answer: int) -> Frames:
    """Begin in a place that gives the answer away."""
    frames_THWC = fair_speed(rng, answer)
    frames_THWC[0] = clip(np.full(NUM_FRAMES, 8.0 + 16 * answer), np.full(NUM_FRAMES, 24.0))[0]
    return frames_THWC


def samples(
    show: Callable[[Draw, int], Frames], *, promises: dict[str, bool], num_options: int = 3
) -> tuple[list[dict[str, Any]], dict[str, Thumbnails]]:
    rng = np.random.default_rng(0)
    rows, thumbnails = [], {}
    texts = OPTIONS if num_options == 3 else DIRECTIONS
    for index in range(NUM_ROWS):
        answer = int(rng.integers(num_options))
        options = [texts[i] for i in rng.permutation(num_options)]
        row = {
            "id": f"made_up-{index}",
            "pair_id": f"made_up-{index}",
            "pair_role": "main",
            "task": "made_up",
            "index": index,
            "level": 0,
            "question": "What does the red circle do?",
            "options": options,
            "answer": "ABCD"[options.index(texts[answer])],
            "answer_text": texts[answer],
            "facts_json": "{}",
            "num_frames": NUM_FRAMES,
            "nbytes": 0,
            "duration_ms": 1000.0,
            "fps": 10.0,
            "width": CANVAS,
            "height": CANVAS,
            **promises,
        }
        rows.append(row)
        thumbnails[row["id"]] = thumbnails_of(show(rng, answer), row["id"])
    return rows, thumbnails


ORDER = {"needs_time": True, "order_dependent": True}
TWO: Inherent = {"two_frames": 1.0}


def failed_probes(rows: list[dict[str, Any]], thumbnails: dict[str, Thumbnails], inherent: Inherent) -> set[str]:
    attacks = pixel_attacks(rows, [thumbnails[row["id"]] for row in rows], inherent, only_gates=True)
    return {attack.attack for attack in attacks if not judge(attack, NUM_COMPARISONS).passed}


def test_fair_clips_pass_and_only_their_order_gives_the_answer() -> None:
    rows, thumbnails = samples(fair_speed, promises=ORDER)
    result = audit(rows, thumbnails, {"made_up": {"two_frames": 1.0}})
    assert result["passed"], result["failures"]
    by_name = {attack["attack"]: attack for attack in result["tasks"][0]["attacks"]}
    assert by_name["ordered_frames"]["accuracy"] > by_name["random_frame"]["accuracy"] + 0.1
    assert not by_name["ordered_frames"]["gates"]
    assert result["tasks"][0]["num_stills"] == NUM_ROWS


def test_a_first_speed_that_gives_the_answer_away_is_found() -> None:
    rows, thumbnails = samples(telling_speed, promises=ORDER)
    found = failed_probes(rows, thumbnails, {})
    assert "first_two_frames" in found and not {"random_frame", "first_frame"} & found


def test_two_frames_are_judged_by_the_primitives_promise() -> None:
    """Where two frames may give the answer in 60 %, 90 % are too many; where nothing is promised, nothing is judged."""
    rows, thumbnails = samples(telling_speed, promises=ORDER)
    assert "first_two_frames" in failed_probes(rows, thumbnails, {"two_frames": 0.6})
    assert "first_two_frames" not in failed_probes(rows, thumbnails, {"two_frames": 1.0})


def test_a_frame_that_gives_the_answer_away_is_named() -> None:
    rows, thumbnails = samples(telling_brightness, promises=ORDER)
    result = audit(rows, thumbnails, {"made_up": {**TWO, "first_frame": 1.0, "last_frame": 1.0}})
    (failure,) = [failure for failure in result["failures"] if "random_frame" in failure]
    assert not result["passed"] and failure.startswith("made_up: random_frame is right in ") and "layout" in failure
    failed = {attack["attack"] for attack in result["tasks"][0]["attacks"] if not attack["passed"]}
    assert failed == {"random_frame", "mean_frame", "bag_of_frames"}, "the first frame is not promised to be silent"


def test_a_first_frame_may_give_the_answer_away_only_if_promised() -> None:
    rows, thumbnails = samples(telling_first_frame, promises=ORDER)
    assert "first_frame" in failed_probes(rows, thumbnails, TWO)
    assert "first_frame" not in failed_probes(rows, thumbnails, {**TWO, "one_frame": 1.0})


@pytest.mark.parametrize(
    ("needs_time", "inherent", "gating"),
    [
        (False, {}, set()),
        (True, NO_PROMISE, set()),
        (True, {**NO_PROMISE, "random_frame": 0.0}, {"random_frame"}),
        (
            True,
            {**NO_PROMISE, "random_frame": 0.0, "bag_of_frames": 0.4},
            {"random_frame", "mean_frame", "bag_of_frames"},
        ),
    ],
)
def test_declarations_decide_which_probes_are_judged(needs_time: bool, inherent: Inherent, gating: set[str]) -> None:
    rows, thumbnails = samples(telling_brightness, promises={"needs_time": needs_time, "order_dependent": True})
    attacks = pixel_attacks(rows, [thumbnails[row["id"]] for row in rows], inherent, only_gates=True)
    assert {attack.attack for attack in attacks} == gating
    assert failed_probes(rows, thumbnails, inherent) == gating


def test_a_bag_may_leave_two_answers_but_not_one() -> None:
    """Which of two opposite ways a shape goes is in the order alone; the axis is in the bag."""

    def go(rng: Draw, answer: int) -> Frames:
        start, distance = rng.uniform(0, CANVAS, 2), np.linspace(0, CANVAS / 2, NUM_FRAMES)
        sign = (-1, 1, -1, 1)[answer]
        x, y = (sign * distance, 0 * distance) if answer < 2 else (0 * distance, sign * distance)
        return clip(start[0] + x, start[1] + y)

    rows, thumbnails = samples(go, promises=ORDER, num_options=4)
    attacks = pixel_attacks(
        rows, [thumbnails[row["id"]] for row in rows], {**TWO, "bag_of_frames": 0.625}, only_gates=True
    )
    bag = next(attack for attack in attacks if attack.attack == "bag_of_frames")
    assert all(judge(attack, NUM_COMPARISONS).passed for attack in attacks)
    assert bag.chance == 0.625 and bag.accuracy > 0.33


def test_colors_named_by_options_are_measured() -> None:
    """Texts that never come back, of which the right one names the color that is seen."""
    rng = np.random.default_rng(1)
    names = list(COLORS)[:6]
    rows, thumbnails = samples(fair_speed, promises=ORDER)
    for n, row in enumerate(rows):
        shown, other, third = (names[i] for i in rng.permutation(6)[:3])
        texts = [f"the {shown} one, {n}", f"the {other} one, {n}", f"the {third} one, {n}"]
        row |= {"options": [texts[i] for i in rng.permutation(3)], "answer_text": texts[0], "question": "Which?"}
        row["answer"] = "ABC"[row["options"].index(texts[0])]
        place = rng.uniform(0, CANVAS, 2)
        frames_THWC = clip(np.full(NUM_FRAMES, place[0]), np.full(NUM_FRAMES, place[1]), color=shown)
        thumbnails[row["id"]] = thumbnails_of(frames_THWC, row["id"])
    assert "random_frame_options" in failed_probes(rows, thumbnails, {})


def test_thumbnails_are_the_right_frames() -> None:
    frames_THWC = np.zeros((17, 60, 80, 3), np.uint8) + np.arange(17, dtype=np.uint8)[:, None, None, None] * 10
    thumbnails = thumbnails_of(frames_THWC, "some id")
    assert thumbnails.even_THWC.shape == (NUM_EVEN, SIDE, SIDE, 3)
    assert [int(frame[0, 0, 0]) for frame in thumbnails.even_THWC][:: NUM_EVEN - 1] == [0, 160]
    assert [int(f[0, 0, 0]) for f in (*thumbnails.start_THWC, *thumbnails.end_THWC)] == [0, 10, 150, 160]
    assert int(thumbnails.mean_HWC[0, 0, 0]) == 80
    assert (thumbnails_of(frames_THWC, "some id").random_HWC == thumbnails.random_HWC).all()
    drawn = {int(thumbnails_of(frames_THWC, f"id {n}").random_HWC[0, 0, 0]) for n in range(60)}
    assert len(drawn) > 12, "any frame can be the random one"
    assert thumbnails_of(frames_THWC[:1], "one frame").start_THWC.shape == (2, SIDE, SIDE, 3)
