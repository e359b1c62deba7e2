"""Chains of thought that try to be paid for parts of claims: guesses, contradictions, repetitions, copies, nothing."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping
from dataclasses import replace

import pytest
from temporay.operators.primitives._base import Style
from temporay.operators.primitives._claims import tell
from temporay.operators.primitives._stated import Stated, Value
from temporay.operators.records import Sample
from temporay.operators.rewards.process import Reading, claims_by_sentence, log_entry, readings, tally, tally_of
from temporay.operators.seeding import rng_at

from tests.operators.primitives.planning import TASKS, make_primitive
from tests.operators.rewards.spoiling import STYLES, spoiled
from tests.operators.samples import real_sample

NUM_SAMPLES = 6
PATHS = "x 0 1 2 3 4 5 6 7 8 9 y 0 1 2 3 4 5 6 7 8 9"


def value(sample: Sample, thought: str) -> float:
    return tally_of(make_primitive(sample.address.task), thought, sample).value


def samples_of(task: str, style: Style) -> list[Sample]:
    return [real_sample(task, index=i, level=i % 5, style=style) for i in range(NUM_SAMPLES)]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_what_the_question_says_is_not_paid(task: str, style: Style) -> None:
    for sample in samples_of(task, style):
        question = sample.question
        options = "\n".join(question.options)
        lettered = "\n".join(f"({letter}) {text}" for letter, text in zip("ABCD", question.options, strict=False))
        for copied in (question.text, options, lettered, f"{question.text}\n{options}", f"{options}\n" * 20):
            assert value(sample, copied) == 0.0, copied


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_no_claim_is_worth_anything_that_states_nothing_right(task: str, style: Style) -> None:
    """Names, states that the question gives and times are right; what had to be seen is not."""
    primitive = make_primitive(task)
    for sample in samples_of(task, style):
        gold = readings(primitive, sample.rationale, sample.events)
        log = [log_entry(primitive, event) for event in sample.events]
        blind = [replace(claim, stated=_blind(claim.stated), events=frozenset()) for claim in gold]
        known = [claim for claim in blind if claim.stated.what or claim.stated.when]
        assert tally(known, gold, log).told == 0.0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_empty_claims_are_worth_nothing(task: str, style: Style) -> None:
    primitive, sample = make_primitive(task), real_sample(task, style=style)
    phrases = [p for by in (primitive.phrases, primitive.concise_phrases) for kind in by.values() for p in kind]
    for filler in ("", " ", "?", ".."):
        fields = dict.fromkeys(("subject", "detail", "start", "end", *(f"d{i}" for i in range(1, 7))), filler)
        assert value(sample, "\n".join(phrase.format(**fields) for phrase in phrases)) == 0.0
    for nothing in (
        "",
        " \n" * 50,
        ".",
        "x y",
        "x  y .",
        "First , then , last .",
        "Only .",
        "The order is .",
        "Scene : .",
    ):
        assert value(sample, nothing) == 0.0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_repetition_never_gains(task: str, style: Style) -> None:
    for sample in samples_of(task, style)[:3]:
        for told in (sample.rationale, next(spoiled(sample), "")):
            once = value(sample, told)
            for times in (2, 3, 10):
                assert value(sample, " ".join([told] * times)) <= once / times
        one = sample.rationale.split(". ")[0] + "."
        assert value(sample, " ".join([one] * 10)) <= value(sample, one) / 2


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_a_contradiction_is_worth_less_than_half(task: str, style: Style) -> None:
    for sample in samples_of(task, style)[:3]:
        other = real_sample(task, index=sample.address.index + 50, level=sample.address.level, style=style)
        primitive = make_primitive(task)
        gold, said = (readings(primitive, one.rationale, sample.events) for one in (sample, other))
        true_of_others = [c for c in said if c.events and not any(c.events & true.events for true in gold)]
        if {claim.kind for claim in gold} != {claim.kind for claim in said} or len(said) - len(true_of_others) < len(
            gold
        ):
            continue  # what it tells is beside the point
        for thought in (f"{sample.rationale}\n{other.rationale}", f"{other.rationale}\n{sample.rationale}"):
            assert value(sample, thought) <= 0.5


@pytest.mark.parametrize("task", [task for task in TASKS if make_primitive(task).family == "shapes"])
def test_things_said_of_one_time_that_differ_are_worth_nothing(task: str) -> None:
    """Both versions of a claim are named, the right one and a wrong one."""
    primitive, sample = make_primitive(task), real_sample(task)
    gold = readings(primitive, sample.rationale, sample.events)
    log = [log_entry(primitive, event) for event in sample.events]
    for claim in gold:
        if claim.timed and claim.stated.what:
            wrong = replace(claim, stated=_blind(claim.stated), events=frozenset())
            wrong = replace(wrong, stated=replace(wrong.stated, when=claim.stated.when))
            assert tally([claim, wrong], gold, log).told == tally([wrong, claim], gold, log).told == 0.0


@pytest.mark.parametrize("task", ["motion_direction", "trajectory_shape"])  # whose reasoning tells one path
def test_all_places_at_once_are_worth_less_than_one_that_is_kept(task: str) -> None:
    """The honest side knows where the shape is first and says that it stays there."""
    listed, kept = [], []
    for index in range(24):
        sample = real_sample(task, index=index, style="concise")
        first, *others = claims_by_sentence(make_primitive(task), sample.rationale)
        x, y = (first.detail or "").split()
        listed.append(value(sample, f"{PATHS}."))
        kept.append(value(sample, f"x {' '.join([x] * (1 + len(others)))} y {' '.join([y] * (1 + len(others)))}."))
    assert statistics.fmean(listed) < statistics.fmean(kept)


@pytest.mark.parametrize("task", ["shell_game", "card_stack", "sliding_puzzle", "file_system", "chip_containers"])
def test_every_state_at_once_is_worth_less_than_one_guess(task: str) -> None:
    """The guesses are the states of other clips; one is committed to, or all of them are listed."""
    primitive, committed, listed = make_primitive(task), [], []
    for index in range(8):
        sample = real_sample(task, index=index)
        others = [real_sample(task, index=index + 100 + i) for i in range(6)]
        reveals = [next(event for event in other.events if event.kind == "reveal") for other in others]
        own = next(event for event in sample.events if event.kind == "reveal")
        said = [tell(replace(own, detail=other.detail), primitive.phrases["reveal"][0]) for other in reveals]
        committed += [value(sample, one) for one in said]
        listed.append(value(sample, " ".join(dict.fromkeys(said))))
    assert max(listed) <= statistics.fmean(committed)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("task", TASKS)
def test_one_right_field_more_never_gives_less(task: str, style: Style) -> None:
    """Wrong fields are put into the truth one after the other, in any order."""
    primitive = make_primitive(task)
    for sample in samples_of(task, style)[:3]:
        gold = readings(primitive, sample.rationale, sample.events)
        log = [log_entry(primitive, event) for event in sample.events]
        said, worth = list(gold), [tally(gold, gold, log).value]
        fields = [(i, name) for i, claim in enumerate(gold) for name in (*claim.stated.what, *claim.stated.when)]
        for n in rng_at("wrong fields", sample.key).permutation(len(fields)):
            i, name = fields[n]
            said[i] = _with_wrong(said[i], name)
            worth.append(tally(said, gold, log).value)
        assert worth[0] == 1.0
        assert worth[-1] == 0.0 or any(not claim.stated.what and not claim.stated.when for claim in gold)
        assert all(later <= before + 1e-9 for before, later in itertools.pairwise(worth)), worth
        assert len(gold) == 1 or len(fields) < 3 or len(set(worth)) > 2, "there is nothing between all and nothing"


def _blind(stated: Stated) -> Stated:
    """Return the same with nothing right of what is to be seen; of the times, where there is nothing else."""
    if stated.what:
        return replace(stated, what={name: _wrong(value) for name, value in stated.what.items()})
    return replace(stated, when={name: _wrong(value) for name, value in stated.when.items()})


def _with_wrong(claim: Reading, name: str) -> Reading:
    def changed(fields: Mapping[str, Value]) -> dict[str, Value]:
        return {key: _wrong(value) if key == name else value for key, value in fields.items()}

    stated = replace(claim.stated, what=changed(claim.stated.what), when=changed(claim.stated.when))  # type: ignore[arg-type]
    return replace(claim, stated=stated, events=frozenset())


def _wrong(value: Value) -> Value:
    if isinstance(value, float):
        return 1e6 + value
    return tuple("?" * len(value)) if isinstance(value, tuple) else "?"
