"""A sample and its frames → the prompt of an engine or a collator, through the model's own chat template."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from jinja2 import TemplateError
from temporay.operators.dataset.rows import chat_turn, messages
from temporay.operators.errors import UserError
from temporay.operators.media import Clips, MediumKind, ShownMedium, kinds_in_front
from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, Prompt, Sample


def to_prompt(
    processor: Any, sample: Sample, clips: Clips, *, instruction: str = "", asked: str | None = None
) -> Prompt:
    """Return a prompt with an unexpanded marker for every medium, or none if there are no frames.

    Args:
        processor: the processor of the model's family; its chat template decides the text.
        clips: the frames that a model is shown of each of ``sample.media``; () for a blind prompt.
        instruction: how to answer, appended to the question; "" for a model that knows a single format.
        asked: the question as it is written, in place of the sample's own with its options and the instruction.
    """
    chat = messages(sample, with_media=bool(clips), instruction=instruction, asked=asked)
    text = chat_text(processor, chat)
    shown = zip(sample.media, clips, strict=True) if clips else ()
    return Prompt(key=sample.key, text=text, media=tuple(medium.with_frames(frames) for medium, frames in shown))


def text_prompt(
    processor: Any,
    *,
    key: str,
    text: str,
    media: Sequence[ShownMedium],
    system_text: str = "",
    answer_start: str = "",
) -> Prompt:
    """Return a prompt in given words. Media without a marker in the text stand before it.

    Args:
        media: what is shown, in order; none for a blind prompt.
        system_text: a turn of the system before the user's; "": none.
        answer_start: what every answer is made to begin with.
    """
    system = [{"role": "system", "content": [{"type": "text", "text": system_text}]}] if system_text else []
    asked = chat_turn("user", text, kinds_in_front(media, [text]), with_media=bool(media))
    return Prompt(key=key, text=f"{chat_text(processor, [*system, asked])}{answer_start}", media=tuple(media))


def chat_text(processor: Any, chat: Sequence[dict[str, Any]]) -> str:
    """Return a conversation up to the model's turn, as the checkpoint's chat template writes it.

    Raises:
        UserError: the template is missing, it fails, or it does not write one marker for each video and image.
    """
    try:
        text: str = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except (ValueError, TypeError, TemplateError) as error:  # there is none; it adds up what has no sum; it fails
        folder = processor.tokenizer.name_or_path
        fault = str(error).partition(". ")[0].rstrip(".")
        raise UserError(
            f"the chat template of {folder} makes no prompt ({fault}); download chat_template.jinja again"
        ) from error
    for kind, token in media_tokens(processor).items():
        num_shown = sum(part["type"] == kind for turn in chat for part in turn["content"])
        if num_shown and (num_markers := text.count(token)) != num_shown:
            raise UserError(
                f"the chat template of {processor.tokenizer.name_or_path} writes {num_markers} {kind} markers "
                f"({token}) for {num_shown} {kind}; download chat_template.jinja again"
            )
    return text


def media_tokens(processor: Any) -> dict[MediumKind, str]:
    """Return the token that stands for a medium of each kind in a prompt's text."""
    return {"video": processor.video_token, "image": processor.image_token}


def opens_thought(prompt_text: str) -> bool:
    """Tell whether a template has opened the thought already, as those of Thinking models do."""
    return prompt_text.rstrip().endswith(THINK_OPEN)


def to_target(prompt: Prompt, sample: Sample) -> str:
    """Return what supervised training teaches the model to write after a prompt.

    A thought that the template has opened is not opened again, and is closed at once where there is none.
    """
    if not opens_thought(prompt.text):
        return sample.target
    return sample.target.removeprefix(THINK_OPEN) if sample.rationale else f"{THINK_CLOSE}{sample.target}"


def num_opening_tokens(tokenizer: Any, prompt: Prompt, sample: Sample) -> int:
    """Count the tokens by which a target begins: those of the tags before its chain of thought or its answer.

    A token that holds more than tags is not among them.
    """
    is_open = opens_thought(prompt.text)
    if sample.rationale:
        tags = "" if is_open else THINK_OPEN
    else:
        tags = f"{THINK_CLOSE}{ANSWER_OPEN}" if is_open else ANSWER_OPEN
    return _num_shared(*tokenizer([tags, to_target(prompt, sample)], add_special_tokens=False)["input_ids"])


def answer_tokens(tokenizer: Any, prompt: Prompt, sample: Sample) -> slice:
    """Find the answer's own tokens in a target without a chain of thought: those between its tags.

    A token that holds more than tags is among them.
    """
    closing, target = tokenizer([ANSWER_CLOSE, to_target(prompt, sample)], add_special_tokens=False)["input_ids"]
    num_closing = _num_shared(reversed(closing), reversed(target))
    return slice(num_opening_tokens(tokenizer, prompt, sample), len(target) - num_closing)


def _num_shared(one: Iterable[int], other: Iterable[int]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda ids: ids[0] == ids[1], zip(one, other, strict=False)))
