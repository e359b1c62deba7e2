"""Ask where a file is, and whether it was ever deleted (SynRL, arXiv 2603.17693, long-term: file system).

Folders and a bin stand in a row, each with one file or none. A step exchanges the contents of two of them: both come
out, and two blank sheets fly, whichever files they are. So a step looks the same in every state. A file is deleted when
it gets into the bin, and restored when it gets out again.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, Phrases
from temporay.operators.primitives.states._faces import FaceGame
from temporay.operators.primitives.states._play import (
    Course,
    Layout,
    Operation,
    Play,
    Setup,
    State,
    choose_pairs,
    exchanged,
)
from temporay.operators.primitives.states._slots import (
    ROW_ARC,
    alike,
    around,
    choose_colors,
    come_out,
    in_turn,
    pairs_seen,
    row_of,
)
from temporay.operators.primitives.states._wordings import TimedWordings, told_states
from temporay.operators.records import Frames, Track

NUM_PLACES_BY_LEVEL = (3, 4, 4, 5, 5)  # the last is the bin
FILE_NAMES = ("map", "tax", "song", "note", "plan", "mail")
FOLDERS = ("A", "B", "C", "D")
BIN = "bin"
HOLDER, SHEET, PLATE = 1.5, 0.7, 0.75  # radii of a folder or the bin, of a sheet and of a plate, over that of a file
WORDINGS = {
    "where": TimedWordings(
        forward=("Where is file {file} at the end?",),
        retrodictive=("Where was file {file} at the start?",),
        historical=("Where was file {file} after step {number}?",),
        templates=(
            "which place held file {file} {when}?",
            "in which folder, or was it the bin, was file {file} {when}?",
            "files change places unseen. Where did file {file} lie {when}?",
            "somebody looks for file {file}. Where would it have been found {when}?",
            "what was the location of file {file} {when}?",
            "follow file {file}. Where was it {when}?",
            "which of these places had file {file} in it {when}?",
        ),
    ),
    "deleted": TimedWordings(  # asked about a file that is not in the bin when it is shown
        forward=("Was file {file} ever deleted?",),
        retrodictive=("Before it is shown at the end, was file {file} ever deleted?",),
        historical=("Was file {file} ever deleted up to step {number}?",),
        templates=(
            "{when}, was file {file} in the bin?",
            "{when}, did file {file} get into the bin?",
            "did the bin hold file {file} {when}?",
            "was file {file} thrown away {when}?",
            "did any step put file {file} into the bin {when}?",
            "follow file {file}. Was it in the bin {when}?",
            "is it true that file {file} was deleted {when}?",
        ),
        when={
            "forward": "between the start and the end",
            "retrodictive": "at any time before the files are shown",
            "historical": "at any time up to step {number}",
        },
    ),
}


class FileSystem(FaceGame):
    """Files that folders and a bin exchange unseen."""

    task = "file_system"
    subject = "files"
    faces_fact = "files"
    face_shape = "box"
    face_prefix = "file "
    empty = "nothing"
    legend = "Each step exchanges what two of the places hold."
    timed_wordings = WORDINGS
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the folders and, last, the bin show what they hold: {detail}.",
            "Between {start} s and {end} s the files are seen from the left, the bin last: {detail}.",
            "The contents seen from {start} s to {end} s are, with the bin as the last, {detail}.",
        ),
        "exchange": (
            "From {start} s to {end} s {d1} and {d2} exchange what they hold.",
            "Between {start} s and {end} s what {d1} and {d2} hold is exchanged.",
            "{d1} and {d2} swap their contents from {start} s to {end} s.",
        ),
        **told_states("the file in question is in {detail}"),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Files: {detail}.",),
        "exchange": ("Exchange {d1} and {d2}.",),
        **told_states("it is in {detail}"),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        num_places = NUM_PLACES_BY_LEVEL[level]
        names = [FILE_NAMES[int(i)] for i in rng.choice(len(FILE_NAMES), num_places - 1, replace=False)]
        colors = choose_colors(rng, len(names) + 3)
        held = [self.empty, *names]
        revealed = tuple(held[i] for i in rng.permutation(num_places))
        outside = [name for name in names if name != revealed[-1]]
        # "Ever" starts at the shown state: what happens on the hidden side of the asked state is not asked for.
        asks_deleted = bool(rng.integers(2)) and (facts["mode"] != "historical" or facts["at_start"])
        asked = (outside if asks_deleted else names)[int(rng.integers(len(outside if asks_deleted else names)))]
        chosen = {
            "ask": "deleted" if asks_deleted else "where",
            "file": asked,
            "files": dict(zip(names, colors, strict=False)),
            "folder": colors[-1],
            "bin": colors[-2],
            "sheet": colors[-3],
        }
        return Setup(revealed=revealed, facts=chosen, num_answers=2 if asks_deleted else num_places)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        places = _places(len(setup.revealed))
        pairs = choose_pairs(rng, len(places), facts["num_operations"])
        return tuple(("exchange", places[min(pair)], places[max(pair)]) for pair in pairs)

    def apply(self, state: State, operation: Operation) -> State:
        a, b = (_places(len(state)).index(word) for word in operation[1:])
        return exchanged(state, a, b)

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        if facts["ask"] == "where":
            place = self.carried(facts, states[facts["asked_after"]])
            return "the bin" if place == BIN else f"folder {place}"
        seen = states[: facts["asked_after"] + 1] if facts["at_start"] else states
        return "yes" if any(state[-1] == facts["file"] for state in seen) else "no"

    def carried(self, facts: Facts, state: State) -> str:
        return _places(len(state))[state.index(facts["file"])]

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        return Layout(*row_of(width, height, 1 + len(facts["files"])))

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out folders and the bin with their plates, the files while they are shown, and the sheets that fly."""
        timing, (places_xy, radius_px) = play.timing, play.layout
        places = _places(len(places_xy))
        paths = np.repeat(places_xy[:, None], timing.num_frames, axis=1)
        sheets_2T2, flying_T = np.tile(places_xy[0], (2, timing.num_frames, 1)), np.zeros(timing.num_frames, np.bool_)
        for operation, moving in play.steps:
            a, b = (places.index(word) for word in operation[1:])
            come_out(paths, (a, b), moving, timing, HOLDER * radius_px)
            sheets_2T2[:, moving] = around(places_xy, a, b, timing.shares, ROW_ARC * radius_px)
            flying_T[moving] = True
        tracks: list[Track] = []
        plates_y = play.canvas.height - PLATE * radius_px
        for place, path_T2 in zip(places, paths, strict=True):
            shape, name = (BIN, "bin") if place == BIN else ("folder", "folder")
            color = COLORS[play.facts[name]]
            plate = np.column_stack([path_T2[:, 0], np.full(timing.num_frames, plates_y)])
            (plate_track,) = alike("plate", "square", color, PLATE * radius_px, plate[None])
            tracks += [replace(plate_track, label=place)]
            tracks += alike(place, shape, color, HOLDER * radius_px, path_T2[None])
        sheets = alike("sheet", "box", COLORS[play.facts["sheet"]], SHEET * radius_px, sheets_2T2, flying_T)
        return (*tracks, *self.face_tracks(play), *sheets)

    def moves(self, frames_THWC: Frames, facts: Facts, layout: Layout, revealed: State) -> list[Operation]:
        """Find each exchange by the two places that have come out."""
        places, colors = _places(len(layout.places_xy)), [COLORS[facts[name]] for name in ("folder", "bin")]
        pairs = pairs_seen(frames_THWC, colors, layout.places_xy, 0.5 * layout.radius_px)
        numbers = [tuple(int(number) - 1 for number in pair) if pair else None for pair in pairs]
        return in_turn(("exchange", places[pair[0]], places[pair[1]]) if pair else None for pair in numbers)


def _places(num_places: int) -> tuple[str, ...]:
    return (*FOLDERS[: num_places - 1], BIN)
