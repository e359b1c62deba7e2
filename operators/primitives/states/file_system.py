"""Where is a file, and was it ever deleted? (SynRL, arXiv 2603.17693, long-term: file system.)

Folders and a bin stand in a row, each with one file or none. A step exchanges what two of them hold: two blank sheets
fly, whichever files they are, so a step looks the same in every state. A file is deleted when it gets into the bin,
and restored when it gets out again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._game import (
    Course,
    Facts,
    Operation,
    OperationsGame,
    Stage,
    State,
    timed_wordings,
)
from temporay.operators.primitives.states._slots import (
    Timing,
    arc_px,
    around,
    coverage,
    row_of,
    seen_pair,
    split_active,
)
from temporay.operators.records import Track

NUM_PLACES_BY_LEVEL = (3, 4, 4, 5, 5)  # the last is the bin
FILE_NAMES = ("A", "B", "C", "D", "E")
NOTHING = "-"
BIN = "bin"
SHEET_SHARE = 0.7  # of a file's radius
WHERE_WORDINGS = {
    "forward": "Where is file {file} at the end?",
    "retrodictive": "Where was file {file} at the start?",
    "historical": "Where was file {file} after step {number}?",
}
WHERE_TEMPLATES = (
    "which place held file {file} {when}?",
    "in which folder, or was it the bin, was file {file} {when}?",
    "files change places unseen. Where did file {file} lie {when}?",
    "somebody looks for file {file}. Where would it have been found {when}?",
    "what was the location of file {file} {when}?",
    "follow file {file}. Where was it {when}?",
    "which of these places had file {file} in it {when}?",
)
DELETED_WORDINGS = {  # of a file that is not in the bin when it is shown
    "forward": "Was file {file} ever deleted?",
    "retrodictive": "Before it is shown at the end, was file {file} ever deleted?",
    "historical": "Was file {file} ever deleted up to step {number}?",
}
DELETED_WHEN = {
    "forward": "between the start and the end",
    "retrodictive": "at any time before the files are shown",
    "historical": "at any time up to step {number}",
}
DELETED_TEMPLATES = (
    "{when}, was file {file} in the bin?",
    "{when}, did file {file} get into the bin?",
    "did the bin hold file {file} {when}?",
    "was file {file} thrown away {when}?",
    "did any step put file {file} into the bin {when}?",
    "follow file {file}. Was it in the bin {when}?",
    "is it true that file {file} was deleted {when}?",
)


class FileSystem(OperationsGame):
    task: ClassVar[str] = "file_system"
    subject: ClassVar[str] = "files"
    legend: ClassVar[str] = (
        "Folders are numbered from the left, the bin is the rightmost; each step exchanges what two of them hold."
    )
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]] = (3, 3, 4, 6, 8)
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the folders and, last, the bin show what they hold: {detail}.",
            "Between {start} s and {end} s the files are seen from the left, the bin last: {detail}.",
            "The contents seen from {start} s to {end} s are, with the bin as the last, {detail}.",
        ),
        "exchange": (
            "From {start} s to {end} s {d1} and {d2} exchange files; the file is in {d3} before, in {d4} after.",
            "Between {start} s and {end} s what {d1} and {d2} hold is exchanged, and the file goes from {d3} to {d4}.",
            "The exchange of {d1} and {d2} from {start} s to {end} s: the file is in {d3} before it, in {d4} after it.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Files {detail}.",),
        "exchange": ("Exchange {d1} {d2}, file in {d3} before, {d4} after.",),
    }

    def stage(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage:
        num_places = min(NUM_PLACES_BY_LEVEL[level], max(3, facts["num_operations"] + 1))
        names = FILE_NAMES[: num_places - 1]
        colors = [list(COLORS)[int(i)] for i in rng.choice(len(COLORS), len(names) + 3, replace=False)]
        held = [NOTHING, *names]
        revealed = tuple(held[i] for i in rng.permutation(num_places))
        outside = [name for name in names if name != revealed[-1]]
        # what happens on the hidden side of the asked state is not asked for, so "ever" starts at the shown state
        asks_deleted = bool(rng.integers(2)) and (facts["mode"] != "historical" or facts["at_start"])
        asked = (outside if asks_deleted else names)[int(rng.integers(len(outside if asks_deleted else names)))]
        drawn = {
            "ask": "deleted" if asks_deleted else "where",
            "file": asked,
            "files": dict(zip(names, colors, strict=False)),
            "folder": colors[-1],
            "bin": colors[-2],
            "sheet": colors[-3],
        }
        return Stage(revealed=revealed, facts=drawn, num_answers=2 if asks_deleted else num_places)

    def propose(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> Course:
        places = _places(len(stage.revealed))
        pairs = [sorted(rng.choice(len(places), 2, replace=False)) for _ in range(facts["num_operations"])]
        return tuple(("exchange", places[int(a)], places[int(b)]) for a, b in pairs)

    def apply(self, state: State, operation: Operation) -> State:
        a, b = (_places(len(state)).index(word) for word in operation[1:])
        held = list(state)
        held[a], held[b] = held[b], held[a]
        return tuple(held)

    def undo(self, state: State, operation: Operation) -> State:
        return self.apply(state, operation)

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        if facts["ask"] == "where":
            place = self.carried(facts, states[facts["asked_after"]])
            return "the bin" if place == BIN else place.replace("-", " ")
        seen = states[: facts["asked_after"] + 1] if facts["at_start"] else states
        return "yes" if any(state[-1] == facts["file"] for state in seen) else "no"

    def carried(self, facts: Facts, state: State) -> str:
        return _places(len(state))[state.index(facts["file"])]

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        if facts["ask"] == "where":
            return timed_wordings(WHERE_TEMPLATES, facts, WHERE_WORDINGS)
        asked = [template.replace("{when}", DELETED_WHEN[facts["mode"]]) for template in DELETED_TEMPLATES]
        return [DELETED_WORDINGS[facts["mode"]], *(text[0].upper() + text[1:] for text in asked)]

    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]:
        """Folders and the bin, over them the files while they are shown, and the sheets that fly."""
        num_places = len(states[0])
        places_xy, radius_px = row_of(canvas.width, canvas.height, num_places)
        everywhere = np.ones(timing.num_frames, np.bool_)
        still_NT2 = np.repeat(places_xy[:, None], timing.num_frames, axis=1)
        holders = [
            Track(
                name=place,
                shape="cup" if place == BIN else "square",
                color=COLORS[facts["bin" if place == BIN else "folder"]],
                radius_px=1.5 * radius_px,
                xy_T2=path,
                visible_T=everywhere,
                angle_deg_T=np.full(timing.num_frames, 180.0) if place == BIN else None,
            )
            for place, path in zip(_places(num_places), still_NT2, strict=True)
        ]
        files = [
            Track(
                name=f"file {name}",
                shape="box",
                color=COLORS[facts["files"][name]],
                radius_px=radius_px,
                xy_T2=path,
                visible_T=timing.revealed_T,
                label=name,
            )
            for name, path in zip(states[0 if timing.at_start else -1], still_NT2, strict=True)
            if name != NOTHING
        ]
        paths, flying_T = _sheet_paths(places_xy, course, timing, arc_px(radius_px))
        sheets = [
            Track(
                name="sheet",
                shape="box",
                color=COLORS[facts["sheet"]],
                radius_px=SHEET_SHARE * radius_px,
                xy_T2=path,
                visible_T=flying_T,
            )
            for path in paths
        ]
        return (*holders, *files, *sheets)

    def recover(self, witness: Witness) -> int | None:
        """By the files' colours, and by the two places whose half ellipses the sheets keep closest to."""
        frames_THWC, facts = witness.frames_THWC, witness.facts
        height, width = frames_THWC.shape[1:3]
        names = [NOTHING, *facts["files"]]
        places_xy, radius_px = row_of(width, height, len(names))
        seen_NTP = np.stack(
            [coverage(frames_THWC, COLORS[color], places_xy, 0.7 * radius_px) for color in facts["files"].values()]
        )
        revealed_T = seen_NTP.max(axis=2).min(axis=0) > 0.25
        area_T = np.nan_to_num(follow(frames_THWC, COLORS[facts["sheet"]])[:, 2]) * ~revealed_T
        steps = split_active(area_T > 0.4 * area_T.max(), facts["num_operations"])
        if not revealed_T.any() or steps is None:
            return None
        held = [NOTHING] * len(names)
        for name, place in zip(facts["files"], seen_NTP[:, revealed_T].mean(axis=1).argmax(axis=1), strict=True):
            held[int(place)] = name
        if len(set(held)) < len(names):
            return None
        places, color, half_px = _places(len(names)), COLORS[facts["sheet"]], 0.5 * SHEET_SHARE * radius_px
        pairs = [seen_pair(frames_THWC[step], color, places_xy, radius_px, half_px) for step in steps]
        course = tuple(("exchange", places[a], places[b]) for a, b in pairs)
        answer = self.answer(facts, tuple(held), course)
        return witness.options.index(answer) if answer in witness.options else None


def _places(num_places: int) -> tuple[str, ...]:
    return (*(f"folder-{i + 1}" for i in range(num_places - 1)), BIN)


def _sheet_paths(
    places_xy: npt.NDArray[np.float64], course: Course, timing: Timing, height_px: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(2, T, 2) px of the sheet that flies over the row and of the one under it, and when they are seen."""
    paths = np.tile(places_xy[0], (2, timing.num_frames, 1))
    flying_T = np.zeros(timing.num_frames, np.bool_)
    for operation, start in zip(course, timing.starts, strict=True):
        a, b = (_places(len(places_xy)).index(word) for word in operation[1:])
        moving = slice(start, start + timing.per_op)
        paths[:, moving] = around(places_xy, a, b, timing.shares, height_px)
        flying_T[moving] = True
    return paths, flying_T
