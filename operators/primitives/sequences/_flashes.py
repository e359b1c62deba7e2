"""Boards of keys that light up one after another: when they do, and how that is drawn, logged, shown and seen.

The clip begins and ends dark, and it is dark between two flashes. So the same key may flash twice in a row, and a dark
frame tells nothing. A flash and a dark time both last long enough to be among the frames that a model is shown.
"""

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from math import ceil
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness, coverage
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Facts, by_start
from temporay.operators.primitives._plan import shape_track
from temporay.operators.primitives.motion._drawn_motion import DrawnMotion, MotionClip, Setting
from temporay.operators.primitives.motion._stage import frames_of_gaps
from temporay.operators.records import Event, ScenePlan, Track

MIN_S = 0.2  # a flash or a dark time lasts at least this long
UNEVEN = 0.3  # parameter of the Dirichlet distribution of what is longer than that
DARK = (150, 150, 150)  # color of what is not lit; no color of the palette is near it
MIN_LIT = 0.25  # share of the middle of a key that has the color of light, where it is lit

Sequenced = tuple[str, ...]  # the names of the keys that were lit, in order
Flash = tuple[str, int]  # the name of a key, and for how many frames it is lit


class Key(NamedTuple):
    """What can light up, and what is painted for it. ``xy`` and the radius are in px."""

    name: str
    xy: tuple[float, float]
    radius_px: float
    label: str = ""
    shape: str = "square"
    angle_deg: float = 0.0


class FlashSequence(DrawnMotion[Sequenced]):
    """A question about which keys of a board light up, and in which order."""

    may_be_light: ClassVar[bool] = False  # what "lights up" must get lighter
    name_words: ClassVar[int] = 1  # an event's detail begins with the name of its key, of so many words

    @abstractmethod
    def num_units(self, level: int) -> int:
        """Return how many flashes and dark times a clip of this level has room for."""

    @abstractmethod
    def keys(self, facts: Facts, width: int, height: int) -> list[Key]:
        """Return the keys of the board in a frame of this size, in px."""

    @abstractmethod
    def step(self, lit: Sequence[str], facts: Facts) -> tuple[str, str]:
        """Return what the last flash of these comes to: the kind of its event, and what the detail adds to the name."""

    def min_frames(self, canvas: Canvas, level: int) -> int:
        num_units = self.num_units(level)
        return max(frames_of_gaps(canvas, num_units), num_units * ceil(MIN_S * canvas.fps))

    def stage(
        self, setting: Setting, flashes: Sequence[Flash], facts: Facts, others: Sequence[Track] = ()
    ) -> MotionClip:
        """Show these flashes with dark times between them, before things that only stand there."""
        canvas, num_frames = setting.canvas, setting.num_frames
        num_dark = num_frames - sum(length for _, length in flashes)
        rng = setting.rng_for("dark times")  # how many there are may depend on the truth
        dark = uneven_parts(rng, num_dark, len(flashes) + 1, unit_frames(setting))
        lit_T = np.full(num_frames, "", object)
        events, end, names = [], 0, [name for name, _ in flashes]
        for i, ((name, length), gap) in enumerate(zip(flashes, dark, strict=False), start=1):
            start, end = end + gap, end + gap + length
            lit_T[start:end] = name
            kind, detail = self.step(names[:i], facts)
            events.append(setting.event_in(kind, "key", start, end, f"{name} {detail}"))
        tracks = [_painted(key, lit_T == key.name, facts) for key in self.keys(facts, canvas.width, canvas.height)]
        return MotionClip([*others, *tracks], events, facts)

    def logged(self, events: Sequence[Event], facts: Facts) -> Sequenced:
        return tuple(map(self._name, by_start(events)))

    def seen(self, witness: Witness, facts: Facts) -> Sequenced | None:
        """Find the key that is lit in every frame; frames with several leave a doubt."""
        frames_THWC, color = witness.frames_THWC, COLORS[facts["light"]]
        keys = self.keys(facts, frames_THWC.shape[2], frames_THWC.shape[1])
        shares = [coverage(frames_THWC, color, np.array([key.xy]), 0.55 * key.radius_px)[:, 0] for key in keys]
        lit_KT = np.stack(shares) > MIN_LIT
        if lit_KT.sum(axis=0).max() > 1:
            return None
        return told_apart([keys[int(lit_K.argmax())].name if lit_K.any() else "" for lit_K in lit_KT.T])

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        """Return whether these frames show each flash, and darkness between two of the same key."""
        lit = [
            next((self._name(e) for e in plan.events if e.start_ms - 1e-6 <= shown_ms < e.end_ms - 1e-6), "")
            for shown_ms in plan.shown_ms(frames)
        ]
        return told_apart(lit) == self.logged(plan.events, plan.facts)

    def _name(self, event: Event) -> str:
        return " ".join(event.detail.split()[: self.name_words])


def told_apart(lit: Sequence[str]) -> Sequenced:
    """Return the flashes that frames show, given the key that is lit in each of them; "" for none."""
    return tuple(name for name, _ in groupby(lit) if name)


def unit_frames(setting: Setting) -> int:
    """Return how many frames a flash or a dark time has at least."""
    return max(setting.gap, ceil(MIN_S * setting.canvas.fps))


def choose_lit_frames(setting: Setting, num_lit: int, num_dark: int) -> int:
    """Choose in how many frames of the clip some key is lit, with room for so many flashes and dark times."""
    unit = unit_frames(setting)
    spare = setting.num_frames - (num_lit + num_dark) * unit
    return num_lit * unit + int(setting.rng.integers(spare + 1))


def uneven_parts(rng: np.random.Generator, total: int, num_parts: int, minimum: int) -> list[int]:
    """Cut a length into parts, most of them little above the minimum: so one part hardly tells how many there are."""
    shares = rng.dirichlet(np.full(num_parts, UNEVEN))
    return [minimum + int(more) for more in rng.multinomial(total - num_parts * minimum, shares)]


def with_lengths(setting: Setting, names: Sequence[str]) -> list[Flash]:
    """Choose for how long each key is lit, alike for every order of these names: then all have the same frames."""
    num_lit, unit = len(names), unit_frames(setting)
    lengths = uneven_parts(setting.rng, choose_lit_frames(setting, num_lit, num_lit + 1), num_lit, unit)
    of_name: dict[str, list[int]] = defaultdict(list)
    for name, length in zip(sorted(names), lengths, strict=True):
        of_name[name].append(length)
    return [(name, of_name[name].pop()) for name in names]


def still(key: Key, color: tuple[int, int, int], num_frames: int) -> Track:
    """Return the track of what stands where a key stands, in one color."""
    xy_T2 = np.tile(key.xy, (num_frames, 1))
    return shape_track(key.name, key.shape, color, key.radius_px, xy_T2, label=key.label, angle_deg=key.angle_deg)


def _painted(key: Key, lit_T: npt.NDArray[np.bool_], facts: Facts) -> Track:
    color_T3 = np.where(lit_T[:, None], COLORS[facts["light"]], DARK).astype(np.uint8)
    return replace(still(key, DARK, len(lit_T)), color_T3=color_T3)
