"""Prompts and targets of templates that open the thought themselves, as those of Thinking models do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from temporay.models.chat import answer_tokens, to_prompt, to_target
from temporay.models.engines._base import NOT_BEGUN, extended
from temporay.models.tiny import CHAT_TEMPLATE
from temporay.operators.errors import UserError
from temporay.operators.records import Prompt, Rollout, Sampling

from tests.models.small_samples import ANSWERED

ASSISTANT = "<|im_start|>assistant\\n"
THINKING_TEMPLATE = CHAT_TEMPLATE.replace(ASSISTANT, f"{ASSISTANT}<think>\\n")


class Templated:
    """A processor with another template."""

    def __init__(self, processor: Any, template: str) -> None:
        self._processor, self._template = processor, template
        self.tokenizer = processor.tokenizer
        self.video_token, self.image_token = processor.video_token, processor.image_token

    def apply_chat_template(self, chat: Any, **arguments: Any) -> str:
        return str(self._processor.apply_chat_template(chat, chat_template=self._template, **arguments))


@pytest.fixture
def thinking(processor: Any) -> Templated:
    assert THINKING_TEMPLATE != CHAT_TEMPLATE
    return Templated(processor, THINKING_TEMPLATE)


def test_a_thought_is_opened_once(processor: Any, thinking: Templated) -> None:
    for made_by, opened in ((processor, False), (thinking, True)):
        prompt = to_prompt(made_by, ANSWERED, (), instruction="")
        assert prompt.text.endswith("<think>\n") == opened
        assert (prompt.text + to_target(prompt, ANSWERED)).count("<think>") == 1
        assert to_target(prompt, ANSWERED).endswith("It goes down.</think><answer>B</answer>")


def test_a_thought_that_is_not_given_is_closed(processor: Any, thinking: Templated) -> None:
    answer_alone = replace(ANSWERED, rationale="")
    assert to_target(to_prompt(processor, ANSWERED, (), instruction=""), answer_alone) == "<answer>B</answer>"
    after = to_prompt(thinking, ANSWERED, (), instruction="")
    assert to_target(after, answer_alone) == "</think><answer>B</answer>"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (r"</?\w+>|.", "B"),  # every tag is a token
        (r"\w+|.", "B"),  # a tag is several tokens
        (r"B<|\w+|.", "B<"),  # a token holds the answer's end and the tag's beginning
        (r">B|\w+|.", ">B"),
    ],
)
def test_the_answers_own_tokens_stand_between_its_tags(
    processor: Any, thinking: Templated, pieces: str, expected: str
) -> None:
    def tokenizer(texts: list[str], **_: Any) -> dict[str, list[list[str]]]:
        return {"input_ids": [re.findall(pieces, text) for text in texts]}

    answer_alone = replace(ANSWERED, rationale="")
    for made_by in (processor, thinking):
        prompt = to_prompt(made_by, answer_alone, (), instruction="")
        tokens = re.findall(pieces, to_target(prompt, answer_alone))
        assert "".join(tokens[answer_tokens(tokenizer, prompt, answer_alone)]) == expected


def test_what_an_engine_wrote_reads_as_a_whole_thought(processor: Any, thinking: Templated) -> None:
    tokenizer = processor.tokenizer
    ids = tokenizer("left</think><answer>B</answer>", add_special_tokens=False)["input_ids"]

    def written(prompt: Prompt, rollout: Rollout, token_ids: list[int]) -> Rollout:
        sampling = Sampling(num_rollouts=1, temperature=1.0, max_tokens=100, seed=0)
        return extended(
            prompt, rollout, token_ids, [0.0] * len(token_ids), version=0, sampling=sampling, tokenizer=tokenizer
        )

    prompt = to_prompt(thinking, ANSWERED, (), instruction="")
    whole = written(prompt, written(prompt, NOT_BEGUN, ids[:2]), ids[2:])
    assert whole.text == "<think>left</think><answer>B</answer>"
    assert whole.completion_ids == tuple(ids)
    plain = to_prompt(processor, ANSWERED, (), instruction="")
    assert written(plain, NOT_BEGUN, ids).text == "left</think><answer>B</answer>"


@pytest.mark.parametrize(("template", "num_markers"), [("hello", 0), ("<|video_pad|><|video_pad|>", 2)])
def test_a_template_that_does_not_show_the_video_is_refused(processor: Any, template: str, num_markers: int) -> None:
    made_by = Templated(processor, template)
    assert to_prompt(made_by, ANSWERED, (), instruction="").text == template
    frames_THWC = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(UserError, match=rf"writes {num_markers} video markers \(<\|video_pad\|>\) for 1 video; down"):
        to_prompt(made_by, ANSWERED, (frames_THWC,), instruction="")
