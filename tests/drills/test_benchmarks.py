"""Six benchmarks from their published layouts through the whole path: every arm, both protocols, raw replies.

TEMPORAY_MODEL names another model than the tiny one, such as a thinned checkpoint of the real form.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import pytest
from temporay.models.tiny import build
from temporay.operators.benchmarks._base import benchmark_called
from temporay.operators.errors import UserError
from temporay.operators.scoring.arms import EVERY_ARM, FRAME_ARMS, OPTION_ARMS
from temporay.operators.scoring.evaluation import by_arm, read_rows
from temporay.workflows.config import validated
from temporay.workflows.evaluate import EvaluateConfig, run

from tests.odd_videos import drawn, write_video
from tests.operators.benchmarks import layouts
from tests.small_runs import SHAPE

ANSWERED_BY_LETTER = ("tvbench", "mvbench", "vsi_bench")  # alone, and with the options listed in the prompt
BENCHMARKS = {
    "tvbench": layouts.tvbench,
    "mvbench": layouts.mvbench,
    "next_gqa": layouts.next_gqa,
    "vcrbench": layouts.vcrbench,
    "vsi_bench": layouts.vsi_bench,
    "charades_sta": layouts.charades_sta,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("TEMPORAY_MODEL"):
        return Path(given)
    out = tmp_path_factory.mktemp("model") / "model"
    build(
        out, ["Select the best option. Question: what happens first? (A) left (B) right. 1, 2, 3 seconds"] * 9, SHAPE, 0
    )
    return out


@pytest.mark.drill
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_is_asked_under_every_arm(name: str, model: Path, ray_cluster: None, tmp_path: Path) -> None:
    data = tmp_path / name
    data.mkdir()
    BENCHMARKS[name](data)
    benchmark = benchmark_called(name)
    items = benchmark.read(data).items
    for item in items:
        for video in item.videos:
            write_one(data / video, is_folder=item.fps is not None)
    arms = (*FRAME_ARMS, *OPTION_ARMS) if name in ANSWERED_BY_LETTER else FRAME_ARMS
    given = {"data": data, "model": model, "out": tmp_path / "run", "benchmark": name, "max_tokens": 8}
    given["video_reading"] = {"rule": "count", "count": 4, "max_side": 64}
    for arm in {*EVERY_ARM} - {*arms}:
        with pytest.raises(UserError, match=f"arm {arm} can ask none of {len(items)} questions"):
            run(validated(EvaluateConfig, {**given, "arms": ("ordered", arm)}))
    summary = run(validated(EvaluateConfig, {**given, "arms": arms}))
    found = by_arm(read_rows(tmp_path / "run" / "samples.jsonl"))
    assert found.keys() == set(arms) and summary["benchmark"]["left_out"] == 0
    keys = {item.id for item in items}
    for arm, rows in found.items():
        num_not_asked = sum(summary["not_asked"].get(arm, {}).values())
        assert {row.key for row in rows} <= keys and len(rows) == len(items) - num_not_asked
        assert num_not_asked == 0 or arm in OPTION_ARMS
    for arm in arms:
        official, strict = (summary["benchmark"]["metrics"][arm][protocol] for protocol in ("official", "strict"))
        assert official.keys() == strict.keys() and len(official) > 0
    headline = next(iter(summary["benchmark"]["metrics"]["ordered"]["strict"].items()))
    print(f"{name}: {len(items)} questions, {len(arms)} arms, {summary['rows']} replies; strict {headline}")
    for arm, rows in found.items():
        unread = sum(row.parsed is None for row in rows)
        strict, lenient = (sum(getattr(row, name) or 0 for row in rows) for name in ("score", "lenient_score"))
        print(f"  {arm}: {len(rows)} replies, {unread} unread, worth {strict:g}, to a lenient reader {lenient:g}")


def write_one(path: Path, *, is_folder: bool) -> None:
    """Draw a video of 40 s, or a folder of its pictures, unless it is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if not is_folder:
        write_video(path, num_frames=40, fps=1)
        return
    path.mkdir()
    for n in range(12):
        cv2.imwrite(str(path / f"{n:05d}.jpg"), drawn(n, 64, 48))
