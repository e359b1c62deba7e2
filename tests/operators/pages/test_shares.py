from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from temporay.operators.pages.shares import shares_table


def bars(html: str) -> list[tuple[float, float]]:
    """Return where every bar begins and how long it is, in percent of all."""
    return [(float(x), float(width)) for x, width in re.findall(r'class="fill" x="([\d.]+)" width="([\d.]+)"', html)]


def test_bars_stand_where_their_time_lies() -> None:
    html = shares_table([("make <data>", 60.0, {"shards": 45.0, "other": 15.0}), ("learn", 20.0, {})])
    ET.fromstring(html)
    assert bars(html) == [(0.0, 75.0), (0.0, 56.25), (56.25, 18.75), (75.0, 25.0)]
    assert "make &lt;data&gt;" in html
    cells = re.findall(r'<td class="number">([^<]*)</td>', html)
    assert cells == [
        "60.0",
        "",
        "75.0%",
        "45.0",
        "75.0%",
        "56.2%",
        "15.0",
        "25.0%",
        "18.8%",
        "20.0",
        "",
        "25.0%",
        "80.0",
    ]


def test_what_ran_at_once_is_told_without_a_bar() -> None:
    html = shares_table([("grpo", 10.0, {"sampling": 8.0, "update": 6.0, "at once": -4.0})])
    ET.fromstring(html)
    assert bars(html)[-1] == (140.0, 0.0) and "-40.0%" in html
