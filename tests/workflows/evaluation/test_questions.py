"""Questions of a dataset: prompts of every arm, and what completions are worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from temporay.models.families._base import family_of, video_metadata
from temporay.models.token_lengths import TokenLengths
from temporay.operators.dataset.opening import open_samples
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.records import FinishReason, Rollout
from temporay.operators.scoring.arms import NONE_OF_THEM, Arm
from temporay.operators.scoring.evaluation import EvaluationRow, by_arm, by_task
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.evaluation.asking import demand_of, greedy, not_asked
from temporay.workflows.evaluation.questions import SampleQuestions

from tests.own_lines import LINE, write_lines
from tests.small_data import CANVAS, write_dataset
from tests.small_runs import write_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("questions") / "data", num_samples=4)


@pytest.fixture(scope="module")
def questions(data: Path) -> SampleQuestions:
    return SampleQuestions.of(Dataset.open(data), [3, 1], "")


def written(text: str) -> Rollout:
    return Rollout(completion_ids=(), logprobs=(), text=text, finish_reason=FinishReason.STOP, weight_versions=())


def test_own_reasoning_is_worth_all_of_its_log(questions: SampleQuestions) -> None:
    sample = questions.samples.sample(3)
    row = questions.row(0, "ordered", written(sample.target))
    assert (row.key, row.score, row.claims, row.cluster) == (sample.key, 1.0, 1.0, sample.address.pair_id)
    silent = questions.row(0, "ordered", written(f"<answer>{sample.question.answer}</answer>"))
    assert (silent.score, silent.claims) == (1.0, 0.0)
    assert questions.row(0, "shuffled", written(sample.target)).claims is None  # it reasons about other frames
    table = by_task(by_arm([row, silent]))["motion_direction"]
    assert table["claims"] == {"ordered": 0.5} and table["exact"] == {"ordered": 0.5}


def test_what_no_log_knows_is_unknown() -> None:
    row = EvaluationRow(key="k", task="t", arm="ordered", score=1.0, parsed="A", text="", chance=0.25)
    assert by_task({"ordered": [row]})["t"]["claims"] == {"ordered": None}


def test_each_arm_asks_with_its_own_options_and_frames(data: Path, questions: SampleQuestions, tmp_path: Path) -> None:
    model = write_model(data, tmp_path / "model")
    processor = family_of(model).load_processor(model)
    frames, sample = questions.frames_shown(0), questions.samples.sample(3)
    assert np.array_equal(frames[0], questions.samples.frames_shown(3)[0])
    ordered, backward = (questions.prompt(processor, 0, arm, frames) for arm in ("ordered", "reversed"))
    assert ordered.text == backward.text
    assert np.array_equal(ordered.media[0].frames_THWC, backward.media[0].frames_THWC[::-1])
    removed = questions.prompt(processor, 0, "right_removed", frames)
    assert NONE_OF_THEM in removed.text and sample.question.options[sample.question.answer_index] not in removed.text
    letter = sample.question.letter
    assert questions.row(0, "right_removed", written(f"<answer>{letter}</answer>")).score == 1.0
    words = replace(sample.question, answer_format="text").answer
    assert questions.row(0, "options_shuffled", written(f"<answer>{words}</answer>")).score == 1.0


def test_own_lines_about_one_video_share_its_frames(tmp_path: Path) -> None:
    lines = [{**LINE, "question": f"Question {n}?", "video": f"{'ab'[n % 2]}.mp4"} for n in range(4)]
    file = write_lines(tmp_path / "qa.jsonl", *lines)
    (tmp_path / "b.mp4").write_bytes((tmp_path / "a.mp4").read_bytes())
    questions = SampleQuestions.of(open_samples(file, VideoReading()), range(4), "")
    asked = [questions.samples.sample(i).question.text for i in questions.indices]
    assert asked == ["Question 0?", "Question 2?", "Question 1?", "Question 3?"]
    assert [questions.clip_of(i) for i in range(4)] == [0, 0, 2, 2]
    row = questions.row(3, "ordered", written("<answer>A</answer>"))
    assert row.cluster == str(tmp_path / "b.mp4") and row.claims is None


def test_numbered_options_are_answered_by_number(data: Path, questions: SampleQuestions, tmp_path: Path) -> None:
    model = write_model(data, tmp_path / "model")
    processor = family_of(model).load_processor(model)
    frames, question = questions.frames_shown(0), questions.samples.sample(3).question
    text = questions.prompt(processor, 0, "numbered", frames).text
    assert all(f"({n}) {option}" in text for n, option in enumerate(question.options, start=1)) and "(A)" not in text
    gold, words = question.answer_index + 1, question.options[question.answer_index]
    wrong = gold % len(question.options) + 1
    replies = (str(gold), f"{gold}. {words}", f"({gold}) {words}", words, str(wrong), question.letter)
    rows = [questions.row(0, "numbered", written(f"<answer>{reply}</answer>")) for reply in replies]
    assert [row.score for row in rows] == [1, 1, 1, 1, 0, 0]
    assert [row.parsed for row in rows] == [words] * 4 + [question.options[wrong - 1], None]
    assert [row.lenient_score for row in rows] == [1, 1, 1, 1, 0, 0]
    assert questions.row(0, "ordered", written(f"<answer>{gold}</answer>")).parsed is None


def test_slow_motion_shows_the_same_frames_at_later_times(
    data: Path, questions: SampleQuestions, tmp_path: Path
) -> None:
    model = write_model(data, tmp_path / "model")
    processor = family_of(model).load_processor(model)
    frames = questions.frames_shown(0)
    ordered, slow = (questions.prompt(processor, 0, arm, frames) for arm in ("ordered", "slow_motion"))
    assert slow.text == ordered.text and slow.media == (replace(ordered.media[0], fps=ordered.media[0].fps / 2),)
    times = [video_metadata(prompt.media[0])["duration"] for prompt in (ordered, slow)]
    assert times[1] == 2 * times[0]


def test_oracle_frames_and_captions_need_what_the_data_have(data: Path, tmp_path: Path) -> None:
    model = write_model(data, tmp_path / "model")
    processor = family_of(model).load_processor(model)
    canvas = replace(CANVAS, num_frames=(24, 32))
    bounces = SampleQuestions.of(
        Dataset.open(write_dataset(tmp_path / "bounces", tasks=("bounce_count",), canvas=canvas)), range(8), ""
    )
    found = [i for i in range(8) if bounces.obstacle(i, "oracle_frames") is None]
    assert found and not_asked(bounces, ["ordered"]) == {}
    for i in found:
        frames = bounces.frames_shown(i)
        ordered, oracle = (bounces.prompt(processor, i, arm, frames) for arm in ("ordered", "oracle_frames"))
        (shown,) = oracle.media
        assert oracle.text == ordered.text and shown.fps == ordered.media[0].fps and shown.shown is not None
        assert len(shown.frames_THWC) < len(frames[0])
        assert np.array_equal(shown.frames_THWC, frames[0][list(shown.shown.indices)])
    with pytest.raises(UserError, match=r"caption_only can ask none of 8 questions: .*\(no_captions\); leave it out"):
        not_asked(bounces, ["ordered", "caption_only"])


def test_captions_stand_for_the_video(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", tasks=("scene_order",), num_samples=4)
    model = write_model(data, tmp_path / "model")
    family = family_of(model)
    processor, questions = family.load_processor(model), SampleQuestions.of(Dataset.open(data), range(4), "")
    prompt = questions.prompt(processor, 0, "caption_only", questions.frames_shown(0))
    sample = questions.samples.sample(0)
    assert prompt.media == () and processor.video_token not in prompt.text
    assert all(event.subject in prompt.text.partition(sample.question.text)[0] for event in sample.events)
    right = questions.row(0, "caption_only", written(f"<answer>{sample.question.letter}</answer>"))
    assert (right.score, right.claims) == (1.0, None)
    arms: tuple[Arm, ...] = ("ordered", "caption_only")
    demand = demand_of(questions, arms, greedy(4), TokenLengths(family, processor))
    texts = [questions.prompt(processor, i, "caption_only", questions.frames_shown(i)).text for i in range(4)]
    assert demand.prompt_tokens >= max(len(processor.tokenizer(text)["input_ids"]) for text in texts)
