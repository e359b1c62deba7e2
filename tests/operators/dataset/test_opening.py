"""One protocol for what gives samples: a dataset of ours and a file of own lines, opened alike."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from temporay.operators.components import OWN_FOLDERS
from temporay.operators.dataset.opening import Samples, check_dropped, open_samples
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.rows import ANSWER_ONLY, INSTRUCTIONS, question_text
from temporay.operators.errors import UserError
from temporay.operators.videos.reading import VideoReading

from tests.own_lines import LINE, write_lines
from tests.small_data import write_dataset

READING = VideoReading(fps=5.0, max_frames=4, max_side=32)
OWN_FORM = """
from temporay.operators.own_data.asked import asked
from temporay.operators.own_data.forms._base import Form


class ClipCardForm(Form):
    expects = '{"card": {"q": "Is it?", "a": "yes"}, "video": "a.mp4"}'

    def matches(self, line):
        return "card" in line

    def ask(self, line):
        return asked(text=line["card"]["q"], answer=line["card"]["a"])
"""


@pytest.fixture(params=["ours", "own"])
def samples(request: pytest.FixtureRequest, tmp_path: Path) -> Samples:
    if request.param == "ours":
        return open_samples(write_dataset(tmp_path / "data", num_samples=3), READING)
    return open_samples(write_lines(tmp_path / "qa.jsonl", LINE, {**LINE, "question": "Redder?"}), READING)


def test_whatever_gives_samples_gives_them_alike(samples: Samples) -> None:
    for i in range(len(samples)):
        sample, (frames_THWC,) = samples.sample(i), samples.frames_shown(i)
        assert samples.address(i) == sample.address
        assert (frames_THWC.shape,) == tuple(medium.shape for medium in sample.media)
        assert frames_THWC.dtype == np.uint8
    assert len({samples.sample(i).key for i in range(len(samples))}) == len(samples)
    assert samples.path.exists() and samples.style and len(samples.dropped) == 0
    again = pickle.loads(pickle.dumps(samples))
    assert again.fingerprint == samples.fingerprint and again.address(0) == samples.address(0)


def test_the_key_of_a_line_is_what_it_asks(tmp_path: Path) -> None:
    """It stays when lines are added before it or the folder is moved, and tells other answers apart."""
    lines = [LINE, {**LINE, "answer": "B"}, {**LINE, "task": "Light and shade"}, LINE]
    first, moved = tmp_path / "one" / "qa.jsonl", tmp_path / "two" / "other.jsonl"
    opened = open_samples(write_lines(first, *lines), READING)
    addresses = [opened.address(i) for i in range(len(opened))]
    assert [one.task for one in addresses] == ["video_qa", "video_qa", "light_and_shade"]
    assert addresses[0].index == addresses[2].index != addresses[1].index
    assert [(one.line, one.reason) for one in opened.dropped] == [(4, "duplicate")]
    assert open_samples(write_lines(moved, *lines[::-1]), READING).address(2) == addresses[1]


def test_a_task_is_never_that_of_a_primitive(tmp_path: Path) -> None:
    opened = open_samples(write_lines(tmp_path / "qa.jsonl", {**LINE, "task": "bounce_count"}), READING)
    assert opened.address(0).task == "own_bounce_count"


@pytest.mark.parametrize(
    ("answer", "told"),
    [(3, INSTRUCTIONS["free"]), ([0.5, 1.0], ": from … s to … s, in seconds."), ("red", INSTRUCTIONS["free"])],
)
def test_an_open_question_is_not_told_to_name_a_letter(tmp_path: Path, answer: Any, told: str) -> None:
    line = {"video": "a.mp4", "question": "What?", "answer": answer}
    question = open_samples(write_lines(tmp_path / "qa.jsonl", line), READING).sample(0).question
    assert told in question_text(question, INSTRUCTIONS["letter"])
    assert "letter" not in question_text(question, ANSWER_ONLY["letter"])
    assert question_text(question, "Be brief.") == "What?\nBe brief."


def test_too_many_dropped_lines_are_refused_with_their_reasons(tmp_path: Path) -> None:
    bad = [{**LINE, "answer": answer} for answer in ("C", "D", "E", "F")]
    opened = open_samples(write_lines(tmp_path / "qa.jsonl", LINE, *bad), READING)
    check_dropped(opened.path, len(opened), opened.dropped, 0.8)
    with pytest.raises(
        UserError, match=r"4 of 5 lines of .* 0.79 \(line 2: bad_answer, .*; 1 more bad_answer\); repair"
    ):
        check_dropped(opened.path, len(opened), opened.dropped, 0.79)


def test_the_reason_of_a_dropped_line_can_be_written(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "qa.jsonl", LINE, {"\ud800": 1})
    [dropped] = open_samples(file, READING).dropped
    assert r"\ud800" in dropped.detail and dropped.detail.encode()


def test_a_form_of_ones_own_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from temporay.operators.own_data import forms

    own = tmp_path / "mine" / "forms"
    own.mkdir(parents=True)
    (own / "clip_card.py").write_text(OWN_FORM)
    monkeypatch.setenv(OWN_FOLDERS, str(own.parent))
    monkeypatch.setattr(forms, "__path__", [*forms.__path__, str(own)])
    file = write_lines(tmp_path / "qa.jsonl", {"card": {"q": "Is it?", "a": "yes"}, "video": "a.mp4"}, LINE)
    opened = open_samples(file, READING)
    assert [opened.sample(i).question.answer for i in range(2)] == ["yes", "A"]


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no recipe\.json"):
        open_samples(tmp_path, READING)
    (tmp_path / "a.csv").write_text("question,answer")
    with pytest.raises(UserError, match="none of the endings of own data"):
        open_samples(tmp_path / "a.csv", READING)
    assert isinstance(open_samples(write_dataset(tmp_path / "d", num_samples=1), READING), Dataset)


def test_a_path_is_relative_to_the_file_or_the_folder_given(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "lines" / "qa.jsonl", LINE)
    (tmp_path / "videos").mkdir()
    (file.parent / "a.mp4").rename(tmp_path / "videos" / "a.mp4")
    with pytest.raises(UserError, match="video_missing"):
        open_samples(file, READING)
    opened = open_samples(file, READING.model_copy(update={"videos": tmp_path / "videos"}))
    (shown,) = json.loads(json.dumps(opened.sample(0).facts))["media"]
    assert shown == {"kind": "video", "path": str(tmp_path / "videos" / "a.mp4"), "start_s": 0.0}
