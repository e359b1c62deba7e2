"""How often is an action done? A shape jumps, ducks, sways or swells, and rests in between.

How long an action takes to begin and to end, how far it goes, and how long all counted actions last together do not
depend on their number. So no frame, no speed, no set of frames and no length tells it: the actions have to be kept
apart by the rests between them. Other actions, and actions that turn back halfway, do not count.

All the way gone, over the way of one action, is the count; that is what counting means. Mean speed and the share of
time in motion tell it nearly always at level 0, in two thirds at level 1, and in 0.4 of four options above.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives._plan import event_in
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import followed, frames_of_gaps, to_track
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, random_cuts, rng_at, shuffled

MOST_COUNTED_BY_LEVEL = (4, 5, 5, 6, 7)
MOST_OTHERS_BY_LEVEL = (0, 2, 3, 4, 5)
TWO_VERBS_LEVEL, HALVES_LEVEL = 2, 3  # from which on two actions are counted together, and some turn back halfway
NUM_OPTIONS = 4
SPARE_GAPS = 5  # so that the middle of the clip is not the turn of one action or rest
VERBS = {  # how far an action goes: to the right and down, in parts of the frame's shorter side, and how much it swells
    "jump": (0.0, -0.22, 0.0),
    "duck": (0.0, 0.22, 0.0),
    "sway": (0.22, 0.0, 0.0),
    "swell": (0.0, 0.0, 0.7),
}
REACH = (0.5, 1.0)  # how far all actions of one clip go, in parts of these ways
FULL, HALF = (0.8, 1.0), (0.3, 0.45)  # shares of the reach that whole and half actions go
SEEN_FULL, SEEN_ACT = (
    0.62,
    0.15,
)  # shares of the longest way, from which on an action is seen to be whole, and to be one


class Act(NamedTuple):
    """One action, and whether it goes all the way."""

    verb: str
    whole: bool


class ActionCount(DrawnMotion[list[Act]]):
    """Question about the number of times that a shape does something."""

    task = "action_count"
    free_form = True
    # Each action is an event.
    inherent: ClassVar[Inherent] = {"num_events": 1.0}
    answer_kind = "number"
    order_dependent = True
    twin = "restaged"
    wordings = (
        "How many times does the {name} {do}?",
        "How often does the {name} {do}?",
        "The {name} moves and rests, again and again. How many times does it {do}?",
        "Watch the {name} to the end. How many times in all does it {do}?",
        "What is the number of times that the {name} {does}?",
        "In the whole video, how often does the {name} {do}?",
        "How many times in all is the {name} seen to {do}?",
        "Count each time the {name} {does}. How many times are there?",
    )
    half_note = "What turns back halfway does not count."
    phrases: ClassVar[Phrases] = {
        "act": (
            "From {start} s to {end} s the {subject} {d1}, number {d2}.",
            "The {subject} {d1} from {start} s to {end} s, which makes {d2}.",
            "Between {start} s and {end} s the {subject} {d1}: that is {d2} so far.",
        ),
        "other": (
            "From {start} s to {end} s the {subject} {d1}, which is not asked for.",
            "The {subject} {d1} from {start} s to {end} s, which does not count.",
            "Between {start} s and {end} s the {subject} {d1}, another action.",
        ),
        "half": (
            "From {start} s to {end} s the {subject} only half {d1}.",
            "The {subject} half {d1} from {start} s to {end} s and turns back, which does not count.",
            "Between {start} s and {end} s the {subject} {d1} only halfway.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "act": ("At {start} s it {d1}: {d2}.",),
        "other": ("At {start} s it {d1}.",),
        "half": ("At {start} s it half {d1}.",),
    }

    def min_frames(self, canvas: Canvas, level: int) -> int:
        most = MOST_COUNTED_BY_LEVEL[level] + MOST_OTHERS_BY_LEVEL[level]
        return max(4 * most + 1, frames_of_gaps(canvas, 3 * most + SPARE_GAPS))

    def text(self, facts: Facts) -> str:
        return f"{super().text(facts)} {self.half_note}" if facts["halves"] else super().text(facts)

    def arrange(self, setting: Setting) -> MotionClip:
        """Choose what is counted and how long it lasts in all, then the truth, then how that time is spent."""
        rng, level, gap = setting.rng, setting.level, setting.gap
        most, most_others = MOST_COUNTED_BY_LEVEL[level], MOST_OTHERS_BY_LEVEL[level]
        (actor,) = setting.choose_actors(1)
        verbs = shuffled(rng, tuple(VERBS))[: 3 if level >= TWO_VERBS_LEVEL else 2]
        asked = verbs[: 1 + int(rng.integers(len(verbs) - 1))]
        options = shuffled(rng, range(max(2, most - NUM_OPTIONS + 1), most + 1))
        num_others = 1 + int(rng.integers(most_others)) if most_others else 0
        shortest = max(3, 2 * gap)  # of an action: it stays at its end for a gap
        spare = setting.num_frames - shortest * (most + num_others) - gap * (most + num_others + 1)
        for_acts, for_others = (int(spare * share) for share in rng.dirichlet((1, 1, 1))[:2])
        reach = float(rng.uniform(*REACH))
        truth = setting.choose_truth(options)
        course = rng_at(*setting.address.parts(), "course", truth)
        acts = [Act(choose_one(course, asked), whole=True) for _ in range(truth)]
        others = [self._choose_other(course, asked, verbs[-1], level) for _ in range(num_others)]
        spans = random_cuts(course, for_acts + shortest * most, truth, shortest)
        spans += random_cuts(course, for_others + shortest * num_others, num_others, shortest) if num_others else []
        rests = random_cuts(course, setting.num_frames - sum(spans), truth + num_others + 1, gap)
        steps = [([*acts, *others][i], rests[n], spans[i]) for n, i in enumerate(course.permutation(len(spans)))]
        state_T3, events = _play(course, setting, actor.name, steps)
        state_T3 *= reach
        middle = np.array([setting.canvas.width, setting.canvas.height]) / 2
        track = to_track(actor, middle + setting.side_px * state_T3[:, :2], wraps=False)
        asked = [verb for verb in VERBS if verb in asked]
        facts = {
            "name": actor.name,
            "verbs": asked,
            "do": " or ".join(asked),
            "does": " or ".join(f"{verb}s" for verb in asked),
            "halves": level >= HALVES_LEVEL,
            "options": [str(count) for count in options],
        }
        return MotionClip([replace(track, scale_T=1 + state_T3[:, 2])], _numbered(events, facts), facts)

    def _choose_other(self, rng: np.random.Generator, asked: Sequence[str], foreign: str, level: int) -> Act:
        """Choose an action that does not count: one that is not asked for, or at higher levels half of one that is."""
        if level >= HALVES_LEVEL and rng.integers(2):
            return Act(choose_one(rng, asked), whole=False)
        return Act(foreign, whole=True)

    def logged(self, events: Sequence[Event], facts: Facts) -> list[Act]:
        told = sorted(events, key=lambda event: event.start_ms)
        return [Act(event.detail.split()[0].removesuffix("s"), event.kind != "half") for event in told]

    def seen(self, witness: Witness, facts: Facts) -> list[Act] | None:
        """Measure how far the shape is from where it was at first, and how much larger."""
        seen_T3 = followed(witness.frames_THWC, facts["name"])
        if seen_T3 is None:
            return None
        side_px = min(witness.frames_THWC.shape[1:3])
        moved_T2 = (seen_T3[:, :2] - seen_T3[0, :2]) / side_px
        return _acts_in(np.column_stack([moved_T2, np.sqrt(seen_T3[:, 2] / seen_T3[0, 2]) - 1]))

    def answer(self, measured: list[Act], facts: Facts) -> str:
        return str(sum(act.whole and act.verb in facts["verbs"] for act in measured))

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether these frames show every action at its end, and a rest between any two."""
        (track,), shown = plan.tracks, list(frames)
        grown_T = np.ones(plan.num_frames) if track.scale_T is None else track.scale_T
        moved_T2 = (track.xy_T2 - track.xy_T2[0]) / min(plan.width, plan.height)
        state_T3 = np.column_stack([moved_T2, grown_T - 1])
        return _acts_in(state_T3[shown]) == self.logged(plan.events, plan.facts)


