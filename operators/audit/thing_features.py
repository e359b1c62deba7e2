"""Features of one thing: what one frame, a few frames, all frames in order, or a bag of frames say of it.

The same function describes two frames and all frames, so the probe that certifies is the probe that attacks.
"""

from collections.abc import Sequence

import numpy as np
from temporay.operators.audit.ideal_states import Doubles, Thing, Watched, steps_between

REST = 1e-3  # a step below this share of the frame is no motion
TURNS = 0.15  # radians between two steps, from which on a path turns
FEW = 3  # frames; of more, the course as a whole is described too
NUM_PARTS = 4
ORDINALS = ("first time", "second time", "third time", "fourth time")
NamedNumbers = dict[str, float]


def in_order(thing: Thing, frames: Sequence[int], fps: float) -> NamedNumbers:
    """Describe a thing by its states in these frames and by what changes between them."""
    found = _state(thing, frames[0], "first")
    if len(frames) == 1:
        return found
    steps, turns = steps_between(thing, frames)
    gaps = np.diff(frames)
    found |= _state(thing, frames[-1], "last") | _step(steps[0], turns[0], gaps[0], "first", thing, fps)
    found |= _step(steps[-1], turns[-1], gaps[-1], "last", thing, fps)
    if len(frames) >= FEW:
        found |= _course(thing, frames, steps, turns, fps)
    return found


def in_a_bag(thing: Thing, frames: Sequence[int]) -> NamedNumbers:
    """Describe a thing by statistics of its states that do not depend on the order of the frames."""
    at = np.asarray(frames)
    shown = at[thing.visible_T[at]]
    found: NamedNumbers = {"share of frames in which it is seen": len(shown) / len(at)}
    columns = {
        "x": thing.xy_T2[shown, 0],
        "y": thing.xy_T2[shown, 1],
        "size": thing.size_T[shown],
        "sine": np.sin(2 * np.pi * thing.angle_T[shown]),
        "cosine": np.cos(2 * np.pi * thing.angle_T[shown]),
        "hue": thing.color_T3[shown] @ (1.0, 2.0, 4.0),
    }
    for name, values in columns.items():
        values = values if len(values) else np.zeros(1)
        found |= {f"{how} of {name}": float(getattr(np, how)(values)) for how in ("mean", "std", "min", "max")}
        found[f"number of values of {name}"] = float(len(np.unique(values.round(3))))
    return found


def in_the_log(thing: Thing, watched: Watched, frames: Sequence[int], kinds: Sequence[str]) -> NamedNumbers:
    """Describe the events that happen within these frames from start to end, by kind: how often and when.

    An event of which a part is not shown is not known, and of frames that are not neighbors none is. Details are left
    out, because they may hold the answer.
    """
    found: NamedNumbers = {}
    asked_time = next((n for n, word in enumerate(ORDINALS) if word in watched.row["question"]), 0)
    frame_ms = 1000.0 / watched.plan.fps
    start_ms, end_ms = frames[0] * frame_ms - 1e-3, (frames[-1] + 1) * frame_ms + 1e-3
    are_neighbors = frames[-1] - frames[0] == len(frames) - 1
    for kind in kinds:
        within = [
            event
            for event in watched.plan.events
            if event.kind == kind and are_neighbors and start_ms <= event.start_ms and event.end_ms <= end_ms
        ]
        own = sorted(event.start_ms / 1000.0 for event in within if event.subject in thing.names)
        for whose, times in (("own", own), ("all", sorted(event.start_ms / 1000.0 for event in within))):
            nth = times[asked_time : asked_time + 1]
            found |= {
                f"{whose} asked {kind} event": nth[0] if nth else 1e3,
                f"{whose} {kind} events": float(len(times)),
                f"{whose} first {kind} event": min(times, default=1e3),
                f"{whose} last {kind} event": max(times, default=-1.0),
            }
    return found


def one_numbers(thing: Thing, num_events: int) -> NamedNumbers:
    """Return what a clip can be boiled down to, each a probe of its own."""
    num_frames = len(thing.xy_T2)
    steps, turns = steps_between(thing, range(num_frames))
    speeds, turning = np.hypot(*steps.T), np.abs(turns)
    return {
        "mean_speed": float(speeds.mean()),
        "max_speed": float(speeds.max()),
        "first_speed": float(speeds[0] + turning[0]),
        "last_speed": float(speeds[-1] + turning[-1]),
        "net_displacement": float(np.hypot(*steps.sum(axis=0))),
        "path_length": float(speeds.sum()),
        "clip_length": float(num_frames),
        "length_times_first_speed": float(num_frames * (speeds[0] + turning[0])),
        "mean_turn": float(turning.mean()),
        "num_events": float(num_events),
    }


