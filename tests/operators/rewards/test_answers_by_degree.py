"""Interval, number and order: a value near the right one is paid by its formula, an unreadable answer is not paid."""

from dataclasses import replace

import pytest
from temporay.operators.components import available
from temporay.operators.dataset.rows import from_row, to_row
from temporay.operators.primitives._base import Primitive, primitive_of
from temporay.operators.records import AnswerKind, AnswerValue, Question, Sample
from temporay.operators.rewards._base import ValueReward
from temporay.operators.scoring.scores import load_rewards

from tests.operators.samples import answered, real_sample, score_of

Options = dict[str, AnswerValue]
SPANS: Options = {"from 1.0 s to 2.0 s": (1.0, 2.0), "from 3.0 s to 4.0 s": (3.0, 4.0)}
ORDERS: Options = {
    "red dot, blue dot, green dot": ("red dot", "blue dot", "green dot"),
    "green dot, blue dot, red dot": ("green dot", "blue dot", "red dot"),
}
SCENES: Options = {
    "Scene 1: a cat, asleep. Scene 2: a dog.": ("a cat, asleep", "a dog"),
    "Scene 1: a dog. Scene 2: a cat, asleep.": ("a dog", "a cat, asleep"),
}
STORIES: Options = {
    "First a cat, then a dog, last a cow.": ("a cat", "a dog", "a cow"),
    "First a cow, then a dog, last a cat.": ("a cow", "a dog", "a cat"),
}
TYPED = [p for p in map(primitive_of, available("temporay.operators.primitives")) if p and p.answer_kind != "choice"]


def asked(kind: AnswerKind, options: Options) -> Sample:
    """Return a question of this kind, whose first option is right."""
    question = Question(text="?", options=tuple(options), answer_index=0, kind=kind, values=tuple(options.values()))
    return replace(real_sample("bounce_count"), question=question)


def value(name: str, sample: Sample, answer: str, **settings: float | bool | None) -> float | None:
    [weighted] = rewards = load_rewards({name: 1.0}, {name: settings})
    return score_of(answered(answer), sample, rewards).breakdown.get(weighted.name)


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
    assert value("interval", asked("interval", SPANS), answer) == pytest.approx(expected)


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
    sample = asked("number", {"20 px": (20.0, "px"), "26 px": (26.0, "px")})
    assert value("number", sample, answer) == exact
    assert value("number", sample, answer, relative_tolerance=0.1) == tenth
    assert value("number", sample, answer, relative_tolerance=None) == pytest.approx(mra)


def test_a_true_zero_is_right_or_wrong() -> None:
    sample = asked("number", {"0": (0.0, ""), "1": (1.0, "")})
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
        (ORDERS, ", ".join([*ORDERS] * 1000), 0.0, 0.0),
        (ORDERS, "", 0.0, 0.0),
        (SCENES, "A", 1.0, 1.0),
        (SCENES, "Scene 1: a dog. Scene 2: a cat, asleep.", 0.0, 0.0),
        (STORIES, "First a dog, then a cat, last a cow", 1 / 3, 0.0),
    ],
)
def test_order(options: Options, answer: str, partial: float, exact: float) -> None:
    sample = asked("order", options)
    assert value("order", sample, answer) == pytest.approx(partial)
    assert value("order", sample, answer, partial=False) == exact


@pytest.mark.parametrize("name", ["interval", "number", "order"])
def test_does_not_apply_to_questions_of_another_kind(name: str) -> None:
    assert value(name, real_sample("sliding_puzzle"), "A") is None  # its digits are names of tiles
    for kind, options in (("interval", SPANS), ("order", ORDERS), ("number", {"0": (0.0, ""), "1": (1.0, "")})):
        assert (value(name, asked(kind, options), "A") is None) == (name != kind)


@pytest.mark.parametrize("primitive", TYPED, ids=lambda primitive: primitive.task)
def test_options_of_every_primitive_have_the_values_they_say(primitive: Primitive) -> None:
    """The right option is worth 1, by letter, in its words and after a trip to the disk; a reward reads its words."""
    kinds = set()
    for index in range(8):
        sample = real_sample(primitive.task, index=index)
        assert from_row(to_row(sample, recipe_hash="", content_hash="", instruction="")) == sample
        question = sample.question
        kinds.add(question.kind)
        assert len(question.values) == (0 if question.kind == "choice" else len(question.options))
        assert len(set(question.values)) == len(question.values)
        for answer in (question.letter, question.options[question.answer_index]):
            assert value(primitive.answer_kind, sample, answer) == (None if question.kind == "choice" else 1.0)
        for option, typed in zip(question.options, question.values, strict=bool(question.values)):
            [weighted] = load_rewards({question.kind: 1.0})
            assert isinstance(weighted.reward, ValueReward)
            assert weighted.reward.compare(weighted.reward.read(option, question), typed) == 1.0
    assert primitive.answer_kind in kinds
