"""Benchmarks are asked in their own words about the right part of the right video, and scored by their own rules."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from temporay.models.families._base import family_of
from temporay.models.tiny import build
from temporay.operators.benchmarks._base import BENCHMARKS, benchmark_called
from temporay.operators.components import available
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.records import FinishReason, Rollout
from temporay.operators.scoring.arms import LOG_ARMS, NONE_OF_THEM, OPTION_ARMS, Arm
from temporay.operators.scoring.evaluation import by_arm, read_rows
from temporay.operators.scoring.lmms_eval import read_log
from temporay.operators.videos.reading import TIMELINE_FPS, TakenFrames, VideoReading
from temporay.workflows.config import validated
from temporay.workflows.evaluate import EvaluateConfig, run, tell
from temporay.workflows.evaluation.benchmark_questions import BenchmarkQuestions
from temporay.workflows.grpo.checks import check
from temporay.workflows.grpo.loop import run_with
from temporay.workflows.rollouts.pool import RolloutPool

from tests.odd_videos import numbers, write_video
from tests.operators.benchmarks import layouts
from tests.small_data import write_dataset
from tests.small_runs import SHAPE
from tests.workflows.grpo.small_grpo import POOL, config

NUM_VIDEOS = 3  # of every task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TVBench with a video of 10 seconds for every question but the last one of one task."""
    folder = tmp_path_factory.mktemp("tvbench")
    layouts.tvbench(folder)
    for file in (folder / "json").iterdir():
        for n in range(NUM_VIDEOS):
            video = folder / "video" / file.stem / f"v{n}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            write_video(video, num_frames=20, fps=2, size=(64, 48))
    (folder / "video/object_count/v2.mp4").unlink()
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model"
    build(
        out, ["Question: where does the ball go? Options: (A) To the left. (B) To the right. Best option"] * 9, SHAPE, 0
    )
    return out


def opened(folder: Path, **changes: Any) -> BenchmarkQuestions:
    reading = VideoReading(rule="count", count=4)
    settings = {"asking": "published", "instruction": "", "num_samples": None, **changes}
    return BenchmarkQuestions.open(benchmark_called("tvbench"), folder, reading, **settings)


def written(text: str) -> Rollout:
    return Rollout(completion_ids=(), logprobs=(), text=text, finish_reason=FinishReason.STOP, weight_versions=())


def place(questions: BenchmarkQuestions, task: str) -> int:
    return next(i for i, item in enumerate(questions.items) if item.task == task)


def test_every_question_is_asked_whose_video_is_there(folder: Path) -> None:
    questions = opened(folder)
    assert len(questions) == 10 * NUM_VIDEOS - 1
    assert [(one.reason, "object_count/v2.mp4" in one.detail) for one in questions.left_out] == [
        ("video_missing", True)
    ]
    assert len(opened(folder, num_samples=2)) == 20
    with pytest.raises(UserError, match="num_samples is 4, but there are 3 questions of action_antonym"):
        opened(folder, num_samples=4)


def test_only_the_stated_part_of_a_video_is_shown(folder: Path) -> None:
    questions = opened(folder)
    (whole,) = questions.frames_shown(questions.clip_of(place(questions, "moving_direction")))
    (part,) = questions.frames_shown(questions.clip_of(place(questions, "action_sequence")))  # from 1.5 to 8 s
    assert whole.shape == (4, 48, 64, 3) == questions.media_shown(0)[0].shape
    assert numbers(whole) == [2, 7, 12, 17] and numbers(part) == [4, 7, 11, 14]


def test_the_prompt_has_the_published_words_and_the_times_of_the_frames(folder: Path, model: Path) -> None:
    questions, processor = opened(folder), family_of(model).load_processor(model)
    i = place(questions, "moving_direction")
    frames = questions.frames_shown(questions.clip_of(i))
    prompt = questions.prompt(processor, i, "reversed", frames)
    assert prompt.text.endswith("Best option:(") and "Carefully watch the video" in prompt.text
    (shown,) = prompt.media
    assert shown.fps == TIMELINE_FPS and shown.shown is not None and shown.shown.indices == (1000, 3500, 6000, 8500)
    assert np.array_equal(shown.frames_THWC, frames[0][::-1])
    own = opened(folder, asking="own", instruction="Think first.").prompt(processor, i, "ordered", frames)
    assert (
        "Carefully" not in own.text
        and "Best option:(" not in own.text
        and "Only give the best option.\nThink" in own.text
    )
    removed = questions.prompt(processor, i, "right_removed", frames).text
    item = questions.items[i]
    assert NONE_OF_THEM in removed and item.options[item.gold] not in removed


