"""Read which figure a path is, and how many times as fast one motion is played as another."""

import numpy as np
from temporay.operators.audit.ideal_states import Doubles, Thing, Watched, steps_between
from temporay.operators.audit.readings.reading import OptionScores, Shown
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.motion._curves import CURVES, curve_error, is_clockwise
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion

FEWEST = 3  # places: any two lie on every figure
STEADY = 0.75  # of the largest step: smaller ones are partly stops


def read_figures(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score figures by how much of the path in view they leave over, and by which way round it goes."""
    if not (shown.ordered and shown.timed):
        return {}
    plan, options = watched.plan, watched.row["options"]
    figures_O = [sorted((name for name in CURVES if name in option), key=option.index) for option in options]
    if len(shown.frames) < FEWEST:
        return {"fit": [0.0] * len(options), "fit this way round": [0.0] * len(options)}
    thing = next(one for one in watched.things if plan.facts["name"] in one.names)
    steps_N2 = steps_between(thing, shown.frames)[0] * (plan.width, plan.height)
    path_N2 = np.concatenate([np.zeros((1, 2)), np.cumsum(steps_N2, axis=0)])
    gone_N = np.array(shown.frames) / (plan.num_frames - 1) * len(figures_O[0])
    turns = 1.0 if is_clockwise(path_N2) else -1.0
    left_over: dict[tuple[int, str], float] = {}
    for i, figure in {pair for figures in figures_O for pair in enumerate(figures)}:
        own_N = (i - 1e-9 <= gone_N) & (gone_N <= i + 1 + 1e-9)
        enough = own_N.sum() >= FEWEST
        left_over[i, figure] = curve_error(path_N2[own_N], figure, gone_N[own_N] - i) if enough else 0.0
    fit_O = [-max(left_over[pair] for pair in enumerate(figures)) for figures in figures_O]
    away_O = [float(turns * _sense(option) < 0) for option in options]
    return {"fit": fit_O, "fit this way round": [fit - away for fit, away in zip(fit_O, away_O, strict=True)]}


def _sense(option: str) -> float:
    """Return which way round an option says: 1 is clockwise; 0 if it does not say."""
    return {"clockwise": 1.0, "counter-clockwise": -1.0}.get(option.rpartition(", ")[2], 0.0)


def read_speeds(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score options by the speeds that are in view in both places, and by the speed of the place they name."""
    assert isinstance(primitive, DrawnMotion)
    if not (shown.ordered and shown.timed):
        return {}
    facts, options = watched.plan.facts, watched.row["options"]
    one, other = (
        _median([_steady(thing, watched, shown, place) for thing in watched.things if thing.names[0] in facts["names"]])
        for place in facts["places"]
    )
    answer = primitive.answer(one / other, facts) if one and other else ""
    ratio = float(np.log(one / other)) if one and other else 0.0
    named = {f"the {facts['places'][0]}": one, f"the {facts['places'][1]}": other}
    claims = [float(np.log(float(o.split()[0]))) if o.endswith("times as fast") else 0.0 for o in options]
    return {
        "right by these speeds": [float(option == answer) for option in options],
        "near these speeds": [-abs(claim - ratio) for claim in claims],
        "speed of what it names": [float(named.get(option, 0.0)) for option in options],
    }


def _median(steps: list[float]) -> float:
    seen = [step for step in steps if step]
    return float(np.median(seen)) if seen else 0.0


def _steady(thing: Thing, watched: Watched, shown: Shown, place: str) -> float:
    """Return how far a shape goes in a frame while it does not stop, in frame heights; 0 where that is not in view."""
    plan, steps = watched.plan, list[Doubles]()
    if place in ("left half", "right half") and place not in thing.names:
        return 0.0
    for block in shown.blocks():
        early = {"first half": True, "second half": False}.get(place)
        own = [frame for frame in block if early in (None, frame < plan.num_frames / 2)]
        if len(own) > 1:
            steps.append(np.hypot(*(steps_between(thing, own)[0] * (plan.width, plan.height)).T) / plan.height)
    gone = np.concatenate(steps) if steps else np.zeros(1)
    return float(gone[gone >= STEADY * gone.max()].mean()) if gone.max() > 0 else 0.0