def _play(
    rng: np.random.Generator, setting: Setting, name: str, steps: Sequence[tuple[Act, int, int]]
) -> tuple[npt.NDArray[np.float64], list[Event]]:
    """Lay actions one after another, each after a rest of so many frames and as many frames long as given.

    Returns:
        (T, 3) how far the shape is to the right and down, in parts of the shorter side, and how much it is larger; and
        the log.
    """
    state_T3, events, start = np.zeros((setting.num_frames, 3)), [], 0
    for act, rest, length in steps:
        start += rest
        slow = max(1, setting.gap // 2)
        rise, fall = 1 + rng.integers(slow, size=2)
        ends_T = np.arange(length) + 0.5
        share_T = np.minimum(1, np.minimum(ends_T / rise, (length - ends_T) / fall))
        far = rng.uniform(*(FULL if act.whole else HALF))
        state_T3[start : start + length] = far * share_T[:, None] * VERBS[act.verb]
        kind = "act" if act.whole else "half"
        events.append(event_in(setting.canvas, kind, name, start, start + length, f"{act.verb}s"))
        start += length
    return state_T3, events


def _numbered(events: Sequence[Event], facts: Facts) -> list[Event]:
    """Return the log with a number for each action that counts, and with those that are not asked for as others."""
    numbered, count = [], 0
    for event in events:
        if event.kind == "act" and event.detail.removesuffix("s") in facts["verbs"]:
            count += 1
            numbered.append(replace(event, detail=f"{event.detail} {count}"))
        else:
            numbered.append(replace(event, kind="other") if event.kind == "act" else event)
    return numbered


def _acts_in(state_T3: npt.NDArray[np.float64]) -> list[Act]:
    """Find the actions in how far a shape has moved and how much larger it is, in frames that show its rests."""
    ways_TV = state_T3 @ np.array([np.array(way) / np.dot(way, way) for way in VERBS.values()]).T
    ways_TV /= max(1e-6, float(ways_TV.max()))
    acting_T = ways_TV.max(axis=1) > SEEN_ACT
    acts = []
    for is_act, frames in groupby(range(len(acting_T)), key=acting_T.__getitem__):
        if is_act:
            furthest_V = ways_TV[list(frames)].max(axis=0)
            verb = list(VERBS)[int(furthest_V.argmax())]
            acts.append(Act(verb, whole=bool(furthest_V.max() > SEEN_FULL)))
    return acts
