"""Every form of a line: the contract that all keep, and what each reads."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.lines import form_of

from tests.operators.own_data.lines_read import FORMS, read, reason, right, video_of

ASKED = "<video>\nWhich way?\n(A) up\n(B) down\nAnswer with a letter."
THOUGHT = "<think>It falls.</think><answer>B</answer>"


def turns(asked: Any, reply: Any = None, role: str = "role", content: str = "content") -> list[dict[str, Any]]:
    names = ("human", "gpt") if role == "from" else ("user", "assistant")
    said = [asked] if reply is None else [asked, reply]
    return [{role: name, content: text} for name, text in zip(names, said, strict=False)]


PARTS = [{"type": "video", "video": "a.mp4"}, {"type": "text", "text": ASKED.removeprefix("<video>\n")}]
R1 = {"problem": "Which way?", "options": ["A. up", "B. down"], "path": "a.mp4", "problem_type": "multiple choice"}
VERL = {"videos": [{"type": "video", "video": "file:///a.mp4", "fps": 2.0}], "data_source": "mine/motion"}
SAME: dict[str, tuple[str, dict[str, Any]]] = {  # the same question with a chain of thought, in every form
    "ours": (
        "fields",
        {
            "video": "a.mp4",
            "question": "Which way?",
            "options": ["up", "down"],
            "answer": "B",
            "rationale": "It falls.",
        },
    ),
    "llava": ("llava", {"video": "a.mp4", "conversations": turns(ASKED, THOUGHT, "from", "value")}),
    "llava_image_marker": (
        "llava",
        {"video": "a.mp4", "conversations": turns(ASKED.replace("<video>", "<image>"), THOUGHT, "from", "value")},
    ),
    "openai_text": ("openai_messages", {"video": "a.mp4", "messages": turns(ASKED, THOUGHT)}),
    "openai_parts": ("openai_messages", {"messages": turns(PARTS, [{"type": "text", "text": THOUGHT}])}),
    "openai_url": (
        "openai_messages",
        {"messages": turns([{"type": "video_url", "video_url": {"url": "file://a.mp4"}}, PARTS[1]], THOUGHT)},
    ),
    "openai_system": (
        "openai_messages",
        {"video": "a.mp4", "messages": [{"role": "system", "content": "Be brief."}, *turns(ASKED, THOUGHT)]},
    ),
    "ms_swift": ("ms_swift", {"videos": ["a.mp4"], "messages": turns(ASKED, THOUGHT)}),
    "ms_swift_grpo": ("ms_swift", {"videos": ["a.mp4"], "messages": turns(ASKED), "solution": THOUGHT}),
    "video_r1": (
        "video_r1",
        {**R1, "data_type": "video", "process": "<think>It falls.</think>", "solution": "<answer>B</answer>"},
    ),
    "verl": ("verl", {**VERL, "prompt": turns(ASKED), "reward_model": {"style": "rule", "ground_truth": THOUGHT}}),
}


@pytest.mark.parametrize("name", FORMS)
def test_contract(name: str) -> None:
    """The line that a form expects is of this form alone; it asks something, and shows a video."""
    form = FORMS[name]
    line = json.loads(form.expects)
    assert [other for other, one in FORMS.items() if one.matches(line)] == [name]
    assert form.ask(line).question.text and form.video(line)
    assert not form.matches({})
    with pytest.raises(SampleRejected):
        form.video(json.loads(re.sub(r"(file://)?/?a\.mp4", "https://a.b/a.mp4", form.expects)))


@pytest.mark.parametrize("name", SAME)
def test_every_form_gives_the_same_question_and_thought(name: str) -> None:
    expected, line = SAME[name]
    assert form_of(line, FORMS) is FORMS[expected]
    asked = read(line)
    assert (asked.question.text, asked.question.options, right(asked)) == ("Which way?", ("up", "down"), "down")
    assert asked.rationale == "It falls." and video_of(line).removeprefix("/") == "a.mp4"


def test_without_a_thought_the_answer_alone_is_taught() -> None:
    line = {**R1, "process": "", "solution": "<answer>B</answer>"}
    assert read(line).rationale == "" and right(read(line)) == "down"


@pytest.mark.parametrize(
    ("problem_type", "solution", "kind", "words"),
    [
        ("numerical", "<answer>1,250</answer>", "number", "1250"),
        ("regression", "<answer>3.5</answer>", "number", "3.5"),
        ("free-form", "<answer>a red ball</answer>", "choice", "a red ball"),
        ("OCR", "<answer>EXIT 4</answer>", "choice", "EXIT 4"),
    ],
)
def test_types_of_problems_are_kinds_of_answers(problem_type: str, solution: str, kind: str, words: str) -> None:
    question = read({"problem": "What?", "problem_type": problem_type, "path": "a.mp4", "solution": solution}).question
    assert (question.kind, question.answer, question.answer_format) == (kind, words, "free")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"text": "hello"}, "unknown_form"),
        ({}, "unknown_form"),
        ({"video": "a.mp4", "messages": "hello"}, "bad_messages"),
        ({"video": "a.mp4", "messages": turns(ASKED)}, "bad_answer"),
        ({"video": "a.mp4", "messages": [*turns(ASKED, "A"), *turns("And then?", "B")]}, "several_turns"),
        ({"video": "a.mp4", "messages": turns(ASKED, "A")[::-1]}, "bad_messages"),
        ({"video": "a.mp4", "messages": [{"role": "tool", "content": "x"}]}, "bad_messages"),
        ({"messages": turns([*PARTS, {"type": "audio", "audio": "a.wav"}], "A")}, "bad_messages"),
        ({"messages": turns([PARTS[0], *PARTS], "A")}, "several_videos"),
        ({"messages": turns([*PARTS, {"type": "image", "image": "a.png"}], "A")}, "images_not_taken"),
        ({"messages": turns([{**PARTS[0], "video_start": 2.0}, PARTS[1]], "A")}, "video_cut"),
        ({"videos": ["a.mp4", "b.mp4"], "messages": turns(ASKED, "A")}, "several_videos"),
        ({"videos": ["a.mp4"], "images": ["a.png"], "messages": turns(ASKED, "A")}, "images_not_taken"),
        ({"videos": [], "messages": turns(ASKED, "A")}, "bad_video"),
        ({"videos": ["a.mp4"], "messages": turns(ASKED)}, "bad_answer"),
        ({"videos": ["a.mp4"], "messages": turns(ASKED, "A"), "solution": "B"}, "bad_answer"),
        ({**R1, "data_type": "image", "solution": "A"}, "images_not_taken"),
        ({**R1, "problem_type": "numerical", "solution": "A"}, "bad_kind"),
        ({**R1, "problem_type": "map drawing", "solution": "A"}, "bad_kind"),
        ({**VERL, "prompt": turns(ASKED)}, "bad_answer"),
        ({"video": "https://a.b/c.mp4", "question": "Is it?", "answer": "yes"}, "video_remote"),
        ({"video": {"bytes": "…"}, "question": "Is it?", "answer": "yes"}, "bad_video"),
        ({"image": "a.png", "question": "Is it?", "answer": "yes"}, "images_not_taken"),
        ({"video": "x" * 300, "question": "Is it?", "answer": "yes"}, "bad_video"),
        ({"video": "\ud800.mp4", "question": "Is it?", "answer": "yes"}, "bad_text"),
        ({"video": "a\0.mp4", "question": "Is it?", "answer": "yes"}, "bad_video"),
    ],
)
def test_what_cannot_be_taken_is_dropped_by_name(line: dict[str, Any], expected: str) -> None:
    assert reason(line) == expected


def test_an_unknown_form_names_those_that_are_read() -> None:
    with pytest.raises(SampleRejected) as told:
        read({"text": "hello"})
    assert all(f"{name} {form.expects}" in told.value.detail for name, form in FORMS.items())


def test_the_category_of_a_line_is_its_task() -> None:
    line = SAME["ours"][1]
    assert [read({**line, "task": task}).task for task in ("Action Order", "räumlich/2", "方向", "")] == [
        *("action_order", "r_umlich_2"),
        read({**line, "task": "方向"}).task,
        "",
    ]
    assert read({**line, "task": "方向"}).task.startswith("category_")
    assert read(SAME["verl"][1]).task == "mine_motion"