def test_a_question_about_several_videos_shows_all_of_them_between_their_titles(tmp_path: Path, model: Path) -> None:
    layouts.cvbench(tmp_path)
    for item in benchmark_called("cvbench").read(tmp_path).items:
        for n, video in enumerate(item.videos):
            (tmp_path / video).parent.mkdir(exist_ok=True)
            write_video(tmp_path / video, num_frames=6 + 2 * n, fps=2, size=(64, 48))
    reading = VideoReading(rule="count", count=4)
    questions = BenchmarkQuestions.open(
        benchmark_called("cvbench"), tmp_path, reading, asking="published", instruction="", num_samples=None
    )
    assert not questions.left_out and questions.clips == (0, 1, 2, 3, 4)
    processor, clips = family_of(model).load_processor(model), questions.frames_shown(1)
    assert (
        [clip.shape for clip in clips] == [medium.shape for medium in questions.media_shown(1)] == [(4, 48, 64, 3)] * 3
    )
    prompt = questions.prompt(processor, 1, "ordered", clips)
    marker = "<|vision_start|><|video_pad|><|vision_end|>"
    titled = "".join(f"The video {n}\n{marker}\nVideo {n} End\n" for n in (1, 2, 3))
    assert f"user\n{titled}\nSelect the best answer" in prompt.text
    assert len({medium.shown for medium in prompt.media}) == 3  # each is told its own times
    backward = questions.prompt(processor, 1, "reversed", clips)
    assert all(
        np.array_equal(one.frames_THWC, other.frames_THWC[::-1])
        for one, other in zip(prompt.media, backward.media, strict=True)
    )
    blind = questions.prompt(processor, 1, "blind", clips)
    assert blind.media == () and marker not in blind.text and "Video 3 End" in blind.text


@pytest.mark.parametrize("arm", ["ordered", "options_shuffled", "right_removed", "numbered"])
def test_gold_answers_are_right_under_every_arm_and_others_are_not(folder: Path, arm: Arm) -> None:
    questions = opened(folder)
    for answer, expected in (("right", 100.0), ("wrong", 0.0)):
        rows = []
        for i in range(len(questions)):
            item = questions._asked(i, arm)
            index = item.gold if answer == "right" else (item.gold + 1) % len(item.options)
            said = str(index + 1) if arm == "numbered" else questions.benchmark.write_answer(item, index)
            rows.append(questions.row(i, arm, written(said)))
            assert rows[-1].parsed == said
        tables = questions.tables(rows)
        assert {tables[protocol]["accuracy"] for protocol in tables} == {expected}
        assert {row.score for row in rows} == {row.lenient_score for row in rows} == {expected / 100}


def test_numbers_stand_where_letters_stood(folder: Path, model: Path) -> None:
    questions, processor = opened(folder), family_of(model).load_processor(model)
    i = place(questions, "moving_direction")
    frames = questions.frames_shown(questions.clip_of(i))
    ordered, numbered = (questions.prompt(processor, i, arm, frames) for arm in ("ordered", "numbered"))
    expected = ordered.text
    for n, letter in enumerate("ABCD", start=1):
        expected = expected.replace(f"({letter}) ", f"({n}) ")
    assert numbered.text == expected != ordered.text
    assert questions.row(i, "numbered", written("B")).parsed is None  # a letter was not on offer


@pytest.mark.parametrize("name", available(BENCHMARKS))
def test_options_change_only_where_the_prompt_lists_them(name: str, model: Path, tmp_path: Path) -> None:
    getattr(layouts, name)(tmp_path)
    benchmark = benchmark_called(name)
    items, processor = benchmark.read(tmp_path).items, family_of(model).load_processor(model)
    taken = TakenFrames(places=(0, 1), times_s=(0.0, 1.0), width=32, height=32)
    questions = BenchmarkQuestions(
        benchmark=benchmark,
        items=items,
        doc_ids=tuple(range(len(items))),
        clips=tuple(range(len(items))),
        videos=(),
        media=tuple((taken.medium,) * len(item.videos) for item in items),
        left_out=(),
        reading=VideoReading(),
        asking="published",
        instruction="",
    )
    reasons = set[str]()
    for i, item in enumerate(items):
        frames = (np.zeros((2, 32, 32, 3), np.uint8),) * len(item.videos)
        ordered = questions.prompt(processor, i, "ordered", frames).text
        for arm in OPTION_ARMS:
            if (obstacle := questions.obstacle(i, arm)) is not None:
                reasons.add(obstacle.reason)
                continue
            text = questions.prompt(processor, i, arm, frames).text
            asked = questions._asked(i, arm)
            assert text != ordered or asked.options == item.options
            assert all(option.strip() in text for option in asked.options)
        assert all(questions.obstacle(i, arm) is not None for arm in LOG_ARMS)
    assert reasons <= {"no_lettered_options", "options_in_question", "options_are_numbers"}
    listed = {"cvbench", "mvbench", "next_qa", "tomato", "tvbench", "video_holmes", "video_mme", "video_mme_v2"}
    assert ("options_in_question" in reasons) == (
        name in {"aotbench", "tempcompass", "temporalbench", "timeblind", "vinoground", "vstat"}
    )
    if name in listed:
        assert any(questions.obstacle(i, arm) is None for i in range(len(items)) for arm in OPTION_ARMS)


