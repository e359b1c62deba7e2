"""Bars of seconds by stage: heights, order and legend."""

from __future__ import annotations

import re

import pytest
from temporay.operators.pages.stacked import BOTTOM, HEIGHT, MAX_BARS, stacked_chart


def heights(svg: str) -> list[float]:
    return [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', svg)]


def test_bars_are_as_high_as_their_seconds_and_the_largest_stage_is_at_the_bottom() -> None:
    svg = stacked_chart("t", [0, 1], [{"a": 1.0, "b": 3.0}, {"b": 6.0}])
    b0, a0, b1, a1 = heights(svg)
    assert b0 == pytest.approx(3 * a0, abs=0.05) and b1 == pytest.approx(2 * b0, abs=0.05) and a1 == 0
    bottoms = [float(y) + h for y, h in zip(re.findall(r' y="([\d.]+)" width', svg), heights(svg), strict=True)]
    assert bottoms[0] == bottoms[2] == HEIGHT - BOTTOM
    assert "<b>b</b> 4.5 s, 90%" in svg and "<b>a</b> 0.5 s, 10%" in svg and "5 s a step" in svg


def test_many_steps_share_bars() -> None:
    svg = stacked_chart("t", list(range(1000)), [{"a": 1.0}] * 1000)
    assert len(heights(svg)) == MAX_BARS and len(set(heights(svg))) == 1
