from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
from temporay.operators.pages import page

VOID = {"img", "meta", "br"}


class Balance(HTMLParser):
    """Raises when a tag is closed that was not the last one opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def whole_page() -> str:
    frames_THWC = np.zeros((3, 20, 30, 3), np.uint8)
    body = (
        page.filmstrip(frames_THWC, 8.0)
        + page.options([page.OptionMark(text="a & <script>x", right=True), page.OptionMark(text="c", wrong=True)], "AB")
        + page.table(("task", "n"), [("<b>", 3)])
    )
    return page.page(
        "Title <i>",
        "lead",
        page.task_filter({"one": 2}) + page.card("<b>k</b>", body, task='o"ne'),
        assets=("page.css", "page.js"),
    )


def test_the_page_is_balanced_html_and_loads_nothing() -> None:
    parser = Balance()
    parser.feed(whole_page())
    assert parser.open == []
    assert len(parser.addresses) == 3 and all(a.startswith("data:image/jpeg;base64,") for a in parser.addresses)
    assert "http" not in whole_page().replace("http-equiv", "")


def test_outside_text_is_escaped() -> None:
    text = whole_page()
    assert "<script>x" not in text and "&lt;script&gt;x" in text
    assert "Title &lt;i&gt;" in text and "a &amp; " in text and "<td>&lt;b&gt;</td>" in text
    assert 'data-task="o&quot;ne"' in text


def decoded(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[:, :, ::-1]


def test_frames_are_shown_in_their_colours_at_a_useful_size() -> None:
    red = np.full((24, 48, 3), (230, 40, 40), np.uint8)
    small, large = decoded(page.data_uri(red)), decoded(page.data_uri(np.zeros((640, 1280, 3), np.uint8)))
    assert small.shape == (48, 96, 3) and large.shape == (160, 320, 3)
    assert np.abs(small[10, 10].astype(int) - (230, 40, 40)).max() < 12


def test_the_filmstrip_has_every_frame_in_order() -> None:
    frames_THWC = np.stack([np.full((96, 96, 3), level, np.uint8) for level in (0, 120, 240)])
    uris = re.findall(r'<img src="([^"]+)"', page.filmstrip(frames_THWC, 8.0))
    assert [round(float(decoded(uri).mean()) / 120) for uri in uris] == [0, 1, 2]
