"""Features of ideal states: what a part of a clip says of each sample, and of each option.

thing, frames -> named numbers -> columns of a sample (things that are asked about, all things together)
                               -> columns of an option (things that it names, against those of the other options)
clip, frames  -> scores that a reader gives to options -> more columns of an option
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from temporay.operators.audit.ideal_states import Doubles, Thing, Watched
from temporay.operators.audit.learners import Features
from temporay.operators.audit.readings.reading import OptionScores, score_columns
from temporay.operators.audit.thing_features import REST, NamedNumbers
from temporay.operators.primitives.motion._stage import VECTORS

EXTRAS = ("number of things", "clip length", "relative x", "relative y", "relative angle")
DIRECTION = re.compile("|".join(sorted(map(re.escape, VECTORS), key=len, reverse=True)))
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """Every thing of one sample in numbers, (K, F)."""

    watched: Watched
    names: tuple[str, ...]
    values_KF: Doubles  # zeros for what the view does not show: how a plan hides things is not to be seen
    shown_K: npt.NDArray[np.bool_]
    scores: OptionScores = field(default_factory=dict)  # of the options, by the reader of this kind

    @classmethod
    def of(
        cls,
        watched: Watched,
        frames: Sequence[int],
        describe: Callable[[Thing], NamedNumbers],
        scores: OptionScores | None = None,
    ) -> Described:
        """Describe what can be seen in some frames."""
        numbers = [describe(thing) for thing in watched.things]
        shown_K = np.array([thing.visible_T[list(frames)].any() for thing in watched.things])
        values_KF = np.array([list(one.values()) for one in numbers], np.float64) * shown_K[:, None]
        names = tuple(numbers[0])
        return cls(watched=watched, names=names, values_KF=values_KF, shown_K=shown_K, scores=scores or {})

    def only(self, names: Sequence[str]) -> Described:
        columns = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), values_KF=self.values_KF[:, columns])

    def asked(self, n: int) -> Doubles:
        """Return the n-th thing that the question names, (F,); zeros if it names fewer."""
        named = self.watched.asked
        return self.values_KF[named[n]] if n < len(named) else np.zeros(len(self.names))


def sample_columns(described: Sequence[Described]) -> Features:
    """Describe each sample: the first two things that are asked about, and all things together."""
    names, rows = described[0].names, []
    for one in described:
        own_KF = one.values_KF[one.shown_K] if one.shown_K.any() else one.values_KF[:1]
        left, right = _by_window(one)
        extra = [] if len(names) == 1 else [len(own_KF), one.watched.plan.num_frames, *_between_asked(one)]
        parts = [one.asked(0), one.asked(1), own_KF.mean(axis=0), own_KF.std(axis=0)]
        parts += [
            (np.abs(own_KF) > REST).sum(axis=0) * (len(names) > 1),
            left - right,
            left / np.where(right == 0, 1e-6, right),
            extra,
        ]
        rows.append(np.concatenate(parts))
    kinds = ("asked 1", "asked 2", "mean", "spread", "how many have", "left less right", "left over right")
    extras = EXTRAS if len(names) > 1 else ()  # a number by itself is nothing else
    return _matrix((*(f"{kind}: {name}" for kind in kinds for name in names), *extras), rows)


def option_columns(described: Sequence[Described]) -> Features:
    """Describe each option: the things it names against those of the others, its directions and its number."""
    names, rows = described[0].names, []
    amounts = [i for i, name in enumerate(names) if _is_amount(name)]
    across = [i for i, name in enumerate(names) if _is_x(name)]
    down = [names.index(names[i].replace("x", "y")) for i in across]
    for one in described:
        named_O = one.watched.named
        firsts_OF = np.array([one.values_KF[n[0]] if n else np.zeros(len(names)) for n in named_O])
        less_OF = firsts_OF - firsts_OF.mean(axis=0)
        rank_OF = (firsts_OF[None] < firsts_OF[:, None]).sum(axis=1)
        shown_KF = one.values_KF[one.shown_K] if one.shown_K.any() else one.values_KF[:1]
        asked_F = one.asked(0) if one.watched.asked else shown_KF.mean(axis=0)
        for letter, (option, named) in enumerate(zip(one.watched.row["options"], named_O, strict=True)):
            seen_F = firsts_OF[letter] if named else asked_F
            num_named = float(one.shown_K[list(named)].sum()) if len(names) > 1 else 0.0
            parts = [[float(letter), num_named], firsts_OF[letter], less_OF[letter], rank_OF[letter]]
            parts += [_rises(one.values_KF[list(named)]), _along(option, seen_F[across], seen_F[down])]
            rows.append(np.concatenate([*parts, _less(option, asked_F[amounts])]))
    kinds = ("its", "less the mean, its", "rank of its", "order by")
    told = (
        *(f"{kind} {name}" for kind in kinds for name in names),
        *(f"{word} word along {names[i]}" for word in ("first", "last") for i in across),
        *("number", *(f"number less {names[i]}" for i in amounts)),
    )
    return _matrix(("letter", "number of things named", *told), rows)


def score_features(described: Sequence[Described]) -> Features:
    """Describe each option by nothing but the scores that the reader gives it."""
    of_samples = [score_columns(one.scores) for one in described]
    rows = [row for columns in of_samples for row in np.stack(list(columns.values()), axis=1)]
    return _matrix(tuple(of_samples[0]), rows)


def _by_window(one: Described) -> tuple[Doubles, Doubles]:
    """Return the means of the things in the first two parts of the frame; zeros if there are no parts."""
    of_thing = [t.window if shown else None for t, shown in zip(one.watched.things, one.shown_K, strict=True)]
    windows = sorted({window for window in of_thing if window})[:2]
    means = [one.values_KF[[w == window for w in of_thing]].mean(axis=0) for window in windows]
    left, right = [*means, *[np.zeros(len(one.names))] * 2][:2]
    return left, right


def _between_asked(one: Described) -> list[float]:
    """Compare the two things that are asked about, where something first changes its looks, or else at first."""
    if len(set(one.watched.asked)) < 2:
        return [0.0, 0.0, -9.0]
    a, b = (one.watched.things[n] for n in one.watched.asked[:2])
    times = one.values_KF[:, one.names.index("first change")] if "first change" in one.names else np.empty(0)
    if (times > 0).any():  # else no frame of a change is in view
        frame = min(len(a.xy_T2) - 1, round(float(times[times > 0].min()) * one.watched.plan.fps))
        x, y = a.xy_T2[frame] - b.xy_T2[frame]
    elif "x first" in one.names:
        x, y = ((one.asked(0) - one.asked(1))[one.names.index(f"{axis} first")] for axis in "xy")
    else:
        x = y = 0.0
    return [float(x), float(y), float(np.arctan2(y, x))]


def _rises(values_NF: Doubles) -> Doubles:
    """Return (F,) the share of pairs that rise less the share that falls: Kendall's tau without ties."""
    later, earlier = np.triu_indices(len(values_NF), 1)[::-1]
    if not len(later):
        return np.zeros(values_NF.shape[1])
    return np.asarray(np.sign(values_NF[later] - values_NF[earlier]).mean(axis=0))


