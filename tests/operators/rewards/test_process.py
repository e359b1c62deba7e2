"""A chain of thought is paid for the true claims in it, however it is written."""

from dataclasses import replace
from itertools import product

import pytest
from temporay.operators.primitives._claims import tell
from temporay.operators.records import Sample
from temporay.operators.rewards.process import Tally
from temporay.operators.scoring.scores import load_rewards

from tests.operators.primitives.planning import TASKS, make_primitive
from tests.operators.samples import answered, real_sample, score_of


def value(sample: Sample, thought: str) -> float:
    score = score_of(answered("A", thought), sample, load_rewards({"process": 1}))
    assert score.reward is not None, score.detail
    return score.reward


@pytest.mark.parametrize("task", TASKS)
def test_the_chain_of_thought_that_is_taught_is_worth_one(task: str) -> None:
    for index in range(4):
        sample = real_sample(task, index=index)
        assert value(sample, sample.rationale) == 1.0


def test_a_concise_chain_of_thought_is_worth_one_too_where_it_makes_claims() -> None:
    rewards = load_rewards({"process": 1.0, "accuracy": 0.0})
    worth: list[set[float | None]] = []
    for task in TASKS:
        samples = [real_sample(task, index=index, style="concise") for index in range(4)]
        worth.append({score_of(one.target, one, rewards).breakdown.get("process") for one in samples})
    assert worth.count({1.0}) > len(TASKS) / 2 and set().union(*worth) == {1.0, None}


def test_every_phrase_is_worth_as_much() -> None:
    sample = real_sample("event_order")
    for phrase in make_primitive("event_order").phrases["appears"]:
        assert value(sample, " ".join(tell(event, phrase) for event in sample.events)) == 1.0


@pytest.mark.parametrize("task", TASKS)
def test_the_rationale_of_another_clip_is_worth_less(task: str) -> None:
    sample = real_sample(task)
    others = [real_sample(task, index=index) for index in range(1, 9)]
    assert sum(value(sample, other.rationale) < 0.7 for other in others) >= 6


@pytest.mark.parametrize("task", TASKS)
def test_one_sentence_alone_is_worth_less_and_so_is_one_falsehood_more(task: str) -> None:
    sample = real_sample(task)
    assert value(sample, sample.rationale.split(". ")[0] + ".") < 1.0
    phrases = make_primitive(task).phrases
    kind = next(event.kind for event in sample.events if event.kind in phrases)
    event = next(event for event in sample.events if event.kind == kind)
    false = tell(replace(event, start_ms=77_000.0, end_ms=78_000.0), phrases[kind][0])
    assert value(sample, f"{sample.rationale} {false}") < 1.0


def test_values_follow_the_formula() -> None:
    sample = real_sample("event_order", level=0)
    phrase = make_primitive("event_order").phrases["appears"][0]
    truths = [tell(event, phrase) for event in sample.events]
    lie = tell(replace(sample.events[0], subject="gray cube"), phrase)
    n = len(truths)
    assert n >= 2
    assert value(sample, truths[0]) == pytest.approx(1 / n)
    assert value(sample, f"{truths[0]} {lie}") == pytest.approx(1 / 2 * 1 / max(n, 2))
    assert value(sample, " ".join([truths[0]] * 50)) == pytest.approx(1 / 50 * 1 / 50)
    assert value(sample, " ".join([*truths, lie])) == pytest.approx((n / (n + 1)) ** 2)
    assert value(sample, lie) == 0.0
    assert value(sample, "") == 0.0
    assert value(sample, "Let me look at the video again.") == 0.0


def test_positions_without_times_must_come_in_their_order() -> None:
    sample = real_sample("motion_direction", style="concise")
    places = [event.detail.split() for event in sample.events if event.kind == "at"]
    assert len({tuple(place) for place in places}) > 2

    def path(order: list[list[str]]) -> str:
        return f"x {' '.join(x for x, _ in order)} y {' '.join(y for _, y in order)}."

    subject = sample.rationale.partition(" x ")[0]
    assert value(sample, f"{subject} {path(places[::-1])}") < value(sample, sample.rationale) == 1.0


def test_listing_every_possibility_is_worth_less_than_committing_to_one() -> None:
    """Compute exact means over all truths: n events with k possibilities each, ``named`` of them listed."""
    for n, k in product((1, 2, 3, 4), (2, 3)):

        def expected(named: int, n: int = n, k: int = k) -> float:
            truths = list(product(range(k), repeat=n))
            told = [sum(t < named for t in truth) for truth in truths]
            return sum(Tally(told=t, wasted=n * named - t, to_tell=n).value for t in told) / len(truths)

        committed = expected(1)
        assert all(expected(named) <= committed + 1e-12 for named in range(2, k + 1))


def test_saying_more_never_helps_unless_it_is_true_and_new() -> None:
    for told, wasted, to_tell in product(range(5), range(6), range(1, 5)):
        if told <= to_tell:
            now = Tally(told=told, wasted=wasted, to_tell=to_tell).value
            assert Tally(told=told, wasted=wasted + 1, to_tell=to_tell).value <= now
            if told < to_tell:
                assert Tally(told=told + 1, wasted=wasted, to_tell=to_tell).value > now


def test_process_does_not_apply_without_a_rationale() -> None:
    sample = replace(real_sample("event_order"), rationale="")
    score = score_of("<think>a</think>", sample, load_rewards({"process": 1.0, "accuracy": 1.0}))
    assert set(score.breakdown) == {"accuracy"}
    own = replace(sample, address=replace(sample.address, task="video_qa"))
    assert set(score_of("a", own, load_rewards({"process": 1, "accuracy": 1})).breakdown) == {"accuracy"}


def test_claims_outside_the_thought_are_not_paid() -> None:
    sample = real_sample("event_order")
    rewards = load_rewards({"process": 1.0})
    for text in (
        sample.rationale,
        f"<answer>{sample.rationale}</answer>",
        f"<think></think>{sample.rationale}<answer>A</answer>",
        f"<think>{sample.rationale}",
    ):
        assert score_of(text, sample, rewards).reward == 0.0
