"""Games whose state is a face, or none, at each place: cards, tiles, files, symbols."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.colors_seen import coverage
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Doubt, Facts
from temporay.operators.primitives._plan import shape_track
from temporay.operators.primitives.states._game import OperationsGame
from temporay.operators.primitives.states._play import Layout, Operation, Play, State
from temporay.operators.records import Frames, Track

COLUMNS = 3  # of a grid, and its rows
MIN_FACE_SHARE = 0.25  # share of the square around a place that has a face's color, where that face lies


class FaceGame(OperationsGame):
    """A game in which labeled faces are seen in the reveal alone, each in a color of its own."""

    faces_fact: ClassVar[str]  # the fact that gives each face's name the name of its color
    empty: ClassVar[str] = "_"  # what a place without a face holds
    face_shape: ClassVar[str] = "square"
    face_prefix: ClassVar[str] = ""  # begins the name of a face's track

    @abstractmethod
    def moves(self, frames_THWC: Frames, facts: Facts, layout: Layout, revealed: State) -> list[Operation]:
        """Return the operations seen; a number of them that is not the clip's means a doubt.

        Args:
            frames_THWC: the frames that do not show the faces.
            revealed: what the others show.
        """

    def face_tracks(self, play: Play) -> list[Track]:
        """Return the tracks of the faces."""
        colors = play.facts[self.faces_fact]
        return [
            shape_track(
                f"{self.face_prefix}{name}",
                self.face_shape,
                COLORS[colors[name]],
                play.layout.radius_px,
                np.tile(xy, (play.timing.num_frames, 1)),
                play.timing.revealed_T,
                label=name,
            )
            for name, xy in self.face_places(play).items()
        ]

    def face_places(self, play: Play) -> dict[str, npt.NDArray[np.float64]]:
        """Return where each face is shown, in px."""
        held = zip(play.revealed, play.layout.places_xy, strict=True)
        return {name: xy for name, xy in held if name in play.facts[self.faces_fact]}

    def shown_state(self, face_at: Mapping[int, str], num_places: int) -> State:
        """Return the state in which these places have these faces."""
        return tuple(face_at.get(place, self.empty) for place in range(num_places))

    def see(self, frames_THWC: Frames, facts: Facts, layout: Layout) -> tuple[State, list[Operation]]:
        """Find the faces by their colors. Two faces at one place, or no frame with all of them, leave a doubt."""
        names, (places_xy, radius_px) = facts[self.faces_fact], layout
        seen_NTP = np.stack([coverage(frames_THWC, COLORS[c], places_xy, 0.7 * radius_px) for c in names.values()])
        revealed_T = seen_NTP.max(axis=2).min(axis=0) > MIN_FACE_SHARE
        if not revealed_T.any():
            raise Doubt
        face_at = dict(zip(seen_NTP[:, revealed_T].mean(axis=1).argmax(axis=1).tolist(), names, strict=True))
        if len(face_at) < len(names):
            raise Doubt
        shown = self.shown_state(face_at, len(places_xy))
        return shown, self.moves(frames_THWC[~revealed_T], facts, layout, shown)


class GridGame(FaceGame):
    """A game of faces in a grid. A state is written row by row."""

    def written(self, state: State) -> str:
        return ", ".join(" ".join(state[row : row + COLUMNS]) for row in range(0, len(state), COLUMNS))

    def parsed(self, written: str) -> State:
        return tuple(written.replace(",", "").split())
