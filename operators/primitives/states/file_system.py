"""Ask where a file is, and whether it was ever deleted (SynRL, arXiv 2603.17693, long-term: file system).

Folders and a bin stand in a row, each with one file or none. A step exchanges the contents of two of them. Two blank
sheets fly, whichever files they are, so a step looks the same in every state. A file is deleted when it gets into the
bin, and restored when it gets out again.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import follow
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._course import Course, Operation, State, choose_pairs, exchanged
from temporay.operators.primitives.states._faces import FaceGame
from temporay.operators.primitives.states._game import Layout, Play, Setup
from temporay.operators.primitives.states._recovery import seen_pair, split_active
from temporay.operators.primitives.states._slots import alike, arc_px, around, choose_colors, row_of
from temporay.operators.primitives.states._wordings import TimedWordings
from temporay.operators.records import Frames, Track

NUM_PLACES_BY_LEVEL = (3, 4, 4, 5, 5)  # the last is the bin
FILE_NAMES = ("A", "B", "C", "D", "E")
NOTHING = "-"
BIN = "bin"
SHEET_SHARE = 0.7  # radius of a sheet over that of a file
WORDINGS = {
    "where": TimedWordings(
        paper={
            "forward": ("Where is file {file} at the end?",),
            "retrodictive": ("Where was file {file} at the start?",),
            "historical": ("Where was file {file} after step {number}?",),
        },
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
        paper={
            "forward": ("Was file {file} ever deleted?",),
            "retrodictive": ("Before it is shown at the end, was file {file} ever deleted?",),
            "historical": ("Was file {file} ever deleted up to step {number}?",),
        },
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
    legend = "Folders are numbered from the left, the bin is the rightmost; each step exchanges what two of them hold."
    timed_wordings = WORDINGS
    num_operations_by_level = (3, 3, 4, 6, 8)
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

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        num_places = min(NUM_PLACES_BY_LEVEL[level], max(3, facts["num_operations"] + 1))
        names = FILE_NAMES[: num_places - 1]
        colors = choose_colors(rng, len(names) + 3)
        held = [NOTHING, *names]
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
            return "the bin" if place == BIN else place.replace("-", " ")
        seen = states[: facts["asked_after"] + 1] if facts["at_start"] else states
        return "yes" if any(state[-1] == facts["file"] for state in seen) else "no"

    def carried(self, facts: Facts, state: State) -> str:
        return _places(len(state))[state.index(facts["file"])]

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        return Layout(*row_of(width, height, 1 + len(facts["files"])))

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out folders and the bin, over them the files while they are shown, and the sheets that fly."""
        timing, (places_xy, radius_px) = play.timing, play.layout
        places = _places(len(places_xy))
        holders: list[Track] = []
        for place, xy in zip(places, places_xy, strict=True):
            shape, color, angle_deg = ("cup", "bin", 180.0) if place == BIN else ("square", "folder", 0.0)
            path = np.tile(xy, (1, timing.num_frames, 1))
            holders += alike(place, shape, COLORS[play.facts[color]], 1.5 * radius_px, path, angle_deg=angle_deg)
        paths = np.tile(places_xy[0], (2, timing.num_frames, 1))
        flying_T = np.zeros(timing.num_frames, np.bool_)
        for operation, moving in play.steps:
            a, b = (places.index(word) for word in operation[1:])
            paths[:, moving] = around(places_xy, a, b, timing.shares, arc_px(radius_px))
            flying_T[moving] = True
        sheets = alike("sheet", "box", COLORS[play.facts["sheet"]], SHEET_SHARE * radius_px, paths, flying_T)
        return (*holders, *self.face_tracks(play), *sheets)

    def moves(
        self, frames_THWC: Frames, facts: Facts, layout: Layout, hidden_T: npt.NDArray[np.bool_]
    ) -> list[Operation]:
        """Find each exchange by the half ellipses that the sheets keep closest to."""
        places_xy, radius_px = layout
        places, sheet = _places(len(places_xy)), COLORS[facts["sheet"]]
        area_T = follow(frames_THWC, sheet)[:, 2] * hidden_T
        steps = split_active(area_T > 0.4 * area_T.max(), facts["num_operations"]) or []
        half_px = 0.5 * SHEET_SHARE * radius_px
        pairs = [seen_pair(frames_THWC[step], sheet, places_xy, radius_px, half_px) for step in steps]
        return [("exchange", places[a], places[b]) for a, b in pairs]


def _places(num_places: int) -> tuple[str, ...]:
    return (*(f"folder-{i + 1}" for i in range(num_places - 1)), BIN)
