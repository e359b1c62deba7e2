"""Which videos a question is about, and which part of them."""

from pathlib import Path
from typing import Any

import pytest
from temporay.operators.benchmarks._base import BenchmarkItem, benchmark_called
from temporay.operators.errors import UserError

from tests.operators.benchmarks.layouts import LAYOUTS, write_json


def items_of(name: str, folder: Path) -> dict[str, BenchmarkItem]:
    """Return the first question of every task."""
    items = benchmark_called(name).read(folder).items
    return {item.task: item for item in reversed(items)}


def test_tvbench_shows_a_part_of_two_tasks(tmp_path: Path) -> None:
    LAYOUTS["tvbench"](tmp_path)
    items = items_of("tvbench", tmp_path)
    assert (items["action_sequence"].start_s, items["action_sequence"].end_s) == (1.5, 8.0)
    assert items["action_count"].start_s is None
    assert items["action_count"].videos == ("video/action_count/v0.mp4",)


def test_mvbench_cuts_whole_videos_and_leaves_cut_ones_as_they_are(tmp_path: Path) -> None:
    LAYOUTS["mvbench"](tmp_path)
    whole = items_of("mvbench", tmp_path)
    assert whole["action_sequence"].videos == ("video/star/Charades_v1_480/v0.mp4",)
    assert (whole["action_sequence"].start_s, whole["action_sequence"].end_s) == (0.0, 4.0)
    cut = tmp_path / "star/Charades_segment/v0.mp4"
    cut.parent.mkdir(parents=True)
    cut.write_bytes(b"")
    found = items_of("mvbench", tmp_path)["action_sequence"]
    assert (found.videos, found.start_s, found.end_s) == (("star/Charades_segment/v0.mp4",), None, None)


def test_mvbench_has_folders_of_frames_with_a_rate_and_subtitles(tmp_path: Path) -> None:
    LAYOUTS["mvbench"](tmp_path)
    item = items_of("mvbench", tmp_path)["episodic_reasoning"]
    assert (item.fps, item.end_s) == (3.0, 38.3)
    assert item.extra["subtitle"].startswith("(Castle:)")


def test_cvbench_has_two_to_four_videos_in_order(tmp_path: Path) -> None:
    LAYOUTS["cvbench"](tmp_path)
    items = benchmark_called("cvbench").read(tmp_path).items
    assert [len(item.videos) for item in items] == [2, 3, 4, 2, 3]
    assert items[1].videos == ("1/v0.mp4", "1/v1.mp4", "1/v2.mp4")
    assert {item.cluster for item in items} == {"0", "1", "2", "3", "4"}
    assert items[3].options == ("the same color paper", "wings with tape", "folds and symmetry", "wider wings")


def test_three_published_forms_of_charades_sta(tmp_path: Path) -> None:
    masked = '<think>{"time": [24.296875, 30.40625], "boxes": {}}</think><[masked]>'
    forms: dict[str, list[dict[str, Any]]] = {
        "lmms": [{"video": "3MSZA.mp4", "caption": "person eats.", "timestamp": [24.296875, 30.40625]}],
        "text": [{"video": "3MSZA.mp4", "caption": "person eats.", "timestamp": "[24.296875, 30.40625]"}],
        "easy": [{"path": "3MSZA.mp4", "problem": "person eats.", "problem_id": 0, "solution": masked}],
    }
    for name, rows in forms.items():
        write_json(tmp_path / name / "charades_sta.json", rows)
        (item,) = benchmark_called("charades_sta").read(tmp_path / name).items
        assert (item.question, item.gold) == ("person eats.", (24.296875, 30.40625))
        assert item.videos == ("Charades_v1_480/3MSZA.mp4",)
    write_json(tmp_path / "bad/charades_sta.json", [forms["easy"][0] | {"solution": "<think>{}</think>"}])
    with pytest.raises(UserError, match=r"row 1: its span is .*, which is no start and end"):
        benchmark_called("charades_sta").read(tmp_path / "bad")


def test_groups_and_clusters(tmp_path: Path) -> None:
    for name in ("timeblind", "vinoground"):
        (tmp_path / name).mkdir()
        LAYOUTS[name](tmp_path / name)
    instance = [item for item in benchmark_called("timeblind").read(tmp_path / "timeblind").items if item.group == "0"]
    assert [item.role for item in instance] == ["q0_i0", "q0_i1", "q1_i0", "q1_i1"]
    assert len({item.cluster for item in instance}) == 1
    pair = [item for item in benchmark_called("vinoground").read(tmp_path / "vinoground").items if item.group == "1"]
    assert [item.role for item in pair] == ["pos_text", "neg_text", "pos_video", "neg_video"]
