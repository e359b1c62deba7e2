"""How often is an action done? A shape jumps, ducks, sways, swells or shrinks, and rests in between.

Each clip is made of strokes: the shape goes out fast, slows down, stays, and comes back a part of the way. Strokes with
no rest between them are one action. For every answer there are as many strokes of the actions that count, and as many
of those that do not, and they last as long. Only the rests between them differ. A clip with fewer actions that count
has more of the others. So all actions together are as many, and the whole way is as long.

So no frame, no set of frames, no speed and no length tells the count: strokes have to be put together to actions, and
actions told apart. From level 3 on some actions turn back halfway. They do not count either, and how many there are is
chosen apart from the answer.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Phrases, by_start
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import followed, frames_of_gaps, to_track
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, random_cuts, shuffled

MOST_COUNTED_BY_LEVEL = (3, 4, 5, 6, 7)
MOST_HALVES_BY_LEVEL = (0, 0, 0, 1, 2)
TWO_VERBS_LEVEL = 2  # from which on two actions may be counted together
NUM_OPTIONS = 4
SPARE_GAPS = 5  # so that the middle of the clip is not the turn of one action or rest
VERBS = {  # how far an action goes: to the right and down, in parts of the frame's shorter side, and how much it swells
    "jump": (0.0, -0.22, 0.0),
    "duck": (0.0, 0.22, 0.0),
    "sway": (0.22, 0.0, 0.0),
    "swell": (0.0, 0.0, 0.7),
    "shrink": (0.0, 0.0, -0.5),
}
MOVES, SIZES = tuple(VERBS)[:3], tuple(VERBS)[3:]
REACH = (0.5, 1.0)  # how far all actions of one clip go, in parts of these ways
BETWEEN = 0.55  # share of the reach that is left between two strokes of one action
HALF = (0.35, 0.45)  # share of the reach that half actions go
SEEN_FULL, SEEN_ACT = 0.62, 0.15  # shares of the longest way, from which on an action is whole, and is one at all


class Act(NamedTuple):
    """One action, and whether it goes all the way."""

    verb: str
    whole: bool


class ActionCount(DrawnMotion[list[Act]]):
    """Question about the number of times that a shape does something."""

    task = "action_count"
    free_form = True
    answer_kind = "number"
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
    notes = ("Between two actions it rests at its place.",)
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
        strokes = 2 * MOST_COUNTED_BY_LEVEL[level] + 1 - _fewest(level) + MOST_HALVES_BY_LEVEL[level]
        return max(4 * strokes + 1, frames_of_gaps(canvas, 3 * strokes + SPARE_GAPS))

    def text(self, facts: Facts) -> str:
        return f"{super().text(facts)} {self.half_note}" if facts["halves"] else super().text(facts)

    def arrange(self, setting: Setting) -> MotionClip:
        """Choose what is counted and how long all strokes last, then the truth, then which strokes are one action."""
        rng, level, gap = setting.rng, setting.level, setting.gap
        fewest, most, most_halves = _fewest(level), MOST_COUNTED_BY_LEVEL[level], MOST_HALVES_BY_LEVEL[level]
        (actor,) = setting.choose_actors(1)
        asked, others = _choose_verbs(rng, level)
        options = shuffled(rng, range(fewest, most + 1))
        num_halves = int(rng.integers(most_halves + 1))
        num_strokes = (most, most + 1 - fewest, num_halves)  # of actions that count, of others, and halves
        shortest = max(3, 2 * gap)  # of a stroke: it stays at its end for a gap
        spare = setting.num_frames - shortest * sum(num_strokes) - gap * (most + 2 + num_halves)
        shares = rng.dirichlet(np.ones(4))
        num_frames = [n * shortest + int(spare * share) for n, share in zip(num_strokes, shares, strict=False)]
        ramp = 1 + int(rng.integers(max(1, gap // 2)))
        reach, half = float(rng.uniform(*REACH)), float(rng.uniform(*HALF))
        truth = setting.choose_truth(options)
        course = setting.rng_for("course", truth)
        acts: list[tuple[Act, list[int]]] = []
        wanted = ((truth, asked, True), (most + 1 - truth, others, True), (num_halves, asked, False))
        for (count, verbs, whole), strokes, frames in zip(wanted, num_strokes, num_frames, strict=True):
            for lengths in _grouped(course, frames, strokes, count, shortest) if count else ():
                acts.append((Act(choose_one(course, verbs), whole), lengths))
        rests = random_cuts(course, setting.num_frames - sum(sum(own) for _, own in acts), len(acts) + 1, gap)
        steps = [(*acts[i], rest) for i, rest in zip(course.permutation(len(acts)), rests, strict=False)]
        state_T3, events = _play(setting, actor.name, steps, ramp, half)
        state_T3 *= reach
        track = to_track(actor, setting.size_xy / 2 + setting.side_px * state_T3[:, :2], wraps=False)
        facts = {
            "name": actor.name,
            "verbs": asked,
            "do": " or ".join(asked),
            "does": " or ".join(f"{verb}s" for verb in asked),
            "halves": most_halves > 0,
            "options": [str(count) for count in options],
        }
        return MotionClip([replace(track, scale_T=1 + state_T3[:, 2])], _numbered(events, facts), facts)

    def logged(self, events: Sequence[Event], facts: Facts) -> list[Act]:
        return [Act(event.detail.split()[0].removesuffix("s"), event.kind != "half") for event in by_start(events)]

    def seen(self, witness: Witness, facts: Facts) -> list[Act]:
        """Measure how far the shape is from where it was at first, and how much larger."""
        seen_T3 = followed(witness.frames_THWC, facts["name"])
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


def _fewest(level: int) -> int:
    return max(2, MOST_COUNTED_BY_LEVEL[level] - NUM_OPTIONS + 1)


def _choose_verbs(rng: np.random.Generator, level: int) -> tuple[list[str], list[str]]:
    """Choose what counts and what does not: as many moves and changes of size here as there, or no two counts alike."""
    moves, sizes = shuffled(rng, MOVES), shuffled(rng, SIZES)
    pairs = [(moves[:1], moves[1:2]), (sizes[:1], sizes[1:])]
    if level >= TWO_VERBS_LEVEL:
        pairs += [(moves[:2], moves[2:]), ([moves[0], sizes[0]], [moves[1], sizes[1]])]
    return choose_one(rng, pairs)


def _grouped(
    rng: np.random.Generator, num_frames: int, num_strokes: int, num_acts: int, shortest: int
) -> list[list[int]]:
    """Cut a time into strokes, and put strokes that follow each other together: their lengths, by action."""
    lengths = random_cuts(rng, num_frames, num_strokes, shortest)
    ends = np.cumsum([0, *random_cuts(rng, num_strokes, num_acts, 1)]).tolist()
    return [lengths[start:end] for start, end in pairwise(ends)]


def _play(
    setting: Setting, name: str, steps: Sequence[tuple[Act, list[int], int]], ramp: int, half: float
) -> tuple[npt.NDArray[np.float64], list[Event]]:
    """Lay actions one after another.

    Args:
        steps: each action with the lengths of its strokes and of the rest before it, in frames.
        ramp: frames for which a stroke slows down at its end, and again comes back.
        half: share of the reach that half actions go.

    Returns:
        (T, 3) how far the shape is to the right and down, in parts of the shorter side, and how much it is larger; and
        the log.
    """
    state_T3, events, start = np.zeros((setting.num_frames, 3)), [], 0
    for act, lengths, rest in steps:
        start = end = start + rest
        for length in lengths:
            from_end_T = np.minimum(np.arange(length), np.arange(length)[::-1])
            share_T = np.minimum(1.0, BETWEEN + (1 - BETWEEN) * from_end_T / ramp)
            far = 1.0 if act.whole else half
            state_T3[end : end + length] = far * share_T[:, None] * VERBS[act.verb]
            end += length
        kind = "act" if act.whole else "half"
        events.append(setting.event_in(kind, name, start, end, f"{act.verb}s"))
        start = end
    return state_T3, events


def _numbered(events: Sequence[Event], facts: Facts) -> list[Event]:
    """Return the log with a number for each action that counts, and with those that are not asked for as others."""
    numbered, count = list(events), 0
    for i, event in enumerate(events):
        if event.kind == "act" and event.detail.removesuffix("s") in facts["verbs"]:
            count += 1
            numbered[i] = replace(event, detail=f"{event.detail} {count}")
        elif event.kind == "act":
            numbered[i] = replace(event, kind="other")
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
