from __future__ import annotations

from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from temporay.operators.errors import UserError
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


HOSTILE = '<script x="1">&\'</script>'


def whole_page() -> str:
    body = (
        page.table((HOSTILE, "n"), [(HOSTILE, 3)])
        + page.filters("task", "Primitive", [(HOSTILE, HOSTILE, 2)])
        + page.section(HOSTILE, page.why(HOSTILE) + page.bad(HOSTILE) + page.tiles([(HOSTILE, HOSTILE)]))
    )
    return page.page(HOSTILE, HOSTILE, body)


def test_the_page_is_balanced_html_and_loads_nothing() -> None:
    parser = Balance()
    parser.feed(whole_page())
    assert parser.open == []
    assert not parser.addresses
    assert "http" not in whole_page().replace("http-equiv", "") and "url(" not in whole_page()


def test_every_asset_is_in_the_page_and_ends_nothing() -> None:
    names = sorted(path.name for path in (Path(page.__file__).parent / "assets").iterdir())
    assert names == sorted([*page.STYLES, *page.SCRIPTS])
    assert all(page.asset(name) in whole_page() and "</" not in page.asset(name) for name in names)


def test_outside_text_is_escaped() -> None:
    text = whole_page()
    assert HOSTILE not in text and text.count(escape(HOSTILE, quote=True)) == 13


def test_a_page_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*: No such file or directory; do this"):
        page.write_page(tmp_path / "nowhere" / "x", "text", "do this")
