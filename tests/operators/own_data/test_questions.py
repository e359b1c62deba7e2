"""Options, answers and thoughts as users write them: labels count, and nothing is guessed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.markup import without_markers
from temporay.operators.rewards._base import Reward
from temporay.operators.scoring.answers import read_answer
from temporay.operators.scoring.scores import build_reward

from tests.operators.own_data.lines_read import asked, reason, right
from tests.operators.samples import plain_sample, rollout


@pytest.mark.parametrize(
    ("options", "answer", "expected"),
    [
        (["B. x", "C. y", "D. z"], "C", "y"),
        ({"B": "x", "C": "y", "D": "z"}, "C", "y"),
        (["(B) no", "(A) yes"], "A", "yes"),
        (["(B) no", "(A) yes"], "(B) no", "no"),
        (["yes", "no"], "a", "yes"),
        (["yes", "no"], " b. ", "no"),
        (["yes", "no"], "NO.", "no"),
        (["yes", "no"], "(B)", "no"),
        (["yes", "no"], "B: no", "no"),
        (["yes", "no"], ["B"], "no"),
        (["yes", "no"], "<answer>B</answer>", "no"),
        (["a) x", "b) y"], "B", "y"),
        (["A.向左", "B.向右"], "B", "向右"),
        (["(A)up", "(B)down"], "B", "down"),
        ({"a": "x", "b": "y"}, "b", "y"),
        ({"A": "A. x", "B": "B. y"}, "B", "y"),
        ({"0": "x", "1": "y"}, 1, "y"),
        (["1. x", "2. y"], 2, "y"),
        (["1. x", "2. y"], "1. x", "x"),
        ([1, 2, 3], 2, "2"),
        (["2", "3", "4"], "3", "3"),
        (["(2) dogs", "(3) dogs"], "(3) dogs", "(3) dogs"),
        (["a cat", "a dog"], "a dog", "a dog"),
        (["1.5 m", "2.5 m"], "A", "1.5 m"),
    ],
)
def test_labels_and_keys_count(options: Any, answer: Any, expected: str) -> None:
    assert right(asked(options=options, answer=answer)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"options": ["A. x", "y"]}, "bad_labels"),
        ({"options": ["A. x", "C. y"]}, "bad_labels"),
        ({"options": ["A. x", "A. y"]}, "bad_labels"),
        ({"options": {"A": "B. x", "B": "A. y"}}, "bad_labels"),
        ({"options": {"up": "x", "down": "y"}}, "bad_labels"),
        ({"options": ["B. x", "C. y"], "answer": "B", "rationale": "So it is B."}, "bad_labels"),
        ({"options": ["B", "A"]}, "bad_answer"),  # the letter of one and the words of the other
        ({"options": ["yes", "no"], "answer": "A. no"}, "bad_answer"),
        ({"options": ["yes", "no"], "answer": "AB"}, "bad_answer"),
        ({"options": ["yes", "no"], "answer": ["A", "B"]}, "bad_answer"),
        ({"options": ["yes", "no"], "answer": "C"}, "bad_answer"),
        ({"options": ["yes", "no"], "answer": 1}, "bad_answer"),
        ({"options": ["yes", "no"], "answer": True}, "bad_answer"),
        ({"options": ["yes", "no"], "answer_index": 1}, "bad_answer"),  # and an answer
        ({"options": ["yes", "no"], "answer": None, "answer_index": 2}, "bad_answer"),
        ({"options": ["yes", "no"], "answer": None, "answer_index": -1}, "bad_answer"),
        ({"options": ["yes", "yes"]}, "bad_options"),
        ({"options": ["yes", None]}, "bad_options"),
        ({"options": ["yes"]}, "bad_options"),
        ({"options": [f"number {n}" for n in range(11)]}, "bad_options"),
        ({"options": "yes no"}, "bad_options"),
        ({"options": ["(|a|)", "(/a/)", "<|a|>"], "answer": "(/a/)"}, "bad_options"),
        ({"question": "Which?\n(A) yes\n(B) no", "options": ["no", "yes"]}, "bad_options"),
        ({"question": " \n"}, "bad_question"),
        ({"question": "\u200b\0"}, "bad_question"),
        ({"options": ["yes", "\u200b"]}, "bad_options"),
        ({"question": ["Which?"]}, "bad_question"),
        ({"question": "<video>"}, "bad_question"),
        ({"question": "Which \ud83d?"}, "bad_text"),
        ({"kind": "number"}, "bad_kind"),
        ({"rationale": "one", "answer": "<think>two</think>A"}, "bad_thought"),
        ({"rationale": ["one"]}, "bad_thought"),
        ({"answer": "<think>A"}, "bad_answer"),
        ({"answer": "<answer>A</answer> or <answer>B</answer>"}, "bad_answer"),
        ({"answer": "<answer>A</answer> because it is up"}, "bad_answer"),
        ({"order_dependent": "yes"}, "bad_field"),
        ({"order_dependent": 1}, "bad_field"),
        ({"options": None, "kind": "multiple choice", "answer": "yes"}, "bad_options"),
        ({"choices": ["yes", "no"]}, "bad_options"),
        ({"options": None, "a0": "yes", "a1": "no", "answer": 1}, "bad_options"),  # NExT-QA's layout is no open number
        ({"options": None, "A": "yes", "B": "no", "answer": "yes"}, "bad_options"),
        ({"options": None, "option_a": "yes", "option_b": "no", "answer": "yes"}, "bad_options"),
        ({"options": None, "answer": "B"}, "bad_answer"),  # options that were not found, rather than an open answer
        ({"options": None, "answer": None}, "bad_answer"),
        ({"options": None, "answer": [3.0, 1.0]}, "bad_answer"),
        ({"options": None, "answer": ["a", "a"]}, "bad_answer"),
        ({"options": None, "answer": ["a", "\udcff"]}, "bad_text"),
        ({"options": None, "answer": [1.5, 2.5, 3.5]}, "bad_answer"),
        ({"options": None, "answer": {"start": 1}}, "bad_answer"),
        ({"options": None, "answer": ["a, b", "c"]}, "bad_answer"),
        ({"options": None, "answer": "12 m", "kind": "number"}, "bad_answer"),
        ({"options": None, "answer": 1e-9}, "bad_answer"),
        ({"options": None, "answer": "soon", "kind": "interval"}, "bad_answer"),
    ],
)
def test_what_could_mean_two_things_is_dropped_by_name(changes: dict[str, Any], expected: str) -> None:
    line = {"video": "a.mp4", "question": "Which?", "options": ["yes", "no"], "answer": "A", **changes}
    assert reason({name: value for name, value in line.items() if value is not None}) == expected


@pytest.mark.parametrize("name", ["choices", "candidates"])
def test_options_have_other_names_too(name: str) -> None:
    assert asked(options=None, answer="no", **{name: ["yes", "no"]}).question.options == ("yes", "no")


def test_the_place_of_an_option_counts_from_0() -> None:
    assert right(asked(answer=None, answer_index=1)) == "no"
    assert right(asked(options=["(B) no", "(A) yes"], answer=None, answer_index=0)) == "no"


def test_options_below_the_question_are_the_options() -> None:
    below = asked(question="Which?\nB. no\nA. yes\nAnswer with a letter.", options=None, answer="B")
    assert (below.question.text, below.question.options, right(below)) == ("Which?", ("yes", "no"), "no")
    assert asked(question="Which?\nA. yes\nB. no").question == asked().question  # given twice, asked once
    dialog = asked(question="A: Hello.\nB: Hi.\nWho is polite?")
    assert dialog.question.text.startswith("A: Hello.")


@pytest.mark.parametrize(
    ("answer", "kind", "reward", "close", "value"),
    [
        (3, None, "number", "4", 0.0),
        ("3", None, "number", "3.0", 1.0),
        (2.5, None, "number", "2.5", 1.0),
        ([1.5, 4], None, "interval", "from 1.5 s to 3 s", 0.6),
        ("1.5 - 4", "interval", "interval", "1.5 to 4", 1.0),
        (["a red ball", "a cube", "a cone"], None, "order", "a red ball, a cone, a cube", 1 / 3),
        ([3, 1, 2], None, "order", "3, 2, 1", 1 / 3),
        ("up, down", "order", "order", "up, down", 1.0),
        ("a red ball", None, "accuracy", "A red  ball.", 1.0),
        ("B", "text", "accuracy", "b", 1.0),
        ("a red ball", None, "accuracy", "a ball", 0.0),
        ("向左", None, "accuracy", "向左", 1.0),
        ("向左", None, "accuracy", "向右", 0.0),
    ],
)
def test_open_answers_have_their_rewards(answer: Any, kind: Any, reward: str, close: str, value: float) -> None:
    read = asked(options=None, answer=answer, kind=kind, rationale="See.")
    sample = replace(plain_sample(("a", "b"), 0), question=read.question, rationale=read.rationale)
    rewarded, form = build_reward(reward, {}), build_reward("answer_format", {})
    assert isinstance(rewarded, Reward) and isinstance(form, Reward)
    assert rewarded.score(rollout(sample.target), sample) == form.score(rollout(sample.target), sample) == 1.0
    assert rewarded.score(rollout(f"<answer>{close}</answer>"), sample) == pytest.approx(value)
    assert read_answer(sample.target, sample.question).index == 0


@pytest.mark.parametrize(
    ("reply", "thought"),
    [
        ("<think>Up.</think><answer>A</answer>", "Up."),
        ("<think>\nUp.\n</think>\n\nA", "Up."),
        ("It goes up. <answer>A</answer>", "It goes up."),
        ("<think></think><answer>A</answer>", ""),
        ("A", ""),
    ],
)
def test_a_thought_is_a_target(reply: str, thought: str) -> None:
    read = asked(answer=reply)
    assert (read.rationale, right(read)) == (thought, "yes")


def test_special_tokens_are_harmless_wherever_user_text_enters() -> None:
    token = "<|im_end|><video><|video_pad|></think><tool_call>[INST]<s>"
    read = asked(question=f"Which {token}?", options=[f"yes {token}", "no"], rationale=f"See {token}.")
    open_read = asked(
        options=None,
        answer=f"a {token.replace('</think>', '')} ball",
        question="<video>What is 1 < 2 > 0 in [1, 2] | [3, 4]?",
    )
    for text in (read.question.text, *read.question.options, read.rationale, open_read.question.answer):
        assert "<" not in text and "[" not in text and "|" not in text
    assert open_read.question.text == "What is 1 < 2 > 0 in [1, 2] | [3, 4]?"
    assert without_markers("<<|im_end|>|im_end|>") == "<(/im_end/)|im_end|>"
    assert without_markers("<|im_<video>end|>") == "<|im_(video)end|>"


def test_a_rejected_line_says_what_would_be_right() -> None:
    with pytest.raises(SampleRejected, match="answer_index, from 0"):
        asked(answer=1)
    with pytest.raises(SampleRejected, match=r"'A\. no' has the label of one option and the words of another"):
        asked(answer="A. no")
