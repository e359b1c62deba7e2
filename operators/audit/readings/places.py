"""Read where a shape is, relative to another, at a flash; and which pieces of a path meet."""

from itertools import groupby, pairwise

import numpy as np
import numpy.typing as npt
from temporay.operators.audit.ideal_states import Doubles, Thing, Watched
from temporay.operators.audit.readings.reading import OptionScores, Shown
from temporay.operators.primitives._base import Primitive

TOWARD = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "above": (0.0, -1.0), "below": (0.0, 1.0)}  # y grows downwards
FAR = 0.1  # of the frame: pieces that are farther apart do not meet


def read_sides(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score sides by where the shape is beside the asked flash, beside any flash, and in all frames shown."""
    facts, frames = watched.plan.facts, shown.frames
    of_name = {name: thing for thing in watched.things for name in thing.names}
    name, anchor, flash = (of_name[key] for key in (facts["name"], facts["anchor"], "flash"))
    size = np.array([watched.plan.width, watched.plan.height])
    away_N2 = (name.xy_T2 - anchor.xy_T2)[list(frames)] * size
    open_N = name.visible_T[list(frames)] & anchor.visible_T[list(frames)]
    toward_N2 = np.where(open_N[:, None], away_N2 / np.maximum(1e-9, np.linalg.norm(away_N2, axis=1))[:, None], 0.0)
    units_O2 = np.array([_side(option) for option in watched.row["options"]])
    scores = {"side in all frames": (units_O2 @ toward_N2.mean(axis=0)).tolist()}
    if shown.ordered:
        beside = _beside_flashes(flash.visible_T[list(frames)], toward_N2)
        asked = beside[facts["flash"]] if facts["flash"] < len(beside) else np.zeros(2)
        scores |= {
            "side at the asked flash": (units_O2 @ asked).tolist(),
            "side at a flash": np.max([np.zeros(len(units_O2)), *(units_O2 @ one for one in beside)], axis=0).tolist(),
        }
    return scores


def _side(option: str) -> Doubles:
    """Return the unit vector of the side that an option names."""
    way_2 = np.sum([vector for word, vector in TOWARD.items() if word in option.split()], axis=0)
    return np.asarray(way_2 / np.hypot(*way_2))


def _beside_flashes(white_N: npt.NDArray[np.bool_], toward_N2: Doubles) -> list[Doubles]:
    """Return, for every flash among the frames shown, the mean direction in the frames before and after it."""
    starts, ends = (np.flatnonzero(np.diff([0, *white_N, 0]) == step) for step in (1, -1))
    found = []
    for start, end in zip(starts, ends, strict=True):
        near = [n for n in (start - 1, end) if 0 <= n < len(white_N)]
        found.append(toward_N2[near].mean(axis=0) if near else np.zeros(2))
    return found


def read_pieces(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score orders by how well the ends of pieces that are shown meet the starts of those that follow."""
    if not (shown.ordered and shown.timed):
        return {}
    facts = watched.plan.facts
    thing = next(one for one in watched.things if facts["name"] in one.names)
    starts, ends = _ends_of_pieces(thing, shown, facts["count"])
    scores = []
    for option in watched.row["options"]:
        order = [int(number) - 1 for number in option.split(", ")]
        known = [(ends[a], starts[b]) for a, b in pairwise(order) if a in ends and b in starts]
        scores.append(float(sum(FAR - _apart(thing, *pair) for pair in known)))
    return {"pieces that meet": scores}


def _ends_of_pieces(thing: Thing, shown: Shown, count: int) -> tuple[dict[int, Doubles], dict[int, Doubles]]:
    """Return where pieces start and end, by their number as shown, where that is in view.

    They are counted from an end of the clip that is shown. Else, as they are equally long, their time tells the number.
    """
    starts, ends, last = dict[int, Doubles](), dict[int, Doubles](), shown.num_frames - 1
    for block in shown.blocks():
        runs = [list(run) for is_seen, run in groupby(block, lambda frame: bool(thing.visible_T[frame])) if is_seen]
        for n, frames in enumerate(runs):
            number = (frames[0] + frames[-1]) * count // (2 * shown.num_frames)
            if block[0] == 0 or block[-1] == last:
                number = n if block[0] == 0 else count - len(runs) + n
            if frames[0] == 0 or frames[0] > block[0]:
                starts[number] = thing.xy_T2[frames[0]]
            if frames[-1] == last or frames[-1] < block[-1]:
                ends[number] = thing.xy_T2[frames[-1]]
    return starts, ends


def _apart(thing: Thing, one_2: Doubles, other_2: Doubles) -> float:
    return float(np.hypot(*((other_2 - one_2 + thing.period_2 / 2) % thing.period_2 - thing.period_2 / 2)))
