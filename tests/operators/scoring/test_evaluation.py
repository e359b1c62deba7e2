"""How answers become accuracies: no answer is wrong where the video is shown, and a guess where it is taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporay.operators.scoring.arms import Arm
from temporay.operators.scoring.evaluation import (
    EvaluationRow,
    by_arm,
    by_task,
    credit,
    has_reasoning,
    read_rows,
    write_rows,
)


def row(arm: Arm, *, correct: bool = False, parsed: str | None = None) -> EvaluationRow:
    return EvaluationRow(key="k", task="t", arm=arm, correct=correct, parsed=parsed, text="", chance=0.25)


def test_an_unread_answer_is_wrong_on_ordered_frames_and_a_guess_in_control_arms() -> None:
    assert credit(row("ordered")) == 0.0
    assert credit(row("blind")) == credit(row("shuffled")) == credit(row("single_frame")) == 0.25
    assert credit(row("blind", parsed="left")) == 0.0
    assert credit(row("blind", parsed="up", correct=True)) == 1.0


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
