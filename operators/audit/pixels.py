"""Tier C: forests on few or unordered pixels. A primitive's promises decide which of them may not beat chance.

    thumbnails -> layout, colors, place of the asked color -> view (one frame, two, a bag, in order) -> answer_forest
                                                           -> the same for the colors of each option -> option_forest

A probe must stay at chance, or at what the primitive declares to be inherent (``audit.inherent``): the first frame
answers "what comes first?", and two frames show a direction. Pixels are read roughly here, so a probe that finds
nothing proves little; the ideal audit says what perfect eyes would find.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.audit.gate import AttackResult, Credits, Rows, chances_of, measure
from temporay.operators.audit.inherent import limits_of
from temporay.operators.audit.learners import Features, answer_forest, option_forest, rank_of
from temporay.operators.audit.thumbnails import SIDE, Thumbnails
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Inherent
from temporay.operators.records import Frames

NUM_FOLDS = 3
GRID = 6  # cells along a side of the layout
COLOR_WIDTH = 60.0  # distance in RGB levels at which a pixel counts a third
COLOR_WORD = re.compile(rf"\b(?:{'|'.join(COLORS)})\b")
SPREADS = ("mean", "std", "min", "max")

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameMeasures:
    """Measures of T frames of each of N samples: for C colors, and after them for what stands out of the frame."""

    layout_NTL: Array  # GRID x GRID x RGB, 0 to 1
    amount_NTC: Array  # share of the frame
    xy_NTC2: Array  # center, 0 to 1

    def at(self, t: int) -> FrameMeasures:
        return FrameMeasures(
            layout_NTL=self.layout_NTL[:, t : t + 1],
            amount_NTC=self.amount_NTC[:, t : t + 1],
            xy_NTC2=self.xy_NTC2[:, t : t + 1],
        )


Columns = dict[str, Array]  # (N, n) for each feature
ColorView = Callable[[Array], Columns]  # (N, T, 3) amount, x and y of one color in every frame -> its features
FrameView = Callable[[FrameMeasures], Columns]  # features of the frames as a whole


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelProbe:
    """What one attack may see, and how often it may be right."""

    name: str
    seen: FrameMeasures
    own: ColorView
    whole: FrameView
    gates: bool
    chance_N: Credits


def pixel_attacks(
    rows: Rows,
    thumbnails: Sequence[Thumbnails],
    inherent: Inherent,
    *,
    only_gates: bool = False,
) -> list[AttackResult]:
    """Run all probes on the rows of one task.

    Args:
        inherent: what parts of the clip may tell.
        only_gates: leave out the probes that are only reported.
    """
    results: list[AttackResult] = []
    for probe in probes_of(rows, thumbnails, inherent):
        if only_gates and not probe.gates:
            continue
        attacks = {probe.name: answer_forest(rows, sample_view(rows, probe), NUM_FOLDS)}
        if any(COLOR_WORD.search(option) for row in rows for option in row["options"]):
            attacks[f"{probe.name}_options"] = option_forest(rows, option_view(rows, probe), NUM_FOLDS)
        results += [
            measure("pixels", name, g.credits_N, rows, gates=probe.gates, chance_N=probe.chance_N, features=g.features)
            for name, g in attacks.items()
        ]
    return results


def probes_of(rows: Rows, thumbnails: Sequence[Thumbnails], inherent: Inherent) -> list[PixelProbe]:
    """List the probes, each with what the primitive declares about it."""
    start, end = (_seen([getattr(s, name) for s in thumbnails]) for name in ("start_THWC", "end_THWC"))
    even = _seen([s.even_THWC for s in thumbnails])
    drawn, mean = (_seen([getattr(s, name)[None] for s in thumbnails]) for name in ("random_HWC", "mean_HWC"))
    needs_time = bool(rows[0]["needs_time"])
    probes = []
    for name, part, seen, own, whole in (
        ("random_frame", "random_frame", drawn, _still, _one_frame),
        ("first_frame", "first_frame", start.at(0), _still, _one_frame),
        ("last_frame", "last_frame", end.at(1), _still, _one_frame),
        ("first_two_frames", "first_two_frames", start, _moving, _in_order),
        ("last_two_frames", "last_two_frames", end, _moving, _in_order),
        ("mean_frame", "bag_of_frames", mean, _still, _one_frame),
        ("bag_of_frames", "bag_of_frames", even, _any_order, _as_bag),
        ("ordered_frames", "", even, _moving, _in_order),
    ):
        limits_N, gates = limits_of(inherent, part, rows) if part else (chances_of(rows), False)
        gates = gates and needs_time
        probes.append(PixelProbe(name=name, seen=seen, own=own, whole=whole, gates=gates, chance_N=limits_N))
    return probes


def sample_view(rows: Rows, probe: PixelProbe) -> Features:
    """Describe each sample: the color that the question names, and the frames as a whole."""
    colors_N = np.array([_named_color(row["question"]) for row in rows], dtype=np.intp)
    columns = probe.own(_of(probe.seen, np.arange(len(rows)), colors_N)) | probe.whole(probe.seen)
    return _features(columns)


def option_view(rows: Rows, probe: PixelProbe) -> Features:
    """Describe each option: the first and last color it names, and the color that the question names."""
    owners = np.repeat(np.arange(len(rows)), [len(row["options"]) for row in rows])
    options = [(row, option) for row in rows for option in row["options"]]
    columns: Columns = {}
    for start, texts, which in (
        ("option's first", [option for _, option in options], 0),
        ("option's last", [option for _, option in options], -1),
        ("question's", [row["question"] for row, _ in options], 0),
    ):
        colors = np.array([_named_color(text, which) for text in texts], dtype=np.intp)
        columns |= {f"{start} {name}": v for name, v in probe.own(_of(probe.seen, owners, colors)).items()}
    place = [[rank_of(row, option), row["options"].index(option)] for row, option in options]
    return _features(columns | {"option's rank and letter": np.array(place, np.float32)})


def _still(own_NTF: Array) -> Columns:
    return {"amount of the color": own_NTF[:, 0, :1], "place of the color": own_NTF[:, 0, 1:]}


def _any_order(own_NTF: Array) -> Columns:
    """Describe a color by what does not depend on the order of frames."""
    return {f"{how} place and amount of the color": getattr(np, how)(own_NTF, axis=1) for how in SPREADS}


def _moving(own_NTF: Array) -> Columns:
    """Tell where the color is in every frame, where it goes, and how fast."""
    step_NT2 = _around(np.diff(own_NTF[:, :, 1:], axis=1))
    return {
        "amount of the color": own_NTF[:, :, 0],
        "place of the color": own_NTF[:, :, 1:].reshape(len(own_NTF), -1),
        "step of the color": step_NT2.reshape(len(own_NTF), -1),
        "speed of the color": np.linalg.norm(step_NT2, axis=2),
    }


def _one_frame(seen: FrameMeasures) -> Columns:
    return {"amounts of all colors": seen.amount_NTC[:, 0], "layout": seen.layout_NTL[:, 0]}


def _as_bag(seen: FrameMeasures) -> Columns:
    """Take mean, spread and extremes over the frames."""
    amounts = [getattr(np, how)(seen.amount_NTC, axis=1) for how in SPREADS]
    layouts = [seen.layout_NTL.mean(axis=1), seen.layout_NTL.std(axis=1)]
    return {"amounts of all colors": np.hstack(amounts), "layout": np.hstack(layouts)}


def _in_order(seen: FrameMeasures) -> Columns:
    """Keep every frame in its place, and what changes from one to the next."""
    num_samples, half = len(seen.layout_NTL), seen.layout_NTL.shape[1] // 2
    step_NTC2 = _around(np.diff(seen.xy_NTC2, axis=1))
    return {
        "amounts of all colors": seen.amount_NTC.reshape(num_samples, -1),
        "speeds of all colors": np.linalg.norm(step_NTC2, axis=3).reshape(num_samples, -1),
        "change of the frame": np.abs(np.diff(seen.layout_NTL, axis=1)).mean(axis=2),
        "layout": seen.layout_NTL.mean(axis=1),
        "second half less first": seen.layout_NTL[:, half:].mean(axis=1) - seen.layout_NTL[:, :half].mean(axis=1),
    }


def _features(columns: Columns) -> Features:
    names = tuple(name for name, values in columns.items() for _ in range(values.shape[1]))
    return Features(names=names, values_NF=np.hstack(list(columns.values())))


def _of(seen: FrameMeasures, samples_N: npt.NDArray[np.intp], colors_N: npt.NDArray[np.intp]) -> Array:
    """Return (N, T, 3): amount, x and y of one color in the frames of one sample each."""
    amount_NT1 = seen.amount_NTC[samples_N, :, colors_N][:, :, None]
    joined: Array = np.concatenate([amount_NT1, seen.xy_NTC2[samples_N, :, colors_N]], axis=2)
    return joined


def _around(step: Array) -> Array:
    """Take the shorter way on a frame with joined edges."""
    shorter: Array = (step + 0.5) % 1.0 - 0.5
    return shorter


def _named_color(text: str, which: int = 0) -> int:
    """Return the number of a color that a text names; without one, of what stands out of the frame."""
    found = COLOR_WORD.findall(text.lower())
    return list(COLORS).index(found[which]) if found else len(COLORS)


def _seen(clips: Sequence[Frames]) -> FrameMeasures:
    measured = [_measure(frames_THWC) for frames_THWC in clips]
    layout, amount, xy = (np.stack([m[i] for m in measured]).astype(np.float32) for i in range(3))
    return FrameMeasures(layout_NTL=layout, amount_NTC=amount, xy_NTC2=xy)


def _measure(frames_THWC: Frames) -> tuple[Array, Array, Array]:
    """Measure layout, amounts and centers in one clip's frames."""
    num_frames = len(frames_THWC)
    grid = [cv2.resize(frame, (GRID, GRID), interpolation=cv2.INTER_AREA) for frame in frames_THWC]
    layout_TL = np.stack(grid).reshape(num_frames, -1).astype(np.float32) / 255.0
    pixels_TPC = frames_THWC.reshape(num_frames, -1, 3).astype(np.float32)
    palette_C3 = np.array(list(COLORS.values()), np.float32)
    square_TPC = (
        (pixels_TPC**2).sum(axis=2)[:, :, None]
        - 2.0 * pixels_TPC @ palette_C3.T
        + (palette_C3**2).sum(axis=1)[None, None]
    )
    near_TPC = np.exp(-np.maximum(square_TPC, 0.0) / COLOR_WIDTH**2)
    median_T13 = np.median(pixels_TPC, axis=1, keepdims=True)
    out_TP1 = np.clip(np.abs(pixels_TPC - median_T13).max(axis=2, keepdims=True) / 255.0 - 0.15, 0.0, 1.0)
    weight_TPC = np.concatenate([near_TPC, out_TP1], axis=2)
    total_TC = weight_TPC.sum(axis=1)
    where_P2 = (np.indices((SIDE, SIDE))[::-1].reshape(2, -1).T + 0.5) / SIDE
    xy_TC2 = np.einsum("tpc,pd->tcd", weight_TPC, where_P2) / np.maximum(total_TC, 1e-3)[:, :, None]
    return layout_TL, total_TC / len(where_P2), np.where((total_TC > 0.3)[:, :, None], xy_TC2, -1.0)
