"""How answers become accuracies: silence is wrong where the video is shown and a guess where it is taken away."""

from temporay.operators.scoring.arms import Arm
from temporay.workflows.evaluate import EvaluationRow, by_task, credit, unread_share


def row(arm: Arm, *, correct: bool = False, parsed: str | None = None) -> EvaluationRow:
    return EvaluationRow(key="k", task="t", arm=arm, correct=correct, parsed=parsed, text="", chance=0.25)


def test_an_unread_answer_is_wrong_on_ordered_frames_and_a_guess_in_control_arms() -> None:
    assert credit(row("ordered")) == 0.0
    assert credit(row("blind")) == credit(row("shuffled")) == credit(row("single_frame")) == 0.25
    assert credit(row("blind", parsed="left")) == 0.0
    assert credit(row("blind", parsed="up", correct=True)) == 1.0


def test_a_silent_model_is_at_chance_in_control_arms_and_at_zero_on_ordered_frames() -> None:
    rows = [row("ordered")] * 8 + [row("blind")] * 8
    assert by_task(rows, "ordered")["t"].value == 0.0
    assert by_task(rows, "blind")["t"].value == 0.25
    assert unread_share(rows, "t", "blind") == 1.0
