"""Rewards that compare a group with completions of its twin, or of its own frames shuffled."""

import pytest
from temporay.operators.records import ScoreStatus
from temporay.operators.rewards._base import Comparisons
from temporay.operators.rewards.shuffled_contrast import shuffled_contrast
from temporay.operators.scoring.scores import load_rewards, needs_of, score_group

from tests.operators.samples import group_of, real_sample

MAIN, TWIN = real_sample("motion_direction"), real_sample("motion_direction", twin=True)


def letters(answers: str) -> list[str]:
    return [f"<answer>{letter}</answer>" for letter in answers]


def twin_values(main: str, twin: str, pairing: str = "one") -> list[float]:
    rewards = load_rewards({"twin": 1.0}, {"twin": {"pairing": pairing}})
    compared = Comparisons(twin=(group_of(TWIN, *letters(twin)), TWIN))
    return [score.breakdown["twin"] for score in score_group(group_of(MAIN, *letters(main)), MAIN, rewards, compared)]


def test_a_sample_and_its_twin_must_both_be_right() -> None:
    right, other = MAIN.question.letter, TWIN.question.letter
    assert right != other
    assert twin_values(right + right + "J" + "J", other + "J" + other + "J") == [1.0, 0.0, 0.0, 0.0]
    assert twin_values(right * 4, right * 4) == [0.0] * 4, "who always says the same is right on one of them only"
    assert twin_values(right + right + "J" + "J", other + other + other + "J", "mean") == [0.75, 0.75, 0.0, 0.0]


def test_mean_pairing_is_the_average_over_all_pairings() -> None:
    right, other = MAIN.question.letter, TWIN.question.letter
    main, twin = right + "J" + right, other + "JJ"
    turns = [twin[shift:] + twin[:shift] for shift in range(3)]
    averaged = [sum(column) / 3 for column in zip(*(twin_values(main, turn) for turn in turns), strict=True)]
    assert twin_values(main, twin, "mean") == pytest.approx(averaged)


@pytest.mark.parametrize(
    ("compared", "message"),
    [
        (Comparisons(), "without the other one"),
        (Comparisons(twin=(group_of(MAIN, ""), MAIN)), "is not the other one"),
        (Comparisons(twin=(group_of(TWIN, "", ""), TWIN)), "argument 2"),
    ],
)
def test_a_missing_or_wrong_twin_is_a_crash_and_no_zero(compared: Comparisons, message: str) -> None:
    [score] = score_group(group_of(MAIN, "a"), MAIN, load_rewards({"twin": 1.0}), compared)
    assert (score.reward, score.status) == (None, ScoreStatus.CRASHED)
    assert message in score.detail


@pytest.mark.parametrize(
    ("ordered", "shuffled", "margin", "expected"),
    [
        ("1100", "1000", 0.0, [1, 1, 0, 0]),
        ("1100", "1100", 0.0, [0, 0, 0, 0]),  # a tie: the paper's p >= p~ pays it
        ("1111", "1111", 0.0, [0, 0, 0, 0]),  # answered as well without the order
        ("0000", "0000", 0.0, [0, 0, 0, 0]),
        ("1111", "11111", 0.0, [0, 0, 0, 0]),
        ("11110", "1", 0.0, [0, 0, 0, 0, 0]),  # 0.8 against 1: the code's p >= 0.8 p~ pays it
        ("1100", "10", 0.0, [0, 0, 0, 0]),
        ("1110", "10", 0.0, [1, 1, 1, 0]),
        ("1110", "10", 0.25, [0, 0, 0, 0]),  # exactly the margin
        ("1111", "10", 0.25, [1, 1, 1, 1]),
    ],
)
def test_shuffled_contrast(ordered: str, shuffled: str, margin: float, expected: list[float]) -> None:
    assert shuffled_contrast([c == "1" for c in ordered], [c == "1" for c in shuffled], margin) == expected


def test_shuffled_contrast_is_for_order_dependent_samples_only() -> None:
    right = MAIN.question.letter
    rewards = load_rewards({"accuracy": 1.0, "shuffled_contrast": 0.3})
    assert needs_of(rewards) == {"shuffled"}
    compared = Comparisons(shuffled=group_of(MAIN, *letters("JJ")))
    scores = score_group(group_of(MAIN, *letters(right + "J")), MAIN, rewards, compared)
    assert [score.reward for score in scores] == [pytest.approx(1.3), 0.0]
    free = real_sample("motion_count")
    assert not free.order_dependent
    [score] = score_group(group_of(free, *letters(free.question.letter)), free, rewards)
    assert (score.reward, dict(score.breakdown)) == (1.0, {"accuracy": 1.0})
    [score] = score_group(group_of(MAIN, "a"), MAIN, rewards)
    assert score.reward is None and "shuffled" in score.detail
    with pytest.raises(ValueError, match="empty"):
        shuffled_contrast([], [True], 0.0)
