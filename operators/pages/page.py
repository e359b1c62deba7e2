"""Pieces of an offline HTML page: one file, no network, light and dark. Used by the preview and by run reports.

frames_THWC -> JPEG data URIs -> filmstrip and flip-book -> page
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from temporay.operators.records import Frames

JPEG_QUALITY = 85
MIN_SIDE_PX = 96  # smaller frames are enlarged without smoothing, so that single pixels can be told apart
MAX_SIDE_PX = 320  # larger ones are scaled down: a page of many clips must still open at once

CSS = """
:root { color-scheme: light dark;
  --ground: light-dark(#f6f5f1, #14161a); --sheet: light-dark(#ffffff, #1d2026); --ink: light-dark(#1f2328, #e6e4df);
  --soft: light-dark(#6a6f76, #9a9fa8); --line: light-dark(#e2dfd7, #30343c); --mark: light-dark(#b4532a, #f0a06a);
  --right: light-dark(#2c7a4b, #74c795); --right-ground: light-dark(#e9f4ec, #1c3026);
  --wrong: light-dark(#b3363e, #ef8a90); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.55 ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
.page { max-width: 1080px; margin: 0 auto; padding: 40px 24px 96px; }
h1 { font: 600 30px/1.2 ui-serif, Georgia, "Times New Roman", serif; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font: 600 20px/1.3 ui-serif, Georgia, "Times New Roman", serif; margin: 44px 0 14px; }
.lead { color: var(--soft); margin: 0 0 28px; }
.card { background: var(--sheet); border: 1px solid var(--line); border-radius: 14px; padding: 20px 22px;
  margin: 0 0 20px; }
.kicker { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline; color: var(--soft); font-size: 12.5px; }
.kicker b { color: var(--mark); font-weight: 600; letter-spacing: 0.02em; }
a { color: var(--mark); }
code, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: 12.5px; }
.scene { display: flex; gap: 18px; align-items: flex-start; margin: 14px 0 4px; }
.player { flex: none; width: 200px; border: 0; padding: 0; background: none; cursor: pointer; text-align: left;
  color: var(--soft);
  font: inherit; font-size: 12.5px; }
.player:focus-visible { outline: 2px solid var(--mark); outline-offset: 3px; border-radius: 8px; }
.player img { width: 100%; display: block; border-radius: 8px; background: #000; }
.player span { display: block; margin-top: 6px; font-variant-numeric: tabular-nums; }
.strip { display: grid; gap: 4px; flex: 1;
  grid-template-columns: repeat(auto-fill, minmax(clamp(72px, calc(100% / var(--frames) - 4px), 130px), 1fr));
  max-height: 244px;
  overflow-y: auto; border-radius: 8px; }
.strip img { width: 100%; display: block; border-radius: 4px; background: #000; }
.strip img.now { outline: 2px solid var(--mark); outline-offset: -2px; }
.small img { image-rendering: pixelated; }
.ask { font-weight: 600; margin: 14px 0 8px; }
.options { list-style: none; margin: 0 0 12px; padding: 0; display: grid; gap: 5px; }
.options li { border: 1px solid var(--line); border-radius: 8px; padding: 6px 12px; }
.options li.right { border-color: var(--right); background: var(--right-ground); }
.options li.wrong { border-color: var(--wrong); }
.options .letter { display: inline-block; width: 22px; color: var(--soft); }
.why { margin: 0; color: var(--soft); }
.why i { font-style: normal; color: var(--ink); }
.filter { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 24px; }
.filter button { font: inherit; font-size: 13px; color: inherit; background: var(--sheet);
  border: 1px solid var(--line);
  border-radius: 999px; padding: 4px 13px; cursor: pointer; }
.filter button[aria-pressed=true] { border-color: var(--mark); color: var(--mark); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; font-size: 12.5px; color: var(--soft); }
td.number, th.number { text-align: right; }
.good { color: var(--right); } .bad { color: var(--wrong); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 16px; }
.tile { background: var(--sheet); border: 1px solid var(--line); border-radius: 14px; padding: 16px 18px; }
.tile b { display: block; font: 600 25px/1.25 ui-serif, Georgia, "Times New Roman", serif;
  font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
@media (max-width: 640px) { .scene { flex-direction: column; } .player { width: 100%; } .strip { width: 100%; } }
"""

# One clock per player, started and stopped by a click; a click on a frame of the strip shows that frame.
SCRIPT = """
for (const scene of document.querySelectorAll(".scene")) {
  const player = scene.querySelector(".player"), frames = [...scene.querySelectorAll(".strip img")];
  const screen = player.querySelector("img"), caption = player.querySelector("span"), fps = Number(scene.dataset.fps);
  let now = 0, timer = null;
  const show = n => {
    frames[now].classList.remove("now"); now = n % frames.length; frames[now].classList.add("now");
    screen.src = frames[now].src;
    const sign = timer ? "\\u25a0" : "\\u25b6", seconds = (now / fps).toFixed(2);
    caption.textContent = `${sign} ${seconds} s, frame ${now + 1} of ${frames.length}`;
  };
  player.addEventListener("click", () => {
    if (timer) { clearInterval(timer); timer = null; show(now); }
    else { timer = setInterval(() => show(now + 1), 1000 / fps); }
  });
  frames.forEach((frame, n) => frame.addEventListener("click", () => show(n)));
  show(0);
}
for (const button of document.querySelectorAll(".filter button")) button.addEventListener("click", () => {
  for (const other of document.querySelectorAll(".filter button")) other.setAttribute("aria-pressed", other === button);
  for (const card of document.querySelectorAll("[data-task]"))
    card.hidden = button.dataset.only !== "" && card.dataset.task !== button.dataset.only;
});
"""


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


def page(title: str, lead: str, body: str, *, css: str = "", script: str = "") -> str:
    """The whole document. ``title`` and ``lead`` are text, ``body`` is HTML; css and script are added to the page's."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; media-src blob:; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{CSS}{css}</style>\n</head>\n<body>\n"
        f'<main class="page">\n<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n{body}\n</main>\n'
        f"<script>{SCRIPT}{script}</script>\n</body>\n</html>\n"
    )
