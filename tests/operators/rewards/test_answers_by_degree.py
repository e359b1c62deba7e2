"""Interval, number and order: what is nearly right is paid as its formula says, and what is unreadable not at all."""

from dataclasses import replace

import pytest
from temporay.operators.records import Question, Sample
from temporay.operators.scoring.scores import load_rewards, score_rollout

from tests.operators.rewards.samples import real_sample, rollout

SPANS = ("from 1.0 s to 2.0 s", "from 3.0 s to 4.0 s")
ORDERS = ("red dot, blue dot, green dot", "green dot, blue dot, red dot")
SCENES = ("Scene 1: a cat, asleep. Scene 2: a dog.", "Scene 1: a dog. Scene 2: a cat, asleep.")
STORIES = ("First a cat, then a dog, last a cow.", "First a cow, then a dog, last a cat.")


def asked(task: str, options: tuple[str, ...]) -> Sample:
    """The first option is right."""
    sample = real_sample("bounce_count")
    question = Question(text="?", options=options, answer_index=0)
    return replace(sample, address=replace(sample.address, task=task), question=question)


def value(name: str, sample: Sample, answer: str, **settings: float | bool | None) -> float | None:
    [weighted] = rewards = load_rewards({name: 1.0}, {name: settings})
    score = score_rollout(rollout(f"<think>a</think><answer>{answer}</answer>"), sample, rewards)
    return score.breakdown.get(weighted.name)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A", 1.0),
        ("B", 0.0),
        ("from 1.0 s to 2.0 s", 1.0),
        ("1 to 2", 1.0),
        ("1.0 - 2.0 seconds", 1.0),
        ("From 1.5 s to 2.5 s.", 1 / 3),
        ("1.25 to 1.75", 0.5),
        ("0 to 999999", 1 / 999_999),
        ("2.0 to 3.0", 0.0),
        ("2.0 to 1.0", 0.0),
        ("1.5 to 1.5", 0.0),
        ("-1 to 2", 0.0),
        ("1 to 2 or 3 to 4", 0.0),
        ("\u0661 to \u0662", 0.0),
        ("nan to inf", 0.0),
        ("1e0 to 2e0", 0.0),
        ("1 to 2" + " " * 10_000 + "s", 0.0),
        ("", 0.0),
    ],
)
def test_interval(answer: str, expected: float) -> None:
    assert value("interval", asked("event_span", SPANS), answer) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "exact", "tenth", "mra"),
    [
        ("A", 1.0, 1.0, 1.0),
        ("20", 1.0, 1.0, 1.0),
        ("20 px", 1.0, 1.0, 1.0),
        ("20.0", 1.0, 1.0, 1.0),
        ("22", 0.0, 1.0, 0.8),  # relative error 0.1: of 0.05, 0.10, …, 0.50 the eight above it
        ("B", 0.0, 0.0, 0.4),  # 26: relative error 0.3, which a strict inequality leaves four thresholds for
        ("31", 0.0, 0.0, 0.0),
        ("-20", 0.0, 0.0, 0.0),
        ("20 m", 0.0, 0.0, 0.0),
        ("20 26", 0.0, 0.0, 0.0),
        ("20 or 26", 0.0, 0.0, 0.0),
        ("\u0662\u0660", 0.0, 0.0, 0.0),
        ("\uff12\uff10", 0.0, 0.0, 0.0),
        ("2e1", 0.0, 0.0, 0.0),
        ("inf", 0.0, 0.0, 0.0),
        ("nan", 0.0, 0.0, 0.0),
        ("9" * 5000, 0.0, 0.0, 0.0),
    ],
)
def test_number(answer: str, exact: float, tenth: float, mra: float) -> None:
    sample = asked("distance_estimation", ("20 px", "26 px"))
    assert value("number", sample, answer) == exact
    assert value("number", sample, answer, relative_tolerance=0.1) == tenth
    assert value("number", sample, answer, relative_tolerance=None) == pytest.approx(mra)


def test_a_true_zero_is_right_or_wrong() -> None:
    sample = asked("bounce_count", ("0", "1"))
    assert [value("number", sample, said, relative_tolerance=None) for said in "01"] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("options", "answer", "partial", "exact"),
    [
        (ORDERS, "A", 1.0, 1.0),
        (ORDERS, "B", 0.0, 0.0),
        (ORDERS, "Red dot,  blue dot, green dot.", 1.0, 1.0),
        (ORDERS, "blue dot, red dot, green dot", 1 / 3, 0.0),
        (ORDERS, "blue dot, green dot, red dot", 0.0, 0.0),  # one pair of three: below chance
        (ORDERS, "red dot, blue dot", 0.0, 0.0),
        (ORDERS, "red dot, red dot, green dot", 0.0, 0.0),
        (ORDERS, "red dot, blue dot, green dot, red dot", 0.0, 0.0),
        (ORDERS, ", ".join(ORDERS * 1000), 0.0, 0.0),
        (ORDERS, "", 0.0, 0.0),
        (SCENES, "A", 1.0, 1.0),
        (SCENES, "Scene 1: a dog. Scene 2: a cat, asleep.", 0.0, 0.0),
        (STORIES, "First a dog, then a cat, last a cow", 1 / 3, 0.0),
    ],
)
def test_order(options: tuple[str, ...], answer: str, partial: float, exact: float) -> None:
    sample = asked("event_order", options)
    assert value("order", sample, answer) == pytest.approx(partial)
    assert value("order", sample, answer, partial=False) == exact


@pytest.mark.parametrize(
    ("name", "task", "options"),
    [
        ("interval", "motion_direction", ("left", "right")),
        ("number", "motion_direction", ("left", "right")),
        ("number", "sliding_puzzle", ("3", "4")),  # names of tiles
        ("order", "motion_direction", ("left", "right")),
        ("order", "largest_motion", ("top left, moving up", "middle right, moving down")),
    ],
)
def test_does_not_apply(name: str, task: str, options: tuple[str, ...]) -> None:
    assert value(name, asked(task, options), "A") is None


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("interval", "event_span"),
        ("number", "bounce_count"),
        ("number", "distance_estimation"),
        ("number", "motion_count"),
        ("order", "event_order"),
        ("order", "velocity_ranking"),
        ("order", "clip_jigsaw"),
    ],
)
def test_applies_to_what_primitives_ask(name: str, task: str) -> None:
    for index in range(4):
        sample = real_sample(task, index=index)
        assert value(name, sample, sample.question.letter) == 1.0
        assert value(name, sample, sample.question.options[sample.question.answer_index]) == 1.0
