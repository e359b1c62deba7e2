"""How answers become accuracies: no answer is wrong where the video is shown, and a guess where it is taken away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from temporay.operators.scoring.arms import Arm
from temporay.operators.scoring.evaluation import (
    EvaluationRow,
    by_arm,
    by_task,
    credit,
    gap,
    gaps,
    has_reasoning,
    lenient_scores,
    read_rows,
    taken_shares,
    write_rows,
)


def row(arm: Arm, *, correct: bool = False, parsed: str | None = None) -> EvaluationRow:
    return EvaluationRow(key="k", task="t", arm=arm, score=float(correct), parsed=parsed, text="", chance=0.25)


def test_an_unread_answer_is_wrong_on_ordered_frames_and_a_guess_in_control_arms() -> None:
    assert credit(row("ordered")) == 0.0
    assert credit(row("blind")) == credit(row("shuffled")) == credit(row("single_frame")) == 0.25
    assert credit(row("blind", parsed="left")) == 0.0
    assert credit(row("blind", parsed="up", correct=True)) == 1.0


def test_an_unread_answer_is_wrong_where_only_the_options_change() -> None:
    assert credit(row("options_shuffled")) == credit(row("right_removed")) == 0.0
    assert credit(row("reversed")) == 0.25


def answered(key: str, **right: bool) -> list[EvaluationRow]:
    """Return a row of every arm for one question."""
    arms: tuple[Arm, ...] = ("ordered", "shuffled", "single_frame", "blind")
    return [replace(row(arm, correct=right.get(arm, False), parsed="up"), key=key) for arm in arms]


def test_a_gap_is_taken_by_questions_whatever_their_order() -> None:
    rows = answered("a", ordered=True) + answered("b", ordered=True, shuffled=True) + answered("c", shuffled=True)
    arms = by_arm(rows[::-1])
    assert {arm: round(interval.value, 6) for arm, interval in gaps(arms).items()} == {
        "shuffled": 0.0,
        "single_frame": 0.666667,
        "blind": 0.666667,
    }
    assert gap(arms, "shuffled").n == 3 and gap(arms, "shuffled").low < -1  # differences 1, 0 and -1
    assert gaps(by_arm([one for one in rows if one.arm != "ordered"])) == {}


def test_every_question_counts_under_the_least_that_its_answer_took() -> None:
    rows = answered("a", blind=True, ordered=True) + answered("b", shuffled=True, ordered=True)
    rows += answered("c", single_frame=True) + answered("d", ordered=True) + answered("e")
    expected = {"no video": 0.2, "frames in any order": 0.4, "frames in order": 0.2, "not answered": 0.2}
    assert taken_shares(by_arm(rows)) == expected
    assert taken_shares(by_arm([one for one in rows if one.arm != "blind"])) == {}


def test_a_lenient_reader_is_told_beside_the_strict_one() -> None:
    read = [replace(row("ordered"), score=score, lenient_score=lenient) for score, lenient in ((1, 1), (0, 1), (0, 0))]
    assert lenient_scores([*read, row("ordered", correct=True)]) == {"score": 2 / 3, "differ": 1 / 3}
    assert lenient_scores([row("ordered")]) == {}


def test_rows_may_hold_any_text(tmp_path: Path) -> None:
    rows = [replace(row("ordered"), text="a\u2028b\x85c\r\nd\x1c")]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == rows


def test_a_silent_model_is_at_chance_in_control_arms_and_at_zero_on_ordered_frames(tmp_path: Path) -> None:
    rows = [row("ordered")] * 8 + [row("blind")] * 8
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == rows
    found = by_task(by_arm(rows))["t"]
    assert found["intervals"]["ordered"]["value"] == 0.0
    assert found["intervals"]["blind"]["value"] == found["chance"] == 0.25
    assert found["unread"] == {"ordered": 1.0, "blind": 1.0}
    assert found["reasoned"] == {"ordered": 0.0, "blind": 0.0}


@pytest.mark.parametrize(
    ("completion", "expected"),
    [
        ("<think>First red.</think><answer>A</answer>", True),
        ("First red.</think><answer>A</answer>", True),  # the template has opened it
        ("<think></think><answer>A</answer>", False),
        ("<think> \n</think><answer>A</answer>", False),
        ("</think><answer>A</answer>", False),
        ("<answer>A</answer>", False),
        ("<answer>First red.</think><answer>A</answer>", False),  # the answer was begun before
        ("<think>First red.", False),  # cut before an answer
        ("", False),
    ],
)
def test_an_answer_is_reasoned_after_a_chain_of_thought_that_says_something(completion: str, expected: bool) -> None:
    assert has_reasoning(completion) is expected


def test_what_a_model_writes_ends_no_line(tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\u0085d\x1ce\x0bf\ng\r\nh"
    written = EvaluationRow(key="k", task="t", arm="ordered", correct=True, parsed=text, text=text, chance=0.5)
    write_rows(tmp_path / "rows.jsonl", [written, written])
    assert read_rows(tmp_path / "rows.jsonl") == [written, written]
