from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from temporay.operators.media import Medium
from temporay.operators.pages import gallery, sample_card
from temporay.operators.pages.overlay import overlay_of
from temporay.operators.pages.page import asset, page
from temporay.operators.pages.sample_card import ShownSample
from temporay.operators.pages.timeline import lanes_of, timeline
from temporay.operators.pages.words import Mark
from temporay.operators.records import Address, Backdrop, Event, Question, Sample, Scene, ScenePlan, Shot, Track

VOID = {"img", "meta", "br", "input"}
HOSTILE = '<script>alert("x")</script>'


def make_sample(*, twin: bool = False, answer_index: int = 0) -> Sample:
    return Sample(
        address=Address(task="motion_direction", split="train", index=3, seed=0, level=2, twin=twin),
        question=Question(text=f"Which way? {HOSTILE}", options=(HOSTILE, "down"), answer_index=answer_index),
        rationale="From 0.5 s it goes up. Then <b>more</b>.",
        order_dependent=True,
        needs_time=True,
        media=(Medium(width=64, height=48, fps=4.0, num_frames=8),),
        events=(
            Event(kind="moves", subject="red circle", start_ms=0.0, end_ms=1000.0, detail=HOSTILE),
            Event(kind="moves", subject="red circle", start_ms=1000.0, end_ms=2000.0, detail="down"),
            Event(kind="moves", subject="red circle", start_ms=500.0, end_ms=1500.0, detail="again"),
        ),
        sources=(),
        facts={},
    )


def make_mark(**changes: object) -> Mark:
    return replace(Mark(start=0, end=22, kind="right", title="same", start_ms=500.0), **changes)  # type: ignore[arg-type]


def make_shown(**changes: object) -> ShownSample:
    sample = make_sample()
    overlay = {"tracks": [{"name": "</script><script>1"}], "shots": []}
    return replace(
        ShownSample(sample=sample, mp4=b"\x00\x01mp4", overlay=overlay, marks=[make_mark()], claims=[True]), **changes
    )  # type: ignore[arg-type]


class Balance(HTMLParser):
    """Raises when a tag is closed that was not the last one opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        assert not [name for name, _ in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def dead_row() -> dict[str, str]:
    address = {"task": "scene_at", "level": 4}
    return {"id": "k", "reason": "captions_alike", "detail": HOSTILE, "address_json": json.dumps(address)}


def test_the_page_is_balanced_escaped_and_loads_nothing() -> None:
    cards = [
        sample_card.sample_card([make_shown()]),
        sample_card.sample_card([make_shown(), make_shown()]),
        gallery.dead_letter(dead_row()),
    ]
    text = page("T", "lead", gallery.gallery(cards))
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert parser.scripts == 3 * 2 + 1  # overlay and clip of three takes, and the page's own
    assert 'alert("x")' not in text and "<b>more" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_card_says_what_filters_match() -> None:
    pair = sample_card.sample_card([make_shown(), make_shown(sample=make_sample(twin=True, answer_index=1))])
    single, dead = sample_card.sample_card([make_shown()]), gallery.dead_letter(dead_row())
    broken = sample_card.sample_card([make_shown(mp4=None, fault="clip_undecodable: no frame")])
    assert [card.status for card in (single, pair, broken, dead)] == ["ok", "pair", "unreadable", "dead"]
    assert dead.task == "scene_at" and dead.level == 4 and 'data-level="4"' in dead.html
    assert "clip_undecodable: no frame" in broken.html and "data-fps" not in broken.html
    panel = gallery.gallery([single, pair, broken, dead])
    assert re.search(r'data-filter="task" data-only="motion_direction"[^>]*>motion_direction<small>3<', panel)
    assert re.search(r'data-filter="status" data-only=""[^>]*>all<small>4<', panel)


def test_a_pair_marks_the_right_option_of_each() -> None:
    html = sample_card.sample_card([make_shown(), make_shown(sample=make_sample(twin=True, answer_index=1))]).html
    badges = [re.findall(r'badge">(\w+)<', option) for option in re.findall(r"<li>.*?</li>", html)]
    assert badges == [["clip"], ["twin"]]
    single = sample_card.sample_card([make_shown()]).html
    assert [re.findall(r'badge">(\w+)<', option) for option in re.findall(r"<li>.*?</li>", single)] == [["right"], []]


def test_events_of_a_subject_share_a_lane_unless_they_overlap() -> None:
    lanes = lanes_of(make_sample().events)
    assert [[event.start_ms for event in lane] for lane in lanes] == [[0.0, 1000.0], [500.0]]
    html = timeline(make_sample().events, 2000.0)
    assert "left:50.00%;width:50.00%;--of:rgb(" in html and "left:25.00%" in html


def test_claims_are_marked_in_place_with_their_time() -> None:
    html = sample_card.reasoning(make_shown(), "")
    mark = (
        '<mark class="right" title="same" role="button" tabindex="0" data-ms="500">From 0.5 s it goes up.</mark> Then'
    )
    assert mark in html and "1 claim, all in the log" in html
    html = sample_card.reasoning(make_shown(marks=[make_mark(kind="wrong")], claims=[False]), "")
    assert 'class="wrong"' in html and "1 claim, 1 not in the log" in html


def test_votes_and_words_stand_on_the_card_of_the_sample() -> None:
    html = sample_card.sample_card([make_shown()], votes=(2, 0), kicker="<b>k</b>", words="<p>w</p>").html
    options = re.findall(r"<li>.*?</li>", html)
    assert "●●</b>2</span>" in options[0] and "●" not in options[1]
    assert "<b>k</b><code>" in html and html.endswith("<p>w</p></article>")


def test_the_overlay_is_the_plan_in_pixels() -> None:
    turn_23 = np.array([[0.0, -1.0, 10.0], [1.0, 0.0, 0.0]])
    scene = Scene(image_id=1, path="a.jpg", captions=("a cat",), license_id=None, source_url="")
    track = Track(
        name="red circle",
        shape="circle",
        color=(230, 40, 40),
        radius_px=5.0,
        xy_T2=np.array([[1.0, 2.0], [3.04, 4.0]]),
        visible_T=np.array([True, False]),
        wraps=True,
    )
    plan = ScenePlan(
        address=make_sample().address,
        width=6,
        height=4,
        fps=4.0,
        num_frames=2,
        backdrop=Backdrop(),
        shots=(Shot(scene=scene, start_frame=0, end_frame=2, affine_T23=np.stack([turn_23, turn_23])),),
        tracks=(track,),
    )
    overlay = json.loads(json.dumps(overlay_of(plan)))
    (drawn,), (shot,) = overlay["tracks"], overlay["shots"]
    assert drawn["xy"] == [[1.0, 2.0], [3.0, 4.0]] and drawn["visible"] == [1, 0] and drawn["wraps"] is True
    assert shot["name"] == "a cat" and shot["corners"][0] == [[10.0, 0.0], [10.0, 6.0], [6.0, 6.0], [6.0, 0.0]]


@pytest.mark.parametrize("name", gallery.SWITCHES)
def test_every_switch_is_one_the_script_knows(name: str) -> None:
    assert f'data-switch="{name}"' in gallery.gallery([sample_card.sample_card([make_shown()])])
    assert re.search(rf"defaults = {{[^}}]*{name}:", asset("cards.js"))
