"""Every form of a line: the contract that all keep, and what each reads."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.lines import form_of

from tests.operators.own_data.lines_read import FORMS, paths_of, read, reason, right, taken

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
    assert read(line).question.text and paths_of(line) == ["a.mp4"]
    assert not form.matches({})
    with pytest.raises(SampleRejected):
        form.files(json.loads(re.sub(r"(file://)?/?a\.mp4", "https://a.b/a.mp4", form.expects)))


@pytest.mark.parametrize("name", SAME)
def test_every_form_gives_the_same_question_and_thought(name: str) -> None:
    expected, line = SAME[name]
    assert form_of(line, FORMS) is FORMS[expected]
    asked = read(line)
    assert (asked.question.text, asked.question.options, right(asked)) == ("Which way?", ("up", "down"), "down")
    assert asked.rationale == "It falls." and paths_of(line) == ["a.mp4"]


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
        ({"video": "a.mp4", "messages": [*turns(ASKED, "A"), *turns("And then?", "B")[::-1]]}, "bad_messages"),
        ({"video": "a.mp4", "messages": [*turns(ASKED, " "), *turns("Is it?", "yes")]}, "bad_messages"),
        ({"video": "a.mp4", "messages": [*turns(ASKED, "<answer>A"), *turns("And then?", "B")]}, "bad_answer"),
        ({"video": "a.mp4", "messages": turns(ASKED, "See <image>")}, "media_in_answer"),
        ({"messages": turns(PARTS, [{"type": "image", "image": "b.png"}])}, "media_in_answer"),
        ({"video": "a.mp4", "messages": turns(ASKED, "A")[::-1]}, "bad_messages"),
        ({"video": "a.mp4", "messages": [{"role": "tool", "content": "x"}]}, "bad_messages"),
        ({"messages": turns([*PARTS, {"type": "audio", "audio": "a.wav"}], "A")}, "audio_not_taken"),
        ({"videos": ["a.mp4"], "audios": ["a.wav"], "messages": turns(ASKED, "A")}, "audio_not_taken"),
        ({"messages": turns([*PARTS, {"type": "file", "file": "a.pdf"}], "A")}, "bad_messages"),
        ({"messages": turns([*PARTS, {"type": "video"}], "A")}, "media_in_options"),
        ({"messages": turns([{"type": "video"}, *PARTS], "A")}, "marker_without_file"),
        ({"messages": turns([{**PARTS[0], "video_start": 2.0}, PARTS[1]], "A")}, "video_cut"),
        ({"videos": ["a.mp4", "b.mp4"], "messages": turns(ASKED, "A")}, "file_without_marker"),
        ({"videos": ["a.mp4"], "images": ["a.png"], "messages": turns(ASKED, "A")}, "file_without_marker"),
        ({"videos": ["a.mp4"], "images": ["a.png"], "question": "Is it?", "answer": "yes"}, "file_without_marker"),
        ({"videos": ["a.mp4"], "messages": turns(f"<video>{ASKED}", "A")}, "marker_without_file"),
        ({"videos": ["a.mp4"], "messages": turns(f"<image>{ASKED}", "A")}, "marker_without_file"),
        ({"images": ["a.png"], "messages": turns(ASKED, "A")}, "marker_without_file"),
        ({"images": ["a.png", "b.png"], "messages": turns("Which?\nA. <image>\nB. <image>", "A")}, "bad_options"),
        (
            {"images": ["a.png", "b.png"], "messages": turns("Which?\nA. a <image>\nB. b <image>", "A")},
            "media_in_options",
        ),
        ({"videos": [], "messages": turns(ASKED, "A")}, "bad_video"),
        ({"videos": ["a.mp4"], "messages": turns(ASKED)}, "bad_answer"),
        ({"videos": ["a.mp4"], "messages": turns(ASKED, "A"), "solution": "B"}, "bad_answer"),
        ({**R1, "problem_type": "numerical", "solution": "A"}, "bad_kind"),
        ({**R1, "problem_type": "map drawing", "solution": "A"}, "bad_kind"),
        ({**VERL, "prompt": turns(ASKED)}, "bad_answer"),
        ({"video": "https://a.b/c.mp4", "question": "Is it?", "answer": "yes"}, "video_remote"),
        ({"video": {"bytes": "…"}, "question": "Is it?", "answer": "yes"}, "bad_video"),
        ({"image": "https://a.b/c.png", "question": "Is it?", "answer": "yes"}, "image_remote"),
        ({"image": 3, "question": "Is it?", "answer": "yes"}, "bad_image"),
        ({"video": {"video": "a.mp4", "start_s": 2, "end_s": 1}, "question": "Is it?", "answer": "yes"}, "bad_window"),
        ({"video": "x" * 300, "question": "Is it?", "answer": "yes"}, "bad_video"),
        ({"video": "\ud800.mp4", "question": "Is it?", "answer": "yes"}, "bad_text"),
        ({"video": "a\0.mp4", "question": "Is it?", "answer": "yes"}, "bad_video"),
    ],
)
def test_what_cannot_be_taken_is_dropped_by_name(line: dict[str, Any], expected: str) -> None:
    assert reason(line) == expected


IMAGE = {"type": "image", "image": "b.png"}
TWO_VIDEOS = "Both: <video> and <video>\nWhich way?\n(A) up\n(B) down"
MIXED = "<image>\nThen <video>\nWhich way?\n(A) up\n(B) down"
SEVERAL: dict[str, tuple[dict[str, Any], list[str], str]] = {  # a line, its files in order, and its question
    "ours_two_videos": (
        {"video": ["a.mp4", "b.mp4"], "question": "Which way?", "options": ["up", "down"], "answer": "B"},
        ["a.mp4", "b.mp4"],
        "Which way?",
    ),
    "ours_image": ({"image": "b.png", "question": "Which way?", "answer": "down"}, ["b.png"], "Which way?"),
    "ours_mixed": (
        {"video": "a.mp4", "image": "b.png", "question": MIXED, "answer": "down"},
        ["b.png", "a.mp4"],
        "Then <video>\nWhich way?",
    ),
    "llava": (
        {"video": ["a.mp4", "b.mp4"], "conversations": turns(TWO_VIDEOS, "B", "from", "value")},
        ["a.mp4", "b.mp4"],
        "Both: <video> and <video>\nWhich way?",
    ),
    "llava_image_marker": (
        {"video": ["a.mp4", "b.mp4"], "conversations": turns(f"<image>\n<image>\n{ASKED[8:]}", "B", "from", "value")},
        ["a.mp4", "b.mp4"],
        "Which way?",
    ),
    "openai_parts": (
        {"messages": turns([{"type": "text", "text": "Before:"}, IMAGE, *PARTS], "B")},
        ["b.png", "a.mp4"],
        "Before:\n<image>\n<video>\nWhich way?",
    ),
    "openai_parts_in_front": ({"messages": turns([PARTS[0], *PARTS], "B")}, ["a.mp4", "a.mp4"], "Which way?"),
    "ms_swift": (
        {"videos": ["a.mp4"], "images": ["b.png"], "messages": turns(MIXED), "solution": "B"},
        ["b.png", "a.mp4"],
        "Then <video>\nWhich way?",
    ),
    "ms_swift_bare_parts": (
        {
            "images": ["b.png", "c.png"],
            "messages": turns([{"type": "image"}, {"type": "image"}, {"type": "text", "text": ASKED[8:]}], "B"),
        },
        ["b.png", "c.png"],
        "Which way?",
    ),
    "video_r1_image": ({**R1, "path": "b.png", "data_type": "image", "solution": "B"}, ["b.png"], "Which way?"),
    "video_r1_two": ({**R1, "path": ["a.mp4", "b.mp4"], "solution": "B"}, ["a.mp4", "b.mp4"], "Which way?"),
    "verl": (
        {
            "videos": [{"video": "a.mp4"}],
            "images": [{"image": "file://b.png"}],
            "prompt": turns(MIXED),
            "reward_model": {"ground_truth": "B"},
        },
        ["b.png", "a.mp4"],
        "Then <video>\nWhich way?",
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_files_are_read_in_the_order_of_their_markers(name: str) -> None:
    """Markers before everything are left out: what has none stands there."""
    line, paths, text = SEVERAL[name]
    asked = read(line)
    assert (paths_of(line), asked.question.text, right(asked)) == (paths, text, "down")


@pytest.mark.parametrize("name", ["conversations", "messages"])
def test_earlier_turns_are_kept_and_the_last_answer_is_the_target(name: str) -> None:
    """Of an earlier reply with a thought, its answer is said again; a marker stays in its turn."""
    role, content = ("from", "value") if name == "conversations" else ("role", "content")
    told = [*turns("<video>\nWhat is it?", "<think>Red.</think><answer>a <|im_end|> ball</answer>", role, content)]
    told += turns("And here <image>?", "A dog.", role, content) + turns(
        ASKED.replace("<video>\n", ""), "B", role, content
    )
    asked, files = taken({"video": "a.mp4", "image": "b.png", name: told})
    assert [(turn.role, turn.text) for turn in asked.earlier] == [
        ("user", "What is it?"),
        ("assistant", "a (/im_end/) ball"),
        ("user", "And here <image>?"),
        ("assistant", "A dog."),
    ]
    assert (asked.question.text, right(asked), asked.rationale) == ("Which way?", "down", "")
    assert [(file.kind, file.path) for file in files] == [("video", "a.mp4"), ("image", "b.png")]


def test_a_video_shown_in_a_later_turn_stands_there() -> None:
    told = [*turns("Hello.", "Hello!"), *turns("<video>\nWhich way?\nA. up\nB. down", "B")]
    asked, _ = taken({"videos": ["a.mp4"], "messages": told})
    assert asked.earlier[0].text == "Hello." and asked.question.text == "<video>\nWhich way?"


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
