"""The answer recovered from decoded frames, compared with the answer from the log.

plan, question, decoded frames -> Witness (knows nothing of the log) -> Primitive.recover -> agrees, differs, unsure
"""

from dataclasses import replace
from enum import StrEnum

from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.looks import turn_lightness
from temporay.operators.pixels.render import ImageLoader, fit
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import Frames, Question, ScenePlan
from temporay.operators.sampling import EVERY_FRAME, FrameSampling


class Verdict(StrEnum):
    """Whether the frames lead to the answer of the log."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNSURE = "unsure"  # pixels do not allow an answer: too small, too alike, or the primitive has no such check


def check_pixels(
    primitive: Primitive,
    plan: ScenePlan,
    question: Question,
    frames_THWC: Frames,
    load_image: ImageLoader | None,
    sampling: FrameSampling = EVERY_FRAME,
) -> Verdict:
    """Compare the answer that the frames alone give with the question's.

    Frames that differ, in the whole clip or in what the sampling shows of it, decide; else the whole clip does.

    Args:
        frames_THWC: decoded from the clip, uint8 RGB.
    """
    whole, shown = whole_and_shown(primitive, plan, question, frames_THWC, load_image, sampling)
    return Verdict.DIFFERS if Verdict.DIFFERS in (whole, shown) else whole


def whole_and_shown(
    primitive: Primitive,
    plan: ScenePlan,
    question: Question,
    frames_THWC: Frames,
    load_image: ImageLoader | None,
    sampling: FrameSampling,
) -> tuple[Verdict, Verdict]:
    """Return the verdicts of the whole clip and of the frames that a sampling shows of it; see ``check_pixels``."""
    witness = witness_of(plan, question, frames_THWC, load_image)
    whole = _verdict(primitive, witness, question)
    shown = sampling.shown(len(frames_THWC), plan.fps)
    if shown is None:
        return whole, whole
    fewer = replace(
        witness,
        frames_THWC=frames_THWC[list(shown.indices)],
        fps=plan.fps * len(shown.indices) / len(frames_THWC),
    )
    return whole, _verdict(primitive, fewer, question)


def _verdict(primitive: Primitive, witness: Witness, question: Question) -> Verdict:
    seen = primitive.recover(witness)
    if seen is None:
        return Verdict.UNSURE
    return Verdict.AGREES if seen == question.answer_index else Verdict.DIFFERS


def witness_of(plan: ScenePlan, question: Question, frames_THWC: Frames, load_image: ImageLoader | None) -> Witness:
    """Collect what a witness may know. Pictures come in the order of their captions, not in the order shown.

    A light world is turned dark again, so that colors are measured alike in both.
    """
    captions = {event.start_ms: event.subject for event in plan.events if event.kind == "scene"}
    pictures = {}
    for shot in plan.shots:
        caption = captions.get(1000.0 * shot.start_frame / plan.fps)
        if load_image is not None and caption is not None:
            pictures[caption] = fit(load_image(shot.scene), plan.width, plan.height)
    return Witness(
        frames_THWC=turn_lightness(frames_THWC) if plan.look.lighting == "light" else frames_THWC,
        fps=plan.fps,
        question=question.text,
        options=question.options,
        facts=plan.facts,
        images={caption: pictures[caption] for caption in sorted(pictures)},
    )
