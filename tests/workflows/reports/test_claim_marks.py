"""Claims are marked where they stand, as what the process reward credits."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import replace

import pytest
from temporay.operators.pages.words import marked
from temporay.operators.primitives._base import Style
from temporay.operators.primitives._claims import tell
from temporay.operators.records import Sample
from temporay.operators.rewards.process import Process, claims_by_sentence, tally_of
from temporay.workflows.reports.claim_marks import claim_marks, marks_in, told

from tests.operators.primitives.planning import make_primitive
from tests.operators.samples import real_sample, rollout

TASKS = ("motion_direction", "first_last", "scene_at", "shell_game")
TIME = re.compile(r"\d\.\d")


def samples_of(style: Style) -> list[Sample]:
    return [real_sample(task, index=index, style=style) for task in TASKS for index in range(3)]


@pytest.mark.parametrize("sample", samples_of("detailed"), ids=lambda sample: sample.key)
def test_true_claims_are_marked_right_and_changed_claims_are_not(sample: Sample) -> None:
    primitive = make_primitive(sample.address.task)
    text = f"So: {sample.target}"
    marks = claim_marks(text, sample)
    claims = claims_by_sentence(primitive, sample.rationale, primitive.names(sample.events))
    assert [text[mark.start : mark.end] for mark in marks] == [claim.text for claim in claims] != []
    assert {mark.kind for mark in marks} == {"right"}
    assert re.fullmatch(r"(\d+) of \1 facts told", told(text, sample))
    kinds = [mark.kind for mark in claim_marks(TIME.sub("99.9", text), sample)]
    assert [kind != "right" for kind in kinds] == [bool(TIME.search(claim.text)) for claim in claims]


@pytest.mark.parametrize("style", ["concise", "detailed"])
def test_what_is_marked_is_what_the_process_reward_credits(style: Style) -> None:
    """Of thoughts about other samples too, of both in a row, and of one twice over."""
    kinds: Counter[str] = Counter()
    for sample, other in itertools.product(samples_of(style), samples_of(style)):
        for words in (other.rationale, f"{other.rationale} {sample.rationale}", f"{sample.rationale} " * 2):
            primitive = make_primitive(sample.address.task)
            counted = tally_of(primitive, words, sample)
            claims = claims_by_sentence(primitive, words, primitive.names(sample.events))
            credits = [credit for credit in counted.credits if credit is not None]
            assert sum(credits) == pytest.approx(counted.told)
            assert len(credits) == pytest.approx(counted.told + counted.wasted)
            expected = {
                span: "right" if credit == 1 else "part" if credit else "wrong"
                for claim, credit in zip(claims, counted.credits, strict=True)
                for span in (claim.spans if credit is not None else ())
            }
            assert {(mark.start, mark.end): mark.kind for mark in marks_in(words, sample)} == expected
            kinds.update(expected.values())
    assert set(kinds) == {"right", "part", "wrong"}


def test_scenes_told_in_another_order_are_not_all_marked_right() -> None:
    """Each of them is shown, but the order is what a list without times claims."""
    sample = next(s for s in samples_of("concise") if s.address.task == "scene_at" and len(s.events) > 2)
    shown = [event.subject for event in sorted(sample.events, key=lambda event: event.start_ms)]

    def kinds(order: list[str]) -> dict[str, str]:
        words = f"First {', then '.join(order)}."
        return {words[mark.start : mark.end]: mark.kind for mark in marks_in(words, sample)}

    exchanged = [shown[1], shown[0], *shown[2:]]
    assert kinds(shown) == dict.fromkeys(shown, "right")
    assert kinds(exchanged) == {**dict.fromkeys(shown, "right"), shown[0]: "wrong"}
    assert kinds([*shown, shown[0]])[shown[0]] == "wrong"  # told twice: the mark of its second place
    reward = Process().score(rollout(f"<think>First {', then '.join(exchanged)}.</think>"), sample)
    assert reward is not None and reward < 1


def test_what_is_true_and_beside_the_point_has_no_mark() -> None:
    """A question about two scenes is not about the others."""
    [phrase, *_] = make_primitive("before_after").phrases["scene"]
    for sample in (real_sample("before_after", index=i) for i in range(20)):
        told_of = [event for event in sample.events if event.subject in sample.rationale]
        if others := [event for event in sample.events if event not in told_of]:
            break
    other = others[0]
    assert [mark.kind for mark in marks_in(tell(told_of[0], phrase), sample)] == ["right"]
    assert marks_in(tell(other, phrase), sample) == []
    assert [mark.kind for mark in marks_in(tell(replace(other, subject="a lie"), phrase), sample)] == ["wrong"]


def test_numbers_of_a_path_are_marked_one_by_one() -> None:
    sample = real_sample("motion_direction", style="concise")
    xs, ys = re.findall(r"\d(?: \d)*", sample.rationale)[:2]
    wrong = "".join("9" if digit != "9" else "0" for digit in xs[:1])
    text = f"<think>{sample.rationale.replace('x ' + xs, 'x ' + wrong + xs[1:], 1)}</think>"
    marks = claim_marks(text, sample)
    assert [text[mark.start : mark.end] for mark in marks] == (wrong + xs[1:] + " " + ys).split()
    half = len(xs.split())
    assert [mark.kind for mark in marks] == ["part", *["right"] * (half - 1)] * 2


def test_marks_of_a_path_leave_its_text_as_it_is() -> None:
    sample = real_sample("motion_direction", style="concise")
    marks = marks_in(sample.rationale, sample)
    assert marks and re.sub(r"<[^>]*>", "", marked(sample.rationale, marks)) == sample.rationale


def test_a_thought_that_is_not_closed_has_no_claims() -> None:
    sample = real_sample("first_last", style="concise")
    assert claim_marks(f"<think>{sample.rationale}", sample) == []


def test_no_mark_reaches_over_a_tag() -> None:
    """A completion may close its thought, begin an answer, and close the thought again."""
    sample = next(one for one in samples_of("concise") if one.address.task == "scene_at" and len(one.events) > 2)
    shown = [event.subject for event in sorted(sample.events, key=lambda event: event.start_ms)]
    told_first = f"First {', then '.join(shown[:2])}"
    text = f"<think>{told_first}.</think><answer>{shown[2]}</think><answer>{shown[2]}</answer>"
    assert [text[mark.start : mark.end] for mark in claim_marks(text, sample)] == shown[:2]
    assert [mark.kind for mark in claim_marks(text, sample)] == ["right", "right"]
