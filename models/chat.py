"""A sample and its frames → the prompt of an engine or a collator, through the model's own chat template."""

from typing import Any

from temporay.operators.dataset.rows import messages
from temporay.operators.records import THINK_CLOSE, THINK_OPEN, Frames, Prompt, Sample


def to_prompt(processor: Any, sample: Sample, frames_THWC: Frames | None, *, instruction: str) -> Prompt:
    """Return a prompt with one unexpanded video marker, or none if there are no frames.

    Args:
        processor: the processor of the model's family; its chat template decides the text.
        instruction: how to answer, appended to the question; "" for a model that knows a single format.
    """
    chat = messages(sample, with_video=frames_THWC is not None, instruction=instruction)
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return Prompt(key=sample.key, text=text, frames_THWC=frames_THWC, fps=sample.fps)


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
