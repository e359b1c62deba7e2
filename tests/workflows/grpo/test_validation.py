"""What a validation of GRPO measures, what it is refused for, and how its value gets to the training workers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.scoring.arms import Arm
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.workflows.config import validated
from temporay.workflows.evaluation.during_training import measures, terminal_line
from temporay.workflows.grpo.mailbox import Mailbox
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.grpo.validation import check_validation, held_out_questions

from tests.small_data import write_dataset


def row(key: str, arm: Arm, parsed: str | None, *, correct: bool) -> EvaluationRow:
    return EvaluationRow(key=key, task="t", arm=arm, score=float(correct), parsed=parsed, text="", chance=0.25)


def config(data: Path, **changes: Any) -> GrpoConfig:
    return validated(GrpoConfig, {"data": data, "model": Path("m"), "out": Path("o"), **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("rl"), split="rl", num_samples=4)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("held_out"), split="test", num_samples=6)


def test_a_gap_is_taken_by_pairs_and_an_unread_control_is_a_guess() -> None:
    rows = [row("a", "ordered", "A", correct=True), row("b", "ordered", "A", correct=True)]
    rows += [row("a", "shuffled", None, correct=False), row("b", "shuffled", "B", correct=False)]
    found = measures(rows)
    assert found["ordered_accuracy"] == 1.0 and found["ordered_unread"] == 0.0
    assert found["shuffled_accuracy"] == 0.125 and found["shuffled_unread"] == 0.5
    assert found["shuffled_gap"] == 0.875
    low, high = found["shuffled_gap_interval"]
    assert low < 0.875 < high and high - low < 0.5  # differences of 0.75 and 1
    assert "ordered_gap" not in found
    line = terminal_line(20, found)
    assert line.startswith("validation after 20 steps: ordered accuracy 100.0% (34% to 100%), shuf")
    assert line.endswith("; unread: ordered 0%, shuffled 50% (wrong where the whole clip is shown, a guess elsewhere)")
    assert "unread" not in terminal_line(20, measures(rows[:2]))


def test_one_sample_has_no_interval_of_a_gap() -> None:
    found = measures([row("a", "ordered", "A", correct=True), row("a", "blind", "B", correct=False)])
    assert found["blind_gap"] == 1.0 and "blind_gap_interval" not in found


def test_the_same_rows_are_asked_at_every_validation(data: Path, held_out: Path) -> None:
    asked = [held_out_questions(config(data, validation=held_out, validation_samples=4)) for _ in range(2)]
    assert asked[0] is not None and asked[1] is not None
    assert asked[0].questions.indices == asked[1].questions.indices and len(asked[0].questions) == 4
    assert held_out_questions(config(data)) is None
    assert held_out_questions(config(data, validation=held_out, mode="rollouts_only")) is None


def test_validation_is_due_at_the_start_and_at_the_end(data: Path) -> None:
    given = config(data, num_steps=7, validate_every=3)
    assert [step for step in range(8) if given.validates_after(step)] == [0, 3, 6, 7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best_metric": "blind_gap"}, "best_metric blind_gap needs the arms blind, ordered"),
        ({"validation": None, "best_metric": "shuffled_gap"}, "best_metric is shuffled_gap, but nothing is validated"),
        ({"validation": Path("/no/data")}, "/no/data is not a dataset"),
    ],
)
def test_a_validation_that_cannot_be_is_refused(
    data: Path, held_out: Path, changes: dict[str, Any], message: str
) -> None:
    check_validation(config(data, validation=held_out), Dataset.open(data))
    with pytest.raises(UserError, match=message):
        check_validation(config(data, **{"validation": held_out, **changes}), Dataset.open(data))


def test_samples_that_are_trained_on_are_not_held_out(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", split="rl", num_samples=24)
    twins = write_dataset(tmp_path / "twins", split="rl", num_samples=24, twins=True)
    with pytest.raises(
        UserError, match=r"\d+ of 24 samples of validation .* as twins, e\.g\. motion_direction-rl-0-1-\d+; give other"
    ):
        check_validation(config(data, validation=twins), Dataset.open(data))


def test_workers_wait_for_the_value_of_their_weights_or_for_the_end() -> None:
    async def asked() -> list[float | None]:
        mailbox = Mailbox(2)
        waiting = [asyncio.create_task(mailbox.take_validation(step)) for step in (4, 8)]
        await mailbox.put_validation(4, 0.5)
        await mailbox.close()
        return [await one for one in waiting] + [await mailbox.take_validation(4)]  # workers that start again ask again

    assert asyncio.run(asked()) == [0.5, None, 0.5]
