"""Read how the speed of a shape changes: where it rises and where it falls."""

from itertools import groupby

import numpy as np
from temporay.operators.audit.ideal_states import Doubles, Watched, steps_between
from temporay.operators.audit.readings.reading import OptionScores, Shown
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.motion._speeds import COURSES

CHANGED = 0.01  # of the mean speed: a step that differs by less from the one before it is as fast


def read_paces(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score options by whether the rises and falls in view are all those that they say, or a part of them."""
    if not shown.ordered:
        return {}
    plan = watched.plan
    thing = next(one for one in watched.things if plan.facts["name"] in one.names)
    step_px_N2 = steps_between(thing, shown.frames)[0] * (plan.width, plan.height)
    seen = _rises_and_falls(np.hypot(*step_px_N2.T) / np.diff(shown.frames))
    said_O = [_rises_and_falls(np.array(COURSES[option][0], np.float64) + 2) for option in watched.row["options"]]
    return {
        "all changes of speed": [float(said == seen) for said in said_O],
        "share that is in view": [
            said.count(seen) / len(said) if seen and said else float(not seen) for said in said_O
        ],
    }


def _rises_and_falls(speeds_N: Doubles) -> str:
    """Return rises as "+" and falls as "-" in their order; of several in a row, one."""
    changes = np.diff(speeds_N) / max(float(np.mean(speeds_N)) if len(speeds_N) else 0.0, 1e-9)
    signs = ["+" if change > 0 else "-" for change in changes if abs(change) > CHANGED]
    return "".join(sign for sign, _ in groupby(signs))
