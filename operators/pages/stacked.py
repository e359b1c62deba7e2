"""Where the time of a step goes: a bar per step, cut by stage.

seconds by stage of every step -> bars of equal parts of the run -> one ``<figure>`` with its legend
"""

import math
from collections.abc import Mapping, Sequence

from temporay.operators.pages.charts import LEFT, figure, grid_line, ticks
from temporay.operators.pages.page import escape

WIDTH, HEIGHT, BOTTOM, TOP = 980, 220, 22, 8
MAX_BARS = 100  # with more steps, a bar is the mean of several steps
NUM_COLORS = 8


def stacked_chart(title: str, steps: Sequence[float], by_step: Sequence[Mapping[str, float]]) -> str:
    """Return the seconds of every step by stage, the largest stage at the bottom; a missing stage took no time."""
    totals: dict[str, float] = {}
    for seconds in by_step:
        for stage, value in seconds.items():
            totals[stage] = totals.get(stage, 0.0) + value
    stages = sorted(totals, key=lambda stage: -totals[stage])
    bars = _bars(by_step, stages)
    highest = max((math.fsum(bar) for bar in bars), default=0.0)
    y_ticks = ticks(0.0, highest, 4)
    unit = (HEIGHT - TOP - BOTTOM) / y_ticks[-1]
    width = (WIDTH - LEFT) / max(1, len(bars))
    parts = [grid_line(tick, HEIGHT - BOTTOM - tick * unit, WIDTH) for tick in y_ticks]
    for n, bar in enumerate(bars):
        bottom = float(HEIGHT - BOTTOM)
        for color, value in enumerate(bar):
            bottom -= value * unit
            parts.append(
                f'<rect style="fill:var(--c{color % NUM_COLORS})" x="{LEFT + n * width:.2f}" y="{bottom:.2f}" '
                f'width="{max(0.6, width - min(2.0, width / 4)):.2f}" height="{value * unit:.2f}"/>'
            )
    ends = ((LEFT, "start", steps[0]), (WIDTH, "end", steps[-1])) if steps else ()
    parts += [f'<text x="{x}" y="{HEIGHT - 5}" text-anchor="{anchor}">{step:g}</text>' for x, anchor, step in ends]
    mean = sum(totals.values()) / max(1, len(by_step))
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    return figure(title, f"{mean:.3g} s a step", svg + _legend(stages, totals, len(by_step)), is_wide=True)


def _bars(by_step: Sequence[Mapping[str, float]], stages: Sequence[str]) -> list[list[float]]:
    size = -(-len(by_step) // MAX_BARS) or 1
    parts = [by_step[start : start + size] for start in range(0, len(by_step), size)]
    return [[math.fsum(row.get(stage, 0.0) for row in part) / len(part) for stage in stages] for part in parts]


def _legend(stages: Sequence[str], totals: Mapping[str, float], num_steps: int) -> str:
    everything = math.fsum(totals.values()) or 1.0
    entries = "".join(
        f'<span><i style="background:var(--c{n % NUM_COLORS})"></i><b>{escape(stage)}</b> '
        f"{totals[stage] / num_steps:.3g} s, {totals[stage] / everything:.0%}</span>"
        for n, stage in enumerate(stages)
    )
    return f'<div class="legend">{entries}</div>'
