"""Are the two halves of the picture in step, and if not, which one is ahead? (X-Ego, arXiv 2510.19150).

A shape in each half turns in the same rhythm, to sides of its own. So only the times of turns can be compared, and one
half alone tells nothing. The shift is far less than the time from turn to turn, so it is always clear which turns
belong together. Each turn that is shifted has a shown frame between its two views. Turns on either side, counted,
differ in number more often where the halves are not in step: guesses by these numbers are right in 52 % of the cases,
where chance is 42 %.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives._base import Facts, Inherent, Phrases
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting, shown_between
from temporay.operators.primitives.motion._panels import halves, lines
from temporay.operators.primitives.motion._stage import VECTORS, choose_actors, followed_steps, to_the, to_track
from temporay.operators.records import Event, ScenePlan
from temporay.operators.seeding import choose_one, shuffled

SAME, LEFT, RIGHT, OTHER = "they are in step", "the left half is ahead", "the right half is ahead", "out of step"
OPTIONS = {"which": (SAME, LEFT, RIGHT), "whether": (SAME, f"they are {OTHER}")}
NUM_DISTRACTORS_BY_LEVEL = (0, 0, 0, 1, 2)  # in each half; they turn in rhythms of their own
UNEVEN_LEVEL = 2  # from this one on the time from turn to turn varies
SHIFT_GAPS = 1.5  # shift, in the longest gaps between shown frames
MIN_SHIFT = 2  # frames
PACE = (2.7, 3.2)  # shortest time from turn to turn, in shifts
SLOWEST = 1.4  # longest time from turn to turn over the shortest
MAX_LEG = 0.45  # of the room, so that there is always a side to turn to
HEADINGS = list(VECTORS)[:4]  # left, right, up, down


class SameMoment(DrawnMotion[float]):
    """Question about whether two views are in step."""

    task = "same_moment"
    fields = ("way",)
    # Halves that are out of step often have other numbers of turns.
    inherent: ClassVar[Inherent] = {"num_events": 0.52}
    twin = "restaged"  # no order of the frames parts two halves that are in step

    gaps_by_level = (13.0, 16.0, 19.0, 23.0, 28.0)

    wordings_by_mode: ClassVar[Mapping[str, Sequence[str]]] = {
        "which": (
            "The two halves show the same rhythm of turns. Are they in step, or is one half ahead?",
            "Compare when the {name} turns in the left half and in the right half. Which half is ahead, if any?",
            "Both halves show a {name} that turns in the same rhythm. Which half is ahead, or are they in step?",
            "Does the {name} in one half turn before the {name} in the other half?",
            "The {name} turns on the left and on the right. On which side does each turn come first, if on any?",
            "Are the two halves in step, and if not, which of them is ahead in time?",
            "One half may run ahead of the other. Compare the turns of the {name}. Which half is ahead, if any?",
            "Watch the turns of the {name} in both halves. Which half is ahead in time, or is neither?",
        ),
        "whether": (
            "The two halves show the same rhythm of turns. Are they in step?",
            "Compare when the {name} turns in the left half and in the right half. Are the two in step?",
            "Both halves show a {name} that turns in the same rhythm. Are the two in step or not?",
            "Does the {name} turn at the same moments in both halves?",
            "The {name} turns on the left and on the right. Do the turns come at the same moments?",
            "Are the two halves of the picture in step?",
            "One half may be shifted in time. Compare the turns of the {name}. Are the halves in step?",
            "Watch the turns of the {name} in both halves. Are they in step or out of step?",
        ),
    }
    phrases: ClassVar[Phrases] = {
        "turns": (
            "In the {subject} the shape turns at {start} s and goes {detail}.",
            "At {start} s the shape in the {subject} turns and goes {detail}.",
            "From {start} s on the shape in the {subject} goes {detail}.",
        ),
        "leads": (
            "So every turn in the {subject} comes {detail} s before that in the other half.",
            "So the {subject} makes each turn {detail} s before the other half.",
            "So the turns of the {subject} are {detail} s early.",
        ),
        "together": (
            "So the turns in {subject} come together.",
            "So each turn comes in {subject} at once.",
            "So {subject} turn at the same times.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {"turns": ("In the {subject} a turn at {start} s, then {detail}.",)}

    def arrange(self, setting: Setting) -> MotionClip:
        rng, canvas, num_frames = setting.rng, setting.canvas, setting.num_frames
        mode = choose_one(rng, tuple(self.wordings_by_mode))
        options = shuffled(rng, OPTIONS[mode])
        truth = setting.choose_truth(options)
        shift = max(MIN_SHIFT, int(SHIFT_GAPS * setting.gap))
        either_way = choose_one(rng, (1, -1))
        lead = {SAME: 0, LEFT: -1, RIGHT: 1}.get(truth, either_way)  # how far the right half is ahead, in shifts
        panels = halves(canvas.width, canvas.height)
        own = panels[0].canvas(canvas)
        actor, *others = choose_actors(rng, own, 1 + NUM_DISTRACTORS_BY_LEVEL[setting.level], setting.level)
        turns = _choose_turns(setting, shift)
        tracks, events = lines(panels, canvas, num_frames), []
        for panel, first in zip(panels, (shift, shift + lead * shift), strict=True):  # first frames of the course
            origin = np.array([panel.left, panel.top])
            for shape, own_turns in [*((other, _choose_turns(setting, shift)) for other in others), (actor, turns)]:
                headings, path_T2 = _choose_path(rng, own, shape.radius_px, own_turns, num_frames + 2 * shift)
                track = to_track(shape, origin + path_T2[first : first + num_frames], wraps=False)
                tracks.append(replace(track, window_px=panel.window_px))
            for turn, heading in zip(own_turns, headings, strict=True):
                if first + setting.gap <= turn < first + num_frames - setting.gap:  # those at the ends are not seen
                    frame = turn - first
                    events.append(setting.event_in("turns", panel.name, frame, frame + 1, to_the(heading)))
        if lead:
            ahead = panels[int(lead > 0)].name
            events.append(setting.event("leads", ahead, f"{shift / canvas.fps:.1f}"))
        else:
            events.append(setting.event("together", "both halves"))
        facts = {"name": actor.name, "mode": mode, "options": options, "shift_s": shift / canvas.fps}
        return MotionClip(tracks, events, facts)

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether two turns or more of each half are shown, and a frame between any two turns."""
        turns = [event for event in plan.events if event.kind == "turns"]
        num_turns = Counter(turn.subject for turn in turns)
        times_ms = sorted({turn.start_ms for turn in turns})
        are_shown = shown_between(plan, frames, [0.0, *times_ms, np.inf]).all()
        return bool(len(num_turns) == 2 and min(num_turns.values()) >= 2 and are_shown)

    def logged(self, events: Sequence[Event], facts: Facts) -> float:
        """Return by how much the right half is ahead, in shifts; below 0 it is behind."""
        leads = [event.subject for event in events if event.kind == "leads"]
        return 0.0 if not leads else 1.0 if leads == ["right half"] else -1.0

    def seen(self, witness: Witness, facts: Facts) -> float | None:
        """Compare each turn on the left with the nearest one on the right."""
        height, width = witness.frames_THWC.shape[1:3]
        views = [half.crop(witness.frames_THWC) for half in halves(width, height)]
        left, right = (_turns_seen(followed_steps(view_THWC, facts["name"])) for view_THWC in views)
        if not len(left) or not len(right):
            return None
        shift = facts["shift_s"] * witness.fps  # in shown frames
        earlier_LR = left[:, None] - right[None]
        nearest_L = earlier_LR[np.arange(len(left)), np.abs(earlier_LR).argmin(axis=1)]
        matched = nearest_L[np.abs(nearest_L) < 1.4 * shift]
        lead = float(np.median(matched)) / shift if len(matched) else 0.5
        return None if abs(abs(lead) - 0.5) < 0.1 else float(np.sign(lead)) if abs(lead) > 0.5 else 0.0

    def answer(self, measured: float, facts: Facts) -> str:
        if measured == 0:
            return SAME
        if facts["mode"] == "whether":
            return f"they are {OTHER}"
        return RIGHT if measured > 0 else LEFT

    def told(self, plan: ScenePlan) -> Sequence[Event]:
        """Tell the turns in their order, then how they compare."""
        return sorted(plan.events, key=lambda event: (event.kind != "turns", event.start_ms))


