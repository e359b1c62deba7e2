"""How answers become accuracies: no answer is wrong where the video is shown, and a guess where it is taken away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from temporay.operators.scoring.arms import Arm
from temporay.operators.scoring.evaluation import (
    EvaluationRow,
    answers_compared,
    by_arm,
    by_task,
    credit,
    gaps,
    has_reasoning,
    interval_of,
    lenient_scores,
    read_rows,
    scores_by_question,
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
    assert {arm: round(gap.difference.value, 6) for arm, gap in gaps(arms).items()} == {
        "shuffled": 0.0,
        "single_frame": 0.666667,
        "blind": 0.666667,
    }
    shuffled = gaps(arms)["shuffled"]
    assert (shuffled.wins, shuffled.losses, shuffled.p_value) == (1, 1, 1.0) and shuffled.difference.low < -1
    assert gaps(by_arm([one for one in rows if one.arm != "ordered"])) == {}


def test_every_question_counts_under_the_least_that_its_answer_took() -> None:
    rows = answered("a", blind=True, ordered=True) + answered("b", shuffled=True, ordered=True)
    rows += answered("c", single_frame=True) + answered("d", ordered=True) + answered("e")
    expected = {"no video": 0.2, "frames in any order": 0.4, "frames in order": 0.2, "not answered": 0.2}
    assert taken_shares(by_arm(rows)) == expected
    assert taken_shares(by_arm([one for one in rows if one.arm != "blind"])) == {}


def test_answers_about_one_video_count_for_less_than_independent_ones() -> None:
    alike = [replace(row("ordered", correct=n < 8), key=str(n), cluster=f"video {n // 4}") for n in range(16)]
    apart = [replace(one, cluster="") for one in alike]
    assert interval_of(alike).value == interval_of(apart).value == 0.5
    assert interval_of(alike).half_width > 1.3 * interval_of(apart).half_width


def test_several_answers_to_a_question_are_one_question() -> None:
    rows = [replace(row("ordered", correct=n < 2, parsed="up"), key="a", answer=n) for n in range(4)]
    rows += [replace(row("ordered", correct=True, parsed="up"), key="b", answer=n) for n in range(4)]
    assert scores_by_question(rows) == {"a": 0.5, "b": 1.0}
    agreed = answers_compared(rows)
    assert agreed is not None and agreed.num_questions == 2 and agreed.agreement == 1.0
    assert answers_compared(rows[3:5]) is None
    blind = [replace(one, arm="blind", score=0.0) for one in rows]
    assert gaps(by_arm(rows + blind))["blind"].difference.value == 0.75


def test_a_lenient_reader_is_told_beside_the_strict_one() -> None:
    read = [replace(row("ordered"), score=score, lenient_score=lenient) for score, lenient in ((1, 1), (0, 1), (0, 0))]
    assert lenient_scores([*read, row("ordered", correct=True)]) == {"score": 2 / 3, "differ": 1 / 3}
    assert lenient_scores([row("ordered")]) == {}


def test_rows_may_hold_any_text(tmp_path: Path) -> None:
    rows = [replace(row("ordered"), text="a\u2028b\u2029c\x85d\r\ne\x1cf\x0bg\nh")]
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
