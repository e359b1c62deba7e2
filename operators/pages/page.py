"""Pieces of an offline HTML page: one file, no network, light and dark. Previews and reports are made of them.

text, HTML, assets/*.css, assets/*.js -> page
"""

import html
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from temporay.operators.errors import UserError

STYLES = ("page.css", "cards.css", "charts.css")
SCRIPTS = ("cards.js", "tokens.js")
POLICY = "default-src 'none'; media-src blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def escape(text: object) -> str:
    """Return text that is safe in element content and in quoted attributes."""
    return html.escape(str(text), quote=True)


def why(text: object) -> str:
    """Return a paragraph that explains what stands beside it."""
    return f'<p class="note">{escape(text)}</p>'


def bad(text: object) -> str:
    """Return a paragraph that says what is wrong."""
    return f'<p class="bad">{escape(text)}</p>'


def section(title: str, body: str) -> str:
    """Return a titled part of a page; ``body`` is HTML."""
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>"


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """Return the main figures as boxes, each with its meaning."""
    inner = "".join(f'<div class="tile"><b>{escape(b)}</b><span>{escape(words)}</span></div>' for b, words in figures)
    return f'<div class="tiles">{inner}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, first_number: int = 1) -> str:
    """Return a table of plain text; columns from ``first_number`` on are aligned to the right."""
    kinds = ["number" if n >= first_number else "" for n in range(len(header))]
    return cell_table(header, [[escape(cell) for cell in row] for row in rows], kinds)


def cell_table(header: Sequence[str], rows: Iterable[Sequence[str]], kinds: Sequence[str], *, above: str = "") -> str:
    """Return a table; on a narrow screen each row is a block, in which its cells have the names of their columns.

    Args:
        rows: HTML of the cells.
        kinds: by column, the class of its cells; "" for none.
        above: HTML of a row over the header.
    """
    named = [(escape(name), f' class="{kind}"' if kind else "") for name, kind in zip(header, kinds, strict=True)]
    head = "".join(f"<th{kind}>{name}</th>" for name, kind in named)
    lines = [
        "".join(f'<td{kind} data-of="{name}">{cell}</td>' for (name, kind), cell in zip(named, row, strict=True))
        for row in rows
    ]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table class="stacks"><thead>{above}<tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def filters(field: str, title: str, entries: Sequence[tuple[str, str, int]]) -> str:
    """Return buttons that show the cards of one value of a field, or all cards.

    Args:
        field: the ``data-`` attribute of a card that the buttons compare.
        entries: value, its name, and the number of cards that have it.
    """
    buttons = "".join(
        f'<button data-filter="{field}" data-only="{escape(only)}" aria-pressed="{str(only == "").lower()}">'
        f"{escape(name)}<small>{num}</small></button>"
        for only, name, num in [("", "all", sum(num for _, _, num in entries)), *entries]
    )
    return f'<div class="filter filter-{field}" role="group" aria-label="{title}"><h3>{title}</h3>{buttons}</div>'


def asset(name: str) -> str:
    """Return the text of a style sheet or script that is packaged beside this module."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def page(title: str, lead: str, body: str) -> str:
    """Return the whole document; ``title`` and ``lead`` are text, ``body`` is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{''.join(map(asset, STYLES))}</style>\n</head>\n<body>\n"
        f'<main class="page">\n<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n{body}\n</main>\n'
        f'<script type="module">{"".join(map(asset, SCRIPTS))}</script>\n</body>\n</html>\n'
    )


def write_page(path: Path, text: str, remedy: str) -> None:
    """Write a page.

    Raises:
        UserError: the file cannot be written; ``remedy`` ends the message.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; {remedy}") from error
