from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from temporay.operators.pages import gallery
from temporay.operators.pages.gallery import Take
from temporay.operators.pages.page import asset, page
from temporay.operators.primitives._claims import Claim
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
        width=64,
        height=48,
        fps=4.0,
        num_frames=8,
        events=(
            Event(kind="moves", subject="red circle", start_ms=0.0, end_ms=1000.0, detail=HOSTILE),
            Event(kind="moves", subject="red circle", start_ms=1000.0, end_ms=2000.0, detail="down"),
            Event(kind="moves", subject="red circle", start_ms=500.0, end_ms=1500.0, detail="again"),
        ),
        sources=(),
        facts={},
    )


def make_take(**changes: object) -> Take:
    sample = make_sample()
    overlay = {"tracks": [{"name": "</script><script>1"}], "shots": []}
    claims = [(Claim(kind="moves", text="From 0.5 s it goes up.", start_ms=500.0), True)]
    return replace(Take(sample=sample, mp4=b"\x00\x01mp4", overlay=overlay, claims=claims), **changes)  # type: ignore[arg-type]


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
    cards = [gallery.item([make_take()]), gallery.item([make_take(), make_take()]), gallery.dead_letter(dead_row())]
    text = page("T", "lead", gallery.gallery(cards), assets=("page.css", "gallery.css", "page.js", "gallery.js"))
    parser = Balance()
    parser.feed(text)
    assert parser.open == []
    assert parser.scripts == 3 * 2 + 1  # overlay and clip of three takes, and the page's own
    assert 'alert("x")' not in text and "<b>more" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_card_says_what_filters_match() -> None:
    pair = gallery.item([make_take(), make_take(sample=make_sample(twin=True, answer_index=1))])
    single, dead = gallery.item([make_take()]), gallery.dead_letter(dead_row())
    broken = gallery.item([make_take(mp4=None, fault="clip_undecodable: no frame")])
    assert [card.status for card in (single, pair, broken, dead)] == ["ok", "pair", "unreadable", "dead"]
    assert dead.task == "scene_at" and dead.level == 4 and 'data-level="4"' in dead.html
    assert "clip_undecodable: no frame" in broken.html and "data-fps" not in broken.html
    panel = gallery.gallery([single, pair, broken, dead])
    assert re.search(r'data-filter="task" data-only="motion_direction"[^>]*>motion_direction<small>3<', panel)
    assert re.search(r'data-filter="status" data-only=""[^>]*>all<small>4<', panel)


def test_a_pair_marks_the_right_option_of_each() -> None:
    html = gallery.item([make_take(), make_take(sample=make_sample(twin=True, answer_index=1))]).html
    badges = [re.findall(r'badge">(\w+)<', option) for option in re.findall(r"<li>.*?</li>", html)]
    assert badges == [["clip"], ["twin"]]
    single = gallery.item([make_take()]).html
    assert [re.findall(r'badge">(\w+)<', option) for option in re.findall(r"<li>.*?</li>", single)] == [["right"], []]


def test_events_of_a_subject_share_a_lane_unless_they_overlap() -> None:
    lanes = gallery.lanes_of(make_sample().events)
    assert [[event.start_ms for event in lane] for lane in lanes] == [[0.0, 1000.0], [500.0]]
    html = gallery.timeline(make_take())
    assert "left:50.00%;width:50.00%;--of:rgb(" in html and "left:25.00%" in html


def test_claims_are_marked_in_place_with_their_time() -> None:
    html = gallery.reasoning(make_take(), "")
    assert 'class="claim holds" role="button" tabindex="0" data-ms="500">From 0.5 s it goes up.</span> Then' in html
    assert "1 claim, all in the log" in html
    (claim, _) = make_take().claims[0]
    html = gallery.reasoning(make_take(claims=[(claim, False)]), "")
    assert 'class="claim fails"' in html and "1 claim, 1 not in the log" in html


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
    overlay = json.loads(json.dumps(gallery.overlay_of(plan)))
    (drawn,), (shot,) = overlay["tracks"], overlay["shots"]
    assert drawn["xy"] == [[1.0, 2.0], [3.0, 4.0]] and drawn["visible"] == [1, 0] and drawn["wraps"] is True
    assert shot["name"] == "a cat" and shot["corners"][0] == [[10.0, 0.0], [10.0, 6.0], [6.0, 6.0], [6.0, 0.0]]


@pytest.mark.parametrize("name", ["tracks", "answers", "events"])
def test_every_switch_is_one_the_script_knows(name: str) -> None:
    assert f'data-switch="{name}"' in gallery.gallery([gallery.item([make_take()])])
    assert re.search(rf"defaults = {{[^}}]*{name}:", asset("gallery.js"))
