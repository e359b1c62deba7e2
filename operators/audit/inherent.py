"""What a primitive declares that a part of the clip may tell, and the bound that follows for each row.

    {"two_frames": 1.0}                        two frames may always give the answer
    {"one_frame": (0.9, 0.8, 0.7, 0.7, 0.6)}   by level
    {"which bag_of_frames": 0.7}               only where ``facts["mode"]`` is "which"

A name of a view comes before the name of its group. What is not declared is held to chance.
"""

import json

import numpy as np
from temporay.operators.audit.gate import Credits, Rows, chances_of
from temporay.operators.primitives._base import Inherent

GROUPS = {
    "one_frame": ("first_frame", "last_frame", "random_frame"),
    "two_frames": ("first_two_frames", "last_two_frames", "first_and_last_frame", "any_two_frames"),
    "few_frames": ("middle_three_frames",),
    "one_number": (
        "mean_speed",
        "max_speed",
        "first_speed",
        "last_speed",
        "net_displacement",
        "path_length",
        "clip_length",
        "length_times_first_speed",
        "mean_turn",
        "num_events",
    ),
    "part_of_game": ("reveal", "operations", "first_operation", "first_two_operations", "all_but_one"),
}
GROUP_OF = {view: group for group, views in GROUPS.items() for view in views}
NO_PROMISE: Inherent = {**dict.fromkeys(GROUPS, 1.0), "bag_of_frames": 1.0}  # of a question from elsewhere


def limit_of(inherent: Inherent, view: str, mode: str, level: int) -> float:
    """Return how often a view may give the answer; 0 if nothing is declared."""
    group = GROUP_OF.get(view, view)
    for name in (f"{mode} {view}", f"{mode} {group}", view, group):
        if name in inherent:
            declared = inherent[name]
            return float(declared) if isinstance(declared, float | int) else float(declared[level])
    return 0.0


def limits_of(inherent: Inherent, view: str, rows: Rows) -> tuple[Credits, bool]:
    """Return (N,) how often each row may be guessed from a view, and whether that limits anything."""
    modes = [str(json.loads(row["facts_json"]).get("mode", "")) for row in rows]
    limits = [limit_of(inherent, view, mode, row["level"]) for mode, row in zip(modes, rows, strict=True)]
    limits_N = np.maximum(chances_of(rows), np.minimum(limits, 1.0))
    return limits_N, bool((limits_N < 1.0).any())