def test_both_protocols_and_both_readers_are_told_where_they_differ(folder: Path) -> None:
    questions = opened(folder)
    rows = [questions.row(i, "ordered", written("**Answer: B**" if i % 2 else "")) for i in range(len(questions))]
    tables = questions.tables(rows)
    assert tables["official"]["accuracy"] > 40 and tables["strict"]["accuracy"] == 0.0  # an empty reply fits any option
    assert {row.parsed for row in rows} == {None} and {row.lenient_score for row in rows} == {0.0, 1.0}
    assert len({row.cluster for row in rows}) == len(questions)


def test_evaluate_runs_a_benchmark_through_every_arm(
    ray_cluster: None, folder: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"data": folder, "model": model, "out": tmp_path / "run", "benchmark": "tvbench", "num_samples": 2}
    given |= {"arms": ["ordered", "reversed", "blind"], "max_tokens": 4, "pool": {"engine": "local"}}
    with pytest.raises(UserError, match="takes no instruction; give --asking own"):
        run(validated(EvaluateConfig, {**given, "instruction": "letter"}))
    summary = run(validated(EvaluateConfig, given))
    tell(summary)
    said = capsys.readouterr().out
    assert "TVBench, reversed: accuracy" in said and "protocols: official takes" in said
    assert "evaluate: 20 questions about 20 videos show a difference of two models from" in said
    assert re.search(r"  strict: \d+\.\d\d to \d+\.\d\d \(wilson, by video\)", said)
    assert "without looking: a guess 50.0%, the best single position 50.0%" in said
    found = summary["benchmark"]
    assert found["reading"]["count"] == 16 and found["metrics"].keys() == {"ordered", "reversed", "blind"}
    rows = read_rows(tmp_path / "run" / "samples.jsonl")
    assert len(rows) == 3 * 20 and {row.task for row in rows} == set(found_tasks(folder))
    name, tasks = read_log(tmp_path / "run" / "lmms_eval")
    assert name == str(model) and {task.task for task in tasks} == {f"tvbench_{task}" for task in found_tasks(folder)}
    by_task = by_arm(rows)["ordered"]
    for task in tasks:
        mine = [row.score for row in by_task if f"tvbench_{row.task}" == task.task]
        assert [one.doc_id for one in task.samples] == [0, 1] and task.metrics["acc"] == sum(mine) / 2
    assert run(validated(EvaluateConfig, given)) == json.loads((tmp_path / "run" / "summary.json").read_text())


def found_tasks(folder: Path) -> list[str]:
    return [file.stem for file in (folder / "json").iterdir()]


def test_a_video_that_breaks_off_is_named(folder: Path, tmp_path: Path) -> None:
    questions = opened(folder)
    clip = questions.clip_of(place(questions, "scene_transition"))
    path = questions.videos[clip][0].path
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"scene_transition/v0\.mp4.*; get it again, or move it away"):
        questions.frames_shown(clip)
    path.write_bytes(whole)


def test_grpo_validates_on_a_benchmark(ray_cluster: None, folder: Path, model: Path, tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", split="rl", num_samples=8)
    settings = {"validation": folder, "validation_benchmark": "tvbench", "validation_samples": 4, "validate_every": 1}
    settings |= {"num_steps": 1, "video_reading": {"rule": "count", "count": 4}, "max_tokens": 4}
    with RolloutPool.started(POOL, model) as pool:
        summary = run_with(config(data, model, tmp_path / "run", **settings), pool)
    rows = [json.loads(row) for row in (tmp_path / "run" / "metrics.jsonl").read_text().split("\n") if row]
    found = [row for row in rows if row["stage"] == "grpo_validation"]
    assert [row["step"] for row in found] == [0, 1]
    assert all(0 <= row["ordered_accuracy"] <= 1 and "shuffled_gap" in row for row in found)
    assert summary["steps"] == 1
    with pytest.raises(UserError, match="give its folder with --validation"):
        check(config(data, model, tmp_path / "no", validation_benchmark="tvbench"), Dataset.open(data))


def test_a_benchmark_without_its_videos_is_refused(folder: Path, model: Path, tmp_path: Path) -> None:
    given = {"data": folder, "model": model, "out": tmp_path / "run", "benchmark": "tvbench", "max_dropped_share": 0.0}
    with pytest.raises(UserError, match=r"1 of 30 questions of TVBench cannot be asked, .* \(1 video_missing, such as"):
        run(validated(EvaluateConfig, given))
    with pytest.raises(UserError, match="videos are below its own folder"):
        run(validated(EvaluateConfig, {**given, "video_reading": {"videos": tmp_path}}))
    with pytest.raises(UserError, match="unknown benchmark 'tv_bench'; did you mean 'tvbench'"):
        run(validated(EvaluateConfig, {**given, "benchmark": "tv_bench"}))
    assert not (tmp_path / "run").exists()
