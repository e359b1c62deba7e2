"""Charts as inline SVG, pure functions of numbers; colors are CSS variables of the page, so light and dark both work.

values -> running mean -> polyline with its band -> plot; plots, bars with intervals -> one ``<figure>``
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from temporay.operators.pages.page import escape, why
from temporay.operators.scoring.metrics import ConfidenceInterval

Tone = Literal["base", "sft", "grpo", "soft"]

WIDTH, HEIGHT = 480, 200  # size of a line chart, in CSS pixels
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 24
MAX_POINTS = 400  # a longer curve is drawn as the means of equal parts
MIN_UNREAD = 0.05  # share of unread answers from which on it is told
MOSTLY = 0.5  # share of guesses from which on an accuracy tells more of them than of the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values by step; ``faint`` for the raw values behind a smoothed curve."""

    steps: Sequence[float]
    values: Sequence[float]
    tone: Tone
    faint: bool = False
    dashed: bool = False
    dots: bool = False  # at every value, where there are few


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """What a value may be, from low to high, by step; drawn behind the curves."""

    steps: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Where steps and values stand on a plot, in its own pixels."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float
    height: int

    def x(self, step: float) -> float:
        return LEFT + (step - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return self.height - BOTTOM - (value - self.y_low) / (self.y_high - self.y_low) * (self.height - TOP - BOTTOM)

    def points(self, steps: Sequence[float], values: Sequence[float]) -> str:
        """Return the points of a line as SVG writes them."""
        return " ".join(f"{self.x(s):.1f},{self.y(v):.1f}" for s, v in zip(steps, values, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One accuracy, with the share of its answers that name no option."""

    name: str
    interval: ConfidenceInterval
    tone: Tone
    unread: float = 0.0
    guessed: bool = False  # whether unread answers count as guesses, or else as wrong

    @property
    def is_mostly_guessed(self) -> bool:
        return self.guessed and self.unread >= MOSTLY


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Average the ``window`` values around each value; fewer at both ends.

    Raises:
        ValueError: ``window`` is below 1.
    """
    if window < 1:
        raise ValueError(f"window is {window}")
    before, after = (window - 1) // 2, window // 2
    parts = [values[max(0, i - before) : i + after + 1] for i in range(len(values))]
    return [math.fsum(part) / len(part) for part in parts]


def line_chart(title: str, curves: Sequence[Curve], *, note: str = "", low: float | None = None) -> str:
    """Return a figure of curves over steps.

    Args:
        note: stands beside the title, e.g. first and last value.
        low: where the value axis starts; None: at the lowest value.
    """
    return figure(title, note, plot(title, curves, low=low))


def plot(
    title: str,
    curves: Sequence[Curve],
    bands: Sequence[Band] = (),
    *,
    low: float | None = None,
    high: float | None = None,
    height: int = HEIGHT,
) -> str:
    """Return curves over steps, before their bands, as SVG; without a value, a note that says so.

    Args:
        title: for readers who do not see it.
        low: where the value axis starts; None: at the lowest value.
        high: where it ends; None: at the highest value.
        height: of the plot, in its own pixels; it is ``WIDTH`` wide.
    """
    thinned = [_thinned(curve) for curve in curves]
    steps = [step for curve in curves for step in curve.steps]
    values = [value for curve in thinned for value in curve.values]
    if not values:
        return why("No step logged this.")
    values += [value for band in bands for value in (*band.low, *band.high)]
    x_ticks = ticks(min(steps), max(steps), 5)
    y_ticks = ticks(min(values) if low is None else low, max(values) if high is None else high, max(2, height // 50))
    axes = Axes(
        x_low=min(steps),
        x_high=max(max(steps), min(steps) + 1),
        y_low=min(y_ticks[0], *values),
        y_high=max(y_ticks[-1], *values),
        height=height,
    )
    parts = [grid_line(tick, axes.y(tick), WIDTH - RIGHT) for tick in y_ticks]
    parts += [
        f'<text x="{axes.x(tick):.1f}" y="{height - 6}" text-anchor="middle">{tick:g}</text>'
        for tick in x_ticks
        if axes.x_low <= tick <= axes.x_high
    ]
    parts += [_band(band, axes) for band in bands]
    parts += [_curve(curve, axes) for curve in thinned]
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'


def _band(band: Band, axes: Axes) -> str:
    size = -(-len(band.steps) // MAX_POINTS) or 1
    steps, low, high = (_means(values, size) for values in (band.steps, band.low, band.high))
    around = f"{axes.points(steps, high)} {axes.points(steps[::-1], low[::-1])}"
    return f'<polygon class="band" style="fill:var(--{band.tone})" points="{around}"/>'


def _curve(curve: Curve, axes: Axes) -> str:
    kind = "curve" + " faint" * curve.faint + " dashed" * curve.dashed
    points = axes.points(curve.steps, curve.values)
    line = f'<polyline class="{kind}" style="stroke:var(--{curve.tone})" points="{points}"/>'
    pairs = zip(curve.steps, curve.values, strict=True)
    dots = [
        f'<circle class="dot" style="fill:var(--{curve.tone})" cx="{axes.x(step):.1f}" cy="{axes.y(value):.1f}" r="3"/>'
        for step, value in (pairs if curve.dots else ())
    ]
    return line + "".join(dots)


def legend(entries: Sequence[tuple[str, Tone, str]]) -> str:
    """Return what lines mean: words, tone, and the kind of line, ``line``, ``dashed`` or ``band``."""
    inner = "".join(
        f'<span><i class="key-{kind}" style="--tone:var(--{tone})"></i>{escape(words)}</span>'
        for words, tone, kind in entries
    )
    return f'<div class="legend">{inner}</div>'


def figure(title: str, note: str, body: str, *, is_wide: bool = False) -> str:
    """Return a figure with its caption; ``body`` is HTML."""
    wide = ' class="wide"' if is_wide else ""
    return f"<figure{wide}><figcaption>{escape(title)}<span>{escape(note)}</span></figcaption>{body}</figure>"


def grid_line(value: float, y: float, right: float) -> str:
    """Return the line of a value, from ``LEFT`` to ``right`` in pixels, with the value to the left of it."""
    return (
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def interval_mark(interval: ConfidenceInterval, chance: float, tone: Tone, *, faint: bool = False) -> str:
    """Return a small bar from 0 to 1: the value filled, its interval as a line, chance as a dashed tick."""
    kind = ' class="faint"' if faint else ""
    return (
        f'<svg{kind} viewBox="0 0 100 12" preserveAspectRatio="none" role="img" aria-label="{percent(interval)}">'
        f"{_bar(interval, chance, tone)}</svg>"
    )


def bar_chart(title: str, groups: Sequence[tuple[str, float, Sequence[Bar]]], *, note: str = "") -> str:
    """Return a figure of accuracies, one block per ``(name, chance, bars)``; each bar has its interval."""
    parts: list[str] = []
    for name, chance, bars in groups:
        lines = [
            f"<p><span>{escape(bar.name)}</span>"
            f"{interval_mark(bar.interval, chance, bar.tone, faint=bar.is_mostly_guessed)}"
            f"<span>{accuracy_words(bar)}</span></p>"
            for bar in bars
        ]
        parts.append(f'<div class="arms"><b>{escape(name)}</b><div>{"".join(lines)}</div></div>')
    return figure(title, note, "".join(parts))


def accuracy_words(bar: Bar) -> str:
    """Return an accuracy with its half-width, and which share of the answers is unread if that is not small."""
    value = percent(bar.interval)
    if bar.is_mostly_guessed:
        value = f'<span class="guessed">{value}</span>'
    return value if bar.unread < MIN_UNREAD else f"{value} <small>{bar.unread:.0%} unread</small>"


def percent(interval: ConfidenceInterval) -> str:
    """Return a value and its half-width in percent, for example ``97.5 ± 2.3``."""
    return f"{100 * interval.value:.1f} ± {100 * interval.half_width:.1f}"


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return about ``most`` round numbers from ``low`` to ``high``, 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        low, high = low - (abs(low) or 1.0) / 2, low + (abs(low) or 1.0) / 2
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _bar(interval: ConfidenceInterval, chance: float, tone: Tone) -> str:
    low, high = 100 * interval.low, 100 * interval.high
    return (
        '<rect class="track" x="0" y="3" width="100" height="6" rx="1"/>'
        f'<rect class="fill" style="fill:var(--{tone})" x="0" y="3" width="{100 * interval.value:.1f}" height="6" '
        'rx="1"/>'
        f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="6" y2="6" '
        'vector-effect="non-scaling-stroke"/>'
        f'<line class="chance" x1="{100 * chance:.1f}" x2="{100 * chance:.1f}" y1="0" y2="12" '
        'vector-effect="non-scaling-stroke"/>'
    )


def _thinned(curve: Curve) -> Curve:
    size = -(-len(curve.steps) // MAX_POINTS)
    return curve if size <= 1 else replace(curve, steps=_means(curve.steps, size), values=_means(curve.values, size))


def _means(values: Sequence[float], size: int) -> list[float]:
    parts = [values[start : start + size] for start in range(0, len(values), size)]
    return [math.fsum(part) / len(part) for part in parts]
