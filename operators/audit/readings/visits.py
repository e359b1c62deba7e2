"""Read how often a shape comes to an edge of the frame."""

import numpy as np
from temporay.operators.audit.ideal_states import Watched
from temporay.operators.audit.readings.reading import OptionScores, Shown
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.motion._edges import visits


def read_visits(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score numbers by how near they are to the visits that are in view, and by whether these are too many."""
    if not shown.ordered:
        return {}
    plan = watched.plan
    thing = next(one for one in watched.things if plan.facts["name"] in one.names)
    size = np.array([plan.width, plan.height])
    at, radius_px = list(shown.frames), float(thing.size_T[0]) * min(plan.width, plan.height)
    seen = visits(thing.xy_T2[at] * size, radius_px, size)
    counts = [int(option) for option in watched.row["options"]]
    return {
        "near the visits in view": [float(-abs(count - seen)) for count in counts],
        "enough for the visits in view": [float(count >= seen) for count in counts],
    }
