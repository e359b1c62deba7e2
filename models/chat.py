"""A sample and its frames → the prompt of an engine or a collator, through the model's own chat template."""

from typing import Any

from temporay.operators.dataset.rows import messages
from temporay.operators.records import Frames, Prompt, Sample


def to_prompt(processor: Any, sample: Sample, frames_THWC: Frames | None, *, instruction: str) -> Prompt:
    """Return a prompt with one unexpanded video marker, or none if there are no frames.

    Args:
        processor: the processor of the model's family; its chat template decides the text.
        instruction: how to answer, appended to the question; "" for a model that knows a single format.
    """
    chat = messages(sample, with_video=frames_THWC is not None, instruction=instruction)
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return Prompt(key=sample.key, text=text, frames_THWC=frames_THWC, fps=sample.fps)
