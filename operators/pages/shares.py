"""Seconds by stage and part as a table: every bar stands where its time lies in the whole.

names, seconds -> rows with bars -> ``<table>``
"""

import math
from collections.abc import Mapping, Sequence

from temporay.operators.pages.page import escape

HEADER = ("stage", "seconds", "of stage", "of all")


def shares_table(stages: Sequence[tuple[str, float, Mapping[str, float]]]) -> str:
    """Return a table of stages that follow each other.

    Args:
        stages: name, seconds, and seconds by part. Of a negative part, which says that others ran at once, no bar is
            drawn.
    """
    total = math.fsum(seconds for _, seconds, _ in stages)
    lines, began = [], 0.0
    for name, seconds, parts in stages:
        cells = (f"{seconds:,.1f}", "", f"{seconds / total:.1%}")
        lines.append(_line(name, cells, began / total, seconds / total, kind="stage"))
        part_began = began
        for part, value in parts.items():
            cells = (f"{value:,.1f}", f"{value / seconds:.1%}", f"{value / total:.1%}")
            lines.append(_line(part, cells, part_began / total, value / total, kind="part"))
            part_began += value
        began += seconds
    header = "".join(f'<th class="number">{title}</th>' for title in HEADER[1:])
    all_of_it = f'<tr class="stage"><td>all</td><td class="number">{total:,.1f}</td><td></td><td></td><td></td></tr>'
    head = f"<tr><th>{HEADER[0]}</th>{header}<th></th></tr>"
    return f'<table class="shares"><thead>{head}</thead><tbody>{"".join(lines)}{all_of_it}</tbody></table>'


def _line(name: str, cells: Sequence[str], began: float, share: float, *, kind: str) -> str:
    """Return a row; its bar begins at ``began``, as long as ``share``, both of all."""
    bar = (
        '<svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/>'
        f'<rect class="fill" x="{100 * began:.2f}" width="{max(0.0, 100 * share):.2f}" height="6"/></svg>'
    )
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    return f'<tr class="{kind}"><td>{escape(name)}</td>{numbers}<td>{bar}</td></tr>'
