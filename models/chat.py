"""A sample and its frames → the prompt of an engine or a collator, through the model's own chat template."""

import itertools
from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError
from temporay.operators.dataset.rows import messages, user_turn
from temporay.operators.errors import UserError
from temporay.operators.records import ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, Frames, Prompt, Sample
from temporay.operators.sampling import ShownFrames


def to_prompt(processor: Any, sample: Sample, frames_THWC: Frames | None, *, instruction: str) -> Prompt:
    """Return a prompt with one unexpanded video marker, or none if there are no frames.

    Args:
        processor: the processor of the model's family; its chat template decides the text.
        frames_THWC: those of the clip that ``sample.shown`` names.
        instruction: how to answer, appended to the question; "" for a model that knows a single format.
    """
    chat = messages(sample, with_video=frames_THWC is not None, instruction=instruction)
    text = chat_text(processor, chat)
    return Prompt(key=sample.key, text=text, frames_THWC=frames_THWC, fps=sample.fps, shown=sample.shown)


def text_prompt(
    processor: Any,
    *,
    key: str,
    text: str,
    frames_THWC: Frames | None,
    fps: float,
    shown: ShownFrames | None,
    system_text: str = "",
    answer_start: str = "",
) -> Prompt:
    """Return a prompt in given words, which follow the video.

    Args:
        system_text: a turn of the system before the user's; "": none.
        answer_start: what every answer is made to begin with.
    """
    system = [{"role": "system", "content": [{"type": "text", "text": system_text}]}] if system_text else []
    asked = chat_text(processor, [*system, user_turn(text, with_video=frames_THWC is not None)])
    return Prompt(key=key, text=f"{asked}{answer_start}", frames_THWC=frames_THWC, fps=fps, shown=shown)


def chat_text(processor: Any, chat: Sequence[dict[str, Any]]) -> str:
    """Return a conversation up to the model's turn, as the checkpoint's chat template writes it.

    Raises:
        UserError: the template is missing, it fails, or it does not write one marker for each video.
    """
    try:
        text: str = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except (ValueError, TypeError, TemplateError) as error:  # there is none; it adds up what has no sum; it fails
        folder = processor.tokenizer.name_or_path
        fault = str(error).partition(". ")[0].rstrip(".")
        raise UserError(
            f"the chat template of {folder} makes no prompt ({fault}); download chat_template.jinja again"
        ) from error
    num_videos = sum(part["type"] == "video" for turn in chat for part in turn["content"])
    if num_videos and (num_markers := text.count(processor.video_token)) != num_videos:
        raise UserError(
            f"the chat template of {processor.tokenizer.name_or_path} writes {num_markers} video markers "
            f"({processor.video_token}) for {num_videos} video; download chat_template.jinja again"
        )
    return text


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
    pair = tokenizer([tags, to_target(prompt, sample)], add_special_tokens=False)["input_ids"]
    return sum(1 for _ in itertools.takewhile(lambda ids: ids[0] == ids[1], zip(*pair, strict=False)))
