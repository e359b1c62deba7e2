from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from temporay.operators.pages.charts import (
    MAX_POINTS,
    Band,
    Bar,
    Curve,
    accuracy_words,
    bar_chart,
    interval_mark,
    legend,
    line_chart,
    plot,
    running_mean,
    ticks,
)
from temporay.operators.scoring.metrics import ConfidenceInterval

HALF = ConfidenceInterval(value=0.5, low=0.4, high=0.6, n=100)


def points(svg: str) -> list[list[tuple[float, float]]]:
    """Return the points of every curve."""
    return [
        [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.split())]
        for line in re.findall(r' points="([^"]+)"', svg)
    ]


def test_running_mean_is_centered_and_shorter_at_the_ends() -> None:
    assert running_mean([0.0, 3.0, 6.0, 9.0], 3) == [1.5, 3.0, 6.0, 7.5]
    assert running_mean([1.0, 2.0], 1) == [1.0, 2.0]
    assert running_mean([], 5) == []
    with pytest.raises(ValueError, match="window is 0"):
        running_mean([1.0], 0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.0, 1.0, [0.0, 0.5, 1.0]), (0.0, 59.0, [0.0, 20.0, 40.0, 60.0]), (2e-6, 3e-6, [2e-6, 2.5e-6, 3e-6])],
)
def test_ticks_are_round_and_cover_the_range(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 4)[:: max(1, (len(ticks(low, high, 4)) - 1) // (len(expected) - 1))] == expected


def test_ticks_of_a_single_value_still_span_something() -> None:
    for value in (0.0, 27.0, -1.0):
        around = ticks(value, value, 4)
        assert around[0] < around[-1] and around[0] <= value <= around[-1]


def test_a_curve_goes_from_left_to_right_and_up_for_higher_values() -> None:
    (curve,) = points(line_chart("loss", [Curve(steps=[0, 1, 2], values=[0.0, 0.5, 1.0], tone="sft")]))
    xs, ys = zip(*curve, strict=True)
    assert xs == tuple(sorted(xs)) and ys == tuple(sorted(ys, reverse=True))
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)


def test_long_curves_are_drawn_by_means_of_equal_parts() -> None:
    steps = list(range(10 * MAX_POINTS))
    (curve,) = points(line_chart("loss", [Curve(steps=steps, values=[float(s % 10) for s in steps], tone="sft")]))
    assert len(curve) == MAX_POINTS
    assert len({y for _, y in curve}) == 1


def test_a_band_goes_along_the_highest_values_and_back_along_the_lowest() -> None:
    curve = Curve(steps=[0, 1], values=[0.5, 0.5], tone="grpo", dashed=True, dots=True)
    band = Band(steps=[0, 1], low=[0.2, 0.4], high=[0.6, 1.4], tone="grpo")
    svg = plot("reward", [curve], [band], low=0.0, height=120)
    ET.fromstring(svg)
    around, line = points(svg)
    xs, ys = zip(*around, strict=True)
    assert xs[0] == xs[3] < xs[1] == xs[2] and ys[1] < ys[0] < ys[2] < ys[3]
    assert min(ys) >= 8 and max(ys) <= 120 - 24  # what the band reaches is on the plot
    assert ys[0] < line[0][1] < ys[3] and svg.count("<circle") == 2 and 'class="curve dashed"' in svg


def test_a_legend_names_every_line() -> None:
    drawn = legend([("a < b", "sft", "line"), ("interval", "grpo", "band")])
    ET.fromstring(drawn)
    assert "a &lt; b" in drawn and 'class="key-band" style="--tone:var(--grpo)"' in drawn


@pytest.mark.parametrize("values", [[], [0.3], [0.3, 0.3]])
def test_few_values_still_make_a_chart(values: list[float]) -> None:
    figure = line_chart("a < b", [Curve(steps=range(len(values)), values=values, tone="base")], note="<i>")
    ET.fromstring(figure)
    assert "a &lt; b" in figure and "&lt;i&gt;" in figure
    assert ("No step logged this." in figure) == (not values)


def test_bars_show_value_interval_and_chance() -> None:
    figure = bar_chart("arms", [("first & last", 0.25, [Bar(name="ordered", interval=HALF, tone="grpo")])])
    ET.fromstring(figure)
    for part in ('width="50.0"', 'x1="40.0" x2="60.0"', 'x1="25.0" x2="25.0"', "first &amp; last", "50.0 ± 10.0"):
        assert part in figure
    mark = interval_mark(HALF, 0.25, "base")
    ET.fromstring(mark)
    assert 'x1="40.0" x2="60.0"' in mark and "var(--base)" in mark


def test_the_share_of_unread_answers_is_told_where_it_matters() -> None:
    def words(unread: float, *, guessed: bool) -> str:
        return accuracy_words(Bar(name="blind", interval=HALF, tone="soft", unread=unread, guessed=guessed))

    assert words(0.04, guessed=True) == "50.0 ± 10.0"
    assert words(0.4, guessed=True) == words(0.4, guessed=False) == "50.0 ± 10.0 <small>40% unread</small>"
    assert words(0.9, guessed=False) == "50.0 ± 10.0 <small>90% unread</small>"  # wrong answers, and no guesses
    assert words(0.9, guessed=True) == '<span class="guessed">50.0 ± 10.0</span> <small>90% unread</small>'
