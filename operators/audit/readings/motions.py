"""Read which shape goes farthest round, whether time runs forwards, and which half is ahead."""

import numpy as np
from temporay.operators.audit.ideal_states import Doubles, Thing, Watched, steps_between
from temporay.operators.audit.readings.reading import OptionScores, Shown
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.motion._processes import arrow, measured_of

WAYS = {"clockwise": 1.0, "counter-clockwise": -1.0}
STEPS = ("right half", "left half", "out of step", "in step")  # in what options say
MATCHED = 1.4  # shifts; turns that are farther apart do not belong together


def read_rounds(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score cells by how far their shape has gone round, in the direction of the option if it has one."""
    if not shown.ordered:
        return {}
    rounds = []
    for option, named in zip(watched.row["options"], watched.named, strict=True):
        turns = steps_between(watched.things[named[0]], shown.frames)[1] if named else np.zeros(1)
        way = option.rpartition(", ")[2]
        rounds.append(float(turns.sum()) * WAYS[way] if way in WAYS else float(np.abs(turns).sum()))
    return {"rounds": rounds}


def read_arrow(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score directions of time by whether what happens runs the natural way in the frames shown."""
    if not shown.ordered:
        return {}
    plan, facts, arrows = watched.plan, watched.plan.facts, []
    for color in facts["colors"]:
        tracks = [track for track in plan.tracks if track.name.split()[0] == color]
        arrows.append(arrow(facts["kind"], measured_of(facts["kind"], tracks, plan.height)[list(shown.frames)]))
    forwards = float(np.mean(arrows))
    return {"natural way": [forwards if option == "forwards" else -forwards for option in watched.row["options"]]}


def read_halves(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score options by how far turns on the right come before those on the left that belong to them."""
    if not shown.ordered:
        return {}
    facts = watched.plan.facts
    sides = sorted((t for t in watched.things if facts["name"] in t.names and t.window), key=lambda t: t.window or ())
    left, right = (_turns(one, watched, shown) for one in sides)
    shift = facts["shift_s"] * watched.plan.fps
    earlier = [min((a - b for b in right), key=abs) / shift for a in left if len(right)]
    matched = [one for one in earlier if abs(one) < MATCHED]
    lead = float(np.median(matched)) if matched else 0.0
    seen = "in step" if abs(lead) < 0.5 else "right half" if lead > 0 else "left half"
    together = len({*left} & {*right}) - len({*left} ^ {*right}) / 2
    says = [next(words for words in STEPS if words in option) for option in watched.row["options"]]
    fits = [one == seen or (one == "out of step" and seen != "in step") for one in says]
    return {
        "turns that match": [len(matched) * float(one) for one in fits],
        "turns at once": [together if one == "in step" else -together for one in says],
    }


def _turns(thing: Thing, watched: Watched, shown: Shown) -> Doubles:
    """Return in which frames a shape turns from across to down or back, where the frames around are shown."""
    found: list[Doubles] = []
    for block in shown.blocks():
        step_N2 = np.diff(thing.xy_T2[list(block)], axis=0) * (watched.plan.width, watched.plan.height)
        is_across_N = np.abs(step_N2[:, 0]) > np.abs(step_N2[:, 1])
        found.append(np.array(block[0] + 1 + np.flatnonzero(np.diff(is_across_N)), np.float64))
    return np.concatenate(found)