def _along(option: str, x: Doubles, y: Doubles) -> Doubles:
    """Return how far steps go along the first and the last direction word of an option."""
    words = DIRECTION.findall(option) or [""]
    length = np.maximum(np.hypot(x, y), REST)
    vectors = [VECTORS.get(word, (0.0, 0.0)) for word in (words[0], words[-1])]
    return np.concatenate([(across * x + down * y) / length for across, down in vectors])


def _less(option: str, amounts: Doubles) -> Doubles:
    """Return the first number of an option, and the number less everything that was measured."""
    told = NUMBER.search(option)
    return np.concatenate([[-1.0], 0 * amounts]) if told is None else float(told[0]) - np.concatenate([[0.0], amounts])


def _is_x(name: str) -> bool:
    return name.startswith("step x") or name == "net x" or (name.startswith("part") and name.endswith("x"))


def _is_amount(name: str) -> bool:
    return not name.startswith(("x ", "y ", "hue", "kind", "sine", "cosine", "seen ", "direction", "part"))


def _matrix(names: Sequence[str], rows: Sequence[Doubles]) -> Features:
    values_NF = np.asarray(np.stack(rows), np.float32)
    kept = np.flatnonzero(values_NF.std(axis=0) > 0)
    kept = kept if len(kept) else np.arange(1)
    return Features(names=tuple(names[k] for k in kept), values_NF=values_NF[:, kept])
