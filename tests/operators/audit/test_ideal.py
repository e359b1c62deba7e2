"""The ideal audit: each kind of planted leak is found and named, an honest question passes, noise cannot certify."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
from temporay.operators.audit.game_views import game_credits
from temporay.operators.audit.ideal import PlannedSample, audit_ideal
from temporay.operators.audit.ideal_states import steps_between, watch
from temporay.operators.audit.inherent import limit_of
from temporay.operators.dataset.ideal_table import tables, text
from temporay.operators.dataset.rows import make_sample, to_row
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives.motion.motion_direction import MotionDirection
from temporay.operators.primitives.states._play import State
from temporay.operators.primitives.states.card_stack import CardStack
from temporay.operators.primitives.states.shell_game import ShellGame
from temporay.operators.records import Address, Backdrop, Question, ScenePlan, Track

from tests.operators.primitives.planning import SCENES, make_primitive
from tests.operators.samples import CANVAS

NUM_SAMPLES, NUM_FRAMES = 200, 24
BLINKERS, COUNTS = ("the red circle", "the blue square"), ("1", "2", "3")
Draw = np.random.Generator
Drawn = tuple[list[Track], str]  # and the answer


def track(name: str, xy_T2: np.ndarray, hidden: int | None = None, radius_px: float = 5.0) -> Track:
    color, shape = name.removeprefix("the ").split()
    visible_T = np.ones(len(xy_T2), np.bool_)
    visible_T[[] if hidden is None else [hidden, hidden + 1]] = False
    return Track(
        name=f"{color} {shape}",
        shape=shape,
        color=COLORS[color],
        radius_px=radius_px,
        xy_T2=xy_T2,
        visible_T=visible_T,
        wraps=True,
    )


def honest(rng: Draw) -> Drawn:
    """Two shapes blink once each. Which blinks first is seen in the order of frames alone."""
    times = np.sort(rng.choice(np.arange(3, NUM_FRAMES - 5, 3), 2, replace=False))
    order = rng.permutation(2)
    places = rng.uniform(8, 88, (2, 2))
    tracks = [
        track(BLINKERS[i], np.tile(places[i], (NUM_FRAMES, 1)), int(time)) for i, time in zip(order, times, strict=True)
    ]
    return [tracks[i] for i in np.argsort(order)], BLINKERS[order[0]]


def telling_first_frame(rng: Draw) -> Drawn:
    """As ``honest``, but the one that blinks first is larger."""
    tracks, answer = honest(rng)
    return [replace(t, radius_px=6.0 if f"the {t.name}" == answer else 5.0) for t in tracks], answer


def laps(rng: Draw, num_frames: int, speeds: np.ndarray, count: int) -> Drawn:
    """Go round the joined frame: as many laps as the answer says, from anywhere."""
    way = np.concatenate([[0.0], np.cumsum(speeds)])
    x = rng.uniform(0, 96) + 96 * (count - 1 + rng.uniform(0.3, 0.7)) * way / way[-1]
    return [track("the red circle", np.stack([x % 96, np.full(num_frames, rng.uniform(8, 88))], axis=1))], str(count)


def telling_mean_speed(rng: Draw) -> Drawn:
    """Count laps at a speed that varies within the clip, where the clip is always as long."""
    return laps(rng, NUM_FRAMES, rng.uniform(0.2, 1.0, NUM_FRAMES - 1), int(rng.integers(1, 4)))


def telling_clip_length(rng: Draw) -> Drawn:
    count = int(rng.integers(1, 4))
    return laps(rng, 16 * count, rng.uniform(0.2, 1.0, 16 * count - 1), count)


def noise(rng: Draw) -> Drawn:
    tracks, _ = honest(rng)
    return tracks, BLINKERS[int(rng.integers(2))]


def planned(draw: Callable[[Draw], Drawn], options: tuple[str, ...], question: str) -> list[PlannedSample]:
    samples = []
    for index in range(NUM_SAMPLES):
        rng = np.random.default_rng(index)
        tracks, answer = draw(rng)
        shuffled = [options[i] for i in rng.permutation(len(options))]
        plan = ScenePlan(
            address=Address(task="made_up", split="train", index=index, seed=0, level=1),
            width=96,
            height=96,
            fps=8.0,
            num_frames=len(tracks[0].xy_T2),
            backdrop=Backdrop(),
            tracks=tuple(tracks),
        )
        row: dict[str, Any] = {"id": str(index), "pair_id": str(index), "task": "made_up", "level": 1}
        row |= {"question": question, "options": shuffled, "answer_text": answer, "facts_json": "{}"}
        row["answer"] = "ABC"[shuffled.index(answer)]
        samples.append(PlannedSample(row=row, plan=plan))
    return samples


def audited(samples: list[PlannedSample], inherent: Inherent | None = None) -> dict[str, Any]:
    class MadeUp(MotionDirection):
        inherent: ClassVar[Inherent] = {}

        def ask(self, plan: ScenePlan) -> Question:
            return Question(text="", options=BLINKERS, answer_index=0)

        def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
            return True

    MadeUp.inherent = inherent or {}
    return audit_ideal(samples, {"made_up": MadeUp()})


def failed(result: dict[str, Any]) -> set[str]:
    return {attack["attack"] for cell in result["cells"] for attack in cell["attacks"] if not attack["passed"]}


def test_an_honest_question_passes() -> None:
    result = audited(planned(honest, BLINKERS, "Which shape blinks first?"))
    assert result["passed"], result["failures"]
    (cell,) = result["cells"]
    assert cell["certifies"] and cell["solved"] > 0.95 and cell["num_samples"] == NUM_SAMPLES
    assert len(cell["attacks"]) == result["num_comparisons"] == 19
    ((header, (line,)),) = tables(result["cells"])
    assert len(header) == len(line) == 26 and line[:3] == ("made_up", "", "1") and "!" not in "".join(line)
    assert text(result["cells"]).splitlines()[0].startswith("primitive  mode  level")


def test_a_first_frame_that_tells_is_found_and_can_be_declared() -> None:
    samples = planned(telling_first_frame, BLINKERS, "Which shape blinks first?")
    result = audited(samples)
    assert {"first_frame", "random_frame", "last_frame"} <= failed(result) and not result["passed"]
    sentence = next(one for one in result["failures"] if ": first_frame is right in " in one)
    assert sentence.startswith("made_up at level 1: ") and "size first" in sentence
    declared = audited(samples, {"one_frame": 1.0, "two_frames": 1.0, "few_frames": 1.0, "bag_of_frames": 1.0})
    assert declared["passed"], declared["failures"]


def test_a_mean_speed_that_tells_is_found() -> None:
    result = audited(planned(telling_mean_speed, COUNTS, "How many laps does the red circle make?"))
    assert {"mean_speed", "path_length"} <= failed(result)
    assert not {"first_frame", "last_frame", "random_frame", "clip_length"} & failed(result)


def test_a_clip_length_that_tells_is_found() -> None:
    result = audited(planned(telling_clip_length, COUNTS, "How many laps does the red circle make?"))
    assert "clip_length" in failed(result)


def test_probes_that_cannot_solve_the_task_fail_the_audit() -> None:
    result = audited(planned(noise, BLINKERS, "Which shape blinks first?"))
    assert not result["passed"] and not failed(result)
    (sentence,) = result["failures"]
    assert sentence.startswith("made_up at level 1: cannot certify, because the probes solve only ")


class Frank(ShellGame):
    """A shell game that asks where the ball is shown."""

    def read(self, facts: Facts, states: list[State]) -> str:
        return f"position {states[0][0]}"


@pytest.mark.parametrize("game", [ShellGame(), Frank()])
def test_a_game_whose_reveal_tells_is_found(game: ShellGame) -> None:
    samples: list[PlannedSample] = []
    index = 0
    while len(samples) < 110:
        index += 1
        plan = ShellGame().plan((), CANVAS, Address(task="shell_game", split="rl", index=index, seed=0, level=3))
        if plan.facts["mode"] != "forward":
            continue
        row = to_row(make_sample(ShellGame(), plan, "concise"), recipe_hash="", content_hash="", instruction="")
        if type(game) is Frank:
            shown = next(event.detail for event in plan.events if event.kind == "reveal")
            row["answer_text"] = f"position {shown}"
            if row["answer_text"] not in row["options"]:
                continue
        samples.append(PlannedSample(row=row, plan=plan))
    result = audit_ideal(samples, {"shell_game": game})
    (cell,) = result["cells"]
    assert cell["solved"] == 1.0
    assert ("reveal" in failed(result)) == (type(game) is Frank)
    assert not {"operations", "bag_of_frames"} & failed(result) or type(game) is Frank


def test_a_size_of_answers_that_the_operations_show_is_guessed_from() -> None:
    """How many cards lie in a stack is seen, though no face is. So wrong stacks must be as high as the right one."""
    rows, plans = [], []
    for index in range(100):
        plan = CardStack().plan((), CANVAS, Address(task="card_stack", split="rl", index=index, seed=0, level=3))
        if plan.facts["ask"] == "order":
            row = to_row(make_sample(CardStack(), plan, "concise"), recipe_hash="", content_hash="", instruction="")
            cards = row["answer_text"].split(", ")
            as_high = [", ".join(cards[n:] + cards[:n]) for n in range(2)]
            row["options"] = [*as_high, ", ".join(cards[1:]), ", ".join(cards[:-1])]
            rows.append(row)
            plans.append(plan)
    credits_N = game_credits(CardStack(), rows, plans, "operations")
    assert 0.45 < credits_N.mean() < 0.55 and len(rows) > 30


def test_a_declaration_is_looked_up_from_the_special_to_the_general() -> None:
    inherent = {"two_frames": 0.5, "last_two_frames": (0.1, 0.2, 0.3, 0.4, 0.5), "which two_frames": 0.9}
    assert limit_of(inherent, "first_two_frames", "", 3) == 0.5
    assert limit_of(inherent, "last_two_frames", "", 3) == 0.4
    assert limit_of(inherent, "last_two_frames", "which", 3) == 0.9
    assert limit_of(inherent, "first_frame", "which", 3) == 0.0


def test_scenes_are_things_too() -> None:
    """A caption is the name of its scene, which is seen in its shots."""
    primitive = make_primitive("first_last")
    plan = primitive.plan(SCENES, CANVAS, Address(task="first_last", split="rl", index=0, seed=0, level=1))
    row = to_row(make_sample(primitive, plan, "concise"), recipe_hash="", content_hash="", instruction="")
    watched = watch(row, plan)
    assert len(watched.things) == len(plan.shots) and all(watched.named)
    assert np.sum([thing.visible_T for thing in watched.things], axis=0).tolist() == [1] * plan.num_frames
    assert all(thing.xy_T2.shape == (plan.num_frames, 2) for thing in watched.things)


def test_things_are_found_by_their_names_and_followed_around_joined_edges() -> None:
    xy_T2 = np.stack([(90.0 + 10 * np.arange(4)) % 96, np.full(4, 48.0)], axis=1)
    tracks = [track("the red circle", xy_T2, hidden=2), track("the blue square", xy_T2)]
    sample = planned(lambda rng: (tracks, BLINKERS[0]), BLINKERS, "Is the red circle the one?")[0]
    watched = watch(sample.row, sample.plan)
    assert watched.asked == (0,) and {named[0] for named in watched.named} == {0, 1}
    hidden, _ = steps_between(watched.things[0], range(4))
    seen, _ = steps_between(watched.things[1], range(4))
    assert np.allclose(seen, (10 / 96, 0)) and np.allclose(hidden, [(10 / 96, 0), (0, 0), (0, 0)])