def _choose_turns(setting: Setting, shift: int) -> list[int]:
    """Choose the frames of turns, from a uniform phase, for a clip and a shift before and after it."""
    rng, num_frames = setting.rng, setting.num_frames + 2 * shift
    pace = shift * float(rng.uniform(*PACE))
    slowest = SLOWEST if setting.level >= UNEVEN_LEVEL else 1.0
    most = ceil(num_frames / pace) + 1
    waits = pace * rng.uniform(1.0, slowest, most)
    times = np.rint(np.cumsum(waits) - waits[0] * rng.uniform()).astype(int)
    return [int(time) for time in times if 0 < time < num_frames - 1]


def _choose_path(
    rng: np.random.Generator, canvas: Canvas, radius_px: float, turns: Sequence[int], num_frames: int
) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Choose a path of quarter turns that never leaves the panel: the headings after each turn, and (T, 2) px."""
    room = np.array([canvas.width, canvas.height]) - 2 * radius_px - 4
    waits = np.diff([0, *turns, num_frames - 1])
    step_px = MAX_LEG * room.min() / waits.max()
    place, axis = room * rng.uniform(0, 1, 2), int(rng.integers(2))
    headings, corners = [], [place]
    for wait, forward in zip(waits, rng.integers(0, 2, len(waits)), strict=True):
        leg = np.zeros(2)
        leg[axis] = step_px * wait * (1 if forward else -1)
        inside = 0 <= (place + leg)[axis] <= room[axis]
        place = place + (leg if inside else -leg)
        headings.append(HEADINGS[2 * axis + int(forward == inside)])
        corners.append(place)
        axis = 1 - axis
    frames = [0, *turns, num_frames - 1]
    path = [np.interp(np.arange(num_frames), frames, [corner[axis] for corner in corners]) for axis in (0, 1)]
    return headings[1:], np.stack(path, axis=1) + radius_px + 2


def _turns_seen(step_xy_T2: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return when a path turns from across to down or back, in frames with parts.

    A step in which it turns goes a part across and a part down, which says when.
    """
    across_T = np.abs(step_xy_T2[:, 0]) / np.maximum(1e-6, np.abs(step_xy_T2).sum(axis=1))
    turned = np.flatnonzero(np.diff((across_T > 0.5).astype(int)))
    before_T = np.where(across_T[turned] > 0.5, across_T[turned] + across_T[turned + 1], 0)
    back_T = np.where(across_T[turned] > 0.5, 0, 2 - across_T[turned] - across_T[turned + 1])
    return np.asarray(turned + before_T + back_T)
