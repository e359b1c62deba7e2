"""The answer recovered from decoded frames, compared with the answer from the log.

plan, question, decoded frames -> Witness (knows nothing of the log) -> Primitive.recover -> agrees, differs, unsure
"""

from enum import StrEnum

from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.render import ImageLoader, fit
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import Frames, Question, ScenePlan


class Verdict(StrEnum):
    """Whether the frames lead to the answer of the log."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNSURE = "unsure"  # pixels do not allow an answer: too small, too alike, or the primitive has no such check


def check_pixels(
    primitive: Primitive, plan: ScenePlan, question: Question, frames_THWC: Frames, load_image: ImageLoader | None
) -> Verdict:
    """Compare the answer that the frames alone give with the question's.

    Args:
        frames_THWC: decoded from the clip, uint8 RGB.
    """
    seen = primitive.recover(witness_of(plan, question, frames_THWC, load_image))
    if seen is None:
        return Verdict.UNSURE
    return Verdict.AGREES if seen == question.answer_index else Verdict.DIFFERS


def witness_of(plan: ScenePlan, question: Question, frames_THWC: Frames, load_image: ImageLoader | None) -> Witness:
    """Collect what a witness may know. Pictures come in the order of their captions, not in the order shown."""
    captions = {event.start_ms: event.subject for event in plan.events if event.kind == "scene"}
    pictures = {}
    for shot in plan.shots:
        caption = captions.get(1000.0 * shot.start_frame / plan.fps)
        if load_image is not None and caption is not None:
            pictures[caption] = fit(load_image(shot.scene), plan.width, plan.height)
    return Witness(
        frames_THWC=frames_THWC,
        fps=plan.fps,
        question=question.text,
        options=question.options,
        facts=plan.facts,
        images={caption: pictures[caption] for caption in sorted(pictures)},
    )