def _state(thing: Thing, frame: int, when: str) -> NamedNumbers:
    x, y = thing.xy_T2[frame]
    angle = 2 * np.pi * thing.angle_T[frame]
    red, green, blue = thing.color_T3[frame]
    seen = float(thing.visible_T[frame])
    values = {"x": x, "y": y, "size": thing.size_T[frame], "sine": np.sin(angle), "cosine": np.cos(angle)}
    values |= {"hue": red + 2 * green + 4 * blue, "kind": thing.kind_T[frame]}
    return {f"seen {when}": seen} | {f"{name} {when}": float(seen * value) for name, value in values.items()}


def _step(step_2: Doubles, turn: float, gap: int, when: str, thing: Thing, fps: float) -> NamedNumbers:
    speed, num_frames = float(np.hypot(*step_2)) / gap, len(thing.xy_T2)
    return {
        f"step x {when}": float(step_2[0]),
        f"step y {when}": float(step_2[1]),
        f"direction {when}": float(np.arctan2(step_2[1], step_2[0])) if speed > REST else -9.0,
        f"speed {when}": speed,
        f"turn {when}": float(turn),
        f"speed by length {when}": speed * num_frames,
        f"turn by length {when}": float(turn) / gap * num_frames,
        f"speed a second {when}": speed * fps,
    }


def _course(thing: Thing, frames: Sequence[int], steps: Doubles, turns: Doubles, fps: float) -> NamedNumbers:
    """Describe what only frames in their order show."""
    at, speeds = np.asarray(frames), np.hypot(*steps.T)
    seen = thing.visible_T[at]
    shown = np.flatnonzero(seen)
    moving = steps[speeds > REST]
    bends = np.diff(np.unwrap(np.arctan2(moving[:, 1], moving[:, 0]))) if len(moving) > 1 else np.zeros(1)
    changes = np.flatnonzero(_changes(thing, at))
    parts = [slice(n * len(speeds) // NUM_PARTS, (n + 1) * len(speeds) // NUM_PARTS) for n in range(NUM_PARTS)]
    size_steps = np.diff(thing.size_T[at])
    found = {
        "way": float(speeds.sum()),
        "net x": float(steps[:, 0].sum()),
        "net y": float(steps[:, 1].sum()),
        "net": float(np.hypot(*steps.sum(axis=0))),
        "net over way": float(np.hypot(*steps.sum(axis=0)) / max(speeds.sum(), REST)),
        "fastest": float(speeds.max()),
        "uneven speed": float(speeds.std() / max(speeds.mean(), REST)),
        "turns back": float(_turns_back(steps[:, 0]) + _turns_back(steps[:, 1])),
        "spin": float(turns.sum()),
        "spin both ways": float(np.abs(turns).sum()),
        "bend": float(bends.sum()),
        "bend both ways": float(np.abs(bends).sum()),
        "sharpest bend": float(np.abs(bends).max()),
        "number of bends": float((np.abs(bends) > TURNS).sum()),
        "changes of bend": float((np.diff(np.sign(bends[np.abs(bends) > TURNS])) != 0).sum()),
        "share at rest": float((speeds <= REST).mean()),
        "rests": float(_runs(speeds <= REST)),
        "times seen": float(_runs(seen)),
        "first seen": float(at[shown[0]] / fps) if len(shown) else 1e3,
        "last seen": float(at[shown[-1]] / fps) if len(shown) else -1.0,
        "share seen": float(seen.mean()),
        "number of changes": float(len(changes)),
        "first change": float(at[changes[0] + 1] / fps) if len(changes) else -1.0,
        "last change": float(at[changes[-1] + 1] / fps) if len(changes) else -1.0,
        "growth": float(np.sign(size_steps).mean()),
        "down where it goes": _slope(thing.xy_T2[at][seen], np.sign(steps[:, 0].sum() or 1.0)),
    }
    for n, part in enumerate(parts):
        found |= {f"way {n}": float(speeds[part].sum()), f"spin {n}": float(turns[part].sum())}
        found |= {f"part {n} x": float(steps[part, 0].sum()), f"part {n} y": float(steps[part, 1].sum())}
    late, early = speeds[len(speeds) // 2 :].sum(), speeds[: len(speeds) // 2].sum()
    third = max(1, len(speeds) // 3)
    found["late over early"] = float(late / max(early, REST))
    found["last third over first"] = float(speeds[-third:].sum() / max(speeds[:third].sum(), REST))
    return found


def _changes(thing: Thing, at: Doubles) -> Doubles:
    looks = np.column_stack([thing.visible_T[at], thing.size_T[at], thing.color_T3[at], thing.kind_T[at]])
    return np.asarray((np.abs(np.diff(looks, axis=0)) > REST).any(axis=1))


def _turns_back(steps: Doubles) -> int:
    signs = np.sign(steps[np.abs(steps) > REST])
    return int((np.diff(signs) != 0).sum())


def _runs(flags: Doubles) -> int:
    return int((np.diff(np.concatenate([[0], flags.astype(int)])) == 1).sum())


def _slope(xy_N2: Doubles, way: float) -> float:
    if len(xy_N2) < FEW or xy_N2.std(axis=0).min() < REST:
        return 0.0
    return float(way * np.corrcoef(xy_N2.T)[0, 1])
