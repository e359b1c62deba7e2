"""Pieces of an offline HTML page: one file, no network, light and dark. Used by the preview and by run reports.

frames_THWC -> JPEG data URIs -> filmstrip and flip-book -> page
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np
from temporay.operators.records import Frames

JPEG_QUALITY = 85
MIN_SIDE_PX = 96  # smaller frames are enlarged without smoothing, so that single pixels can be told apart
MAX_SIDE_PX = 320  # larger ones are scaled down: a page of many clips must still open at once


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionMark:
    """How one option of a question is shown."""

    text: str
    right: bool = False
    wrong: bool = False  # chosen although it is not right


def escape(text: object) -> str:
    """Text for element content and for quoted attributes."""
    return html.escape(str(text), quote=True)


def data_uri(image_HWC: Frames) -> str:
    """An RGB image as a JPEG data URI; small ones enlarged by a whole factor, large ones scaled down."""
    factor = -(-MIN_SIDE_PX // max(image_HWC.shape[:2]))
    if factor > 1:
        image_HWC = np.repeat(np.repeat(image_HWC, factor, axis=0), factor, axis=1)
    scale = MAX_SIDE_PX / max(image_HWC.shape[:2])
    if scale < 1:
        image_HWC = cv2.resize(image_HWC, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", image_HWC[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"OpenCV cannot encode an image of shape {image_HWC.shape}")
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def filmstrip(frames_THWC: Frames, fps: float) -> str:
    """Every frame of a clip in order, and a flip-book that plays them."""
    uris = [data_uri(frame_HWC) for frame_HWC in frames_THWC]
    small = " small" if max(frames_THWC.shape[1:3]) < MIN_SIDE_PX else ""
    strip = "".join(f'<img src="{uri}" alt="frame {n}">' for n, uri in enumerate(uris, start=1))
    screen = f'<img alt="clip of {len(uris)} frames"><span></span>'
    return (
        f'<div class="scene{small}" data-fps="{fps:g}"><button class="player" title="play or stop">{screen}</button>'
        f'<div class="strip" style="--frames:{len(uris)}">{strip}</div></div>'
    )


def options(marks: Sequence[OptionMark], letters: str) -> str:
    """The options of a question as a list, the right one and a wrong choice marked."""
    items = []
    for letter, mark in zip(letters, marks, strict=False):
        kind = "right" if mark.right else "wrong" if mark.wrong else ""
        items.append(f'<li class="{kind}"><span class="letter">{letter}</span>{escape(mark.text)}</li>')
    return f'<ul class="options">{"".join(items)}</ul>'


def card(kicker: str, body: str, *, task: str = "") -> str:
    """A box with a small line on top; ``kicker`` and ``body`` are HTML, ``task`` is what the filter matches."""
    attribute = f' data-task="{escape(task)}"' if task else ""
    return f'<article class="card"{attribute}><div class="kicker">{kicker}</div>{body}</article>'


def task_filter(num_by_task: Mapping[str, int]) -> str:
    """Buttons that show the cards of one task or of all."""
    total = sum(num_by_task.values())
    entries = [("", "all", total), *((task, task, n) for task, n in sorted(num_by_task.items()))]
    buttons = "".join(
        f'<button data-only="{escape(only)}" aria-pressed="{str(only == "").lower()}">{escape(name)} {n}</button>'
        for only, name, n in entries
    )
    return f'<div class="filter">{buttons}</div>'


def section(title: str, body: str) -> str:
    """A part of a page; ``body`` is HTML."""
    return f"<section><h2>{escape(title)}</h2>\n{body}</section>"


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """Figures to look at first, each with what it is."""
    inner = "".join(f'<div class="tile"><b>{escape(b)}</b><span>{escape(words)}</span></div>' for b, words in figures)
    return f'<div class="tiles">{inner}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, first_number: int = 1) -> str:
    """A table of plain text; columns from ``first_number`` on are aligned to the right."""

    def line(cells: Sequence[object], tag: str) -> str:
        kinds = [' class="number"' if n >= first_number else "" for n in range(len(cells))]
        inner = "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{inner}</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"


def asset(name: str) -> str:
    """Return the text of a style sheet or script that is packaged beside this module."""
    return files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def page(title: str, lead: str, body: str, *, assets: Sequence[str]) -> str:
    """Return the whole document with its style sheets and scripts in it.

    Args:
        title: text.
        lead: text.
        body: HTML.
        assets: names of files in ``assets``, in the order in which they are put in.
    """
    css = "".join(asset(name) for name in assets if name.endswith(".css"))
    script = "".join(asset(name) for name in assets if name.endswith(".js"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; media-src blob:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{css}</style>\n</head>\n<body>\n"
        f'<main class="page">\n<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n{body}\n</main>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )
