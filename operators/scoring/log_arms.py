"""Arms that need the event log of a sample, which datasets made by ``temporay generate`` have.

    caption_only   the captions of a pseudo-video's scenes, in their order and with their times, and no frame
    oracle_frames  only the frames around the events that decide the answer
    slow_motion    the same frames at half speed, each with the time at which it is then shown

What is asked stays the same, and its answer stays right. A question for which that cannot be had is not asked.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from temporay.operators.errors import SampleRejected
from temporay.operators.primitives._base import Primitive, primitive_of
from temporay.operators.records import Event, Sample, ScenePlan
from temporay.operators.sampling import PAIR, ShownFrames
from temporay.operators.scoring.arms import Arm

SLOWED = 2.0  # times as long
TEMPOS = (1e-3, SLOWED, 1e3)  # at which an answer must stay that is to say nothing of seconds
EDGE_MS = 1e-6  # how far a frame's time may miss that of an event by rounding


def by_log(arm: Arm, sample: Sample) -> Sample:
    """Return a sample as an arm shows it and asks about it; as it is for every other arm.

    Raises:
        SampleRejected: the log is not there, or the arm would change nothing or the answer.
    """
    if arm == "caption_only":
        return with_captions(sample)
    if arm == "oracle_frames":
        every = _indices(sample)
        indices = tuple(every[place] for place in deciding_places(sample))
        shown = ShownFrames(indices=indices, num_frames=_num_frames(sample))
        return replace(sample, media=(replace(sample.clip, shown=shown),))
    return slowed(sample) if arm == "slow_motion" else sample


def with_captions(sample: Sample) -> Sample:
    """Return a sample whose question begins with what every scene of its pseudo-video shows, and when.

    Raises:
        SampleRejected: ``no_captions``.
    """
    primitive = primitive_of(sample.address.task)
    if primitive is None or primitive.family != "pseudo_video":
        raise SampleRejected("no_captions", "its video has no captions")
    scenes = sorted((event for event in sample.events if event.kind == "scene"), key=lambda event: event.start_ms)
    lines = [f"From {event.start_ms / 1000:.1f} s to {event.end_ms / 1000:.1f} s: {event.subject}." for event in scenes]
    told = "\n".join(["The video is not shown. This is what it shows:", *lines, sample.question.text])
    return replace(sample, question=replace(sample.question, text=told))


def deciding_places(sample: Sample) -> list[int]:
    """Return the places, among the frames shown, of those around the events that decide the answer.

    Around an event are the frames while it lasts, the last one before it and the first one after it. A model merges
    frames in pairs, so both of a pair are kept.

    Raises:
        SampleRejected: ``no_event_log``, or ``every_frame_decides``.
    """
    primitive, plan = _primitive(sample), sample.logged_plan
    shown_ms = 1000.0 * np.asarray(_indices(sample)) / sample.clip.fps
    around = np.zeros(len(shown_ms), np.bool_)
    for event in primitive.deciding(plan):
        around[_around(event, shown_ms)] = True
    pairs = {place // PAIR for place in np.flatnonzero(around).tolist()}
    places = [place for place in range(len(shown_ms)) if place // PAIR in pairs]
    if len(places) == len(shown_ms):
        raise SampleRejected("every_frame_decides", "the events that decide its answer fill the video")
    return places


def slowed(sample: Sample) -> Sample:
    """Return a sample whose clip takes twice as long.

    Raises:
        SampleRejected: ``no_event_log``, or ``answer_tells_seconds``: by the log, another tempo has another answer.
    """
    primitive, plan = _primitive(sample), sample.logged_plan
    for tempo in TEMPOS:
        if _answer_at(tempo, primitive, plan) != sample.question.answer_index:
            raise SampleRejected("answer_tells_seconds", "its answer depends on how long the video takes")
    return replace(sample, media=(replace(sample.clip, fps=sample.clip.fps / SLOWED),))


def _answer_at(tempo: float, primitive: Primitive, plan: ScenePlan) -> int | None:
    """Return the right option when the clip takes ``tempo`` times as long; None where no option is right."""
    events = [replace(event, start_ms=tempo * event.start_ms, end_ms=tempo * event.end_ms) for event in plan.events]
    try:
        return primitive.ask(replace(plan, fps=plan.fps / tempo, events=tuple(events))).answer_index
    except ValueError:  # what the log gives is no option
        return None


def _around(event: Event, shown_ms: npt.NDArray[np.float64]) -> slice:
    before = int(np.searchsorted(shown_ms, event.start_ms + EDGE_MS, side="right")) - 1
    after = int(np.searchsorted(shown_ms, event.end_ms - EDGE_MS, side="left"))
    return slice(max(0, before), after + 1)


def _primitive(sample: Sample) -> Primitive:
    primitive = primitive_of(sample.address.task)
    if primitive is None:
        raise SampleRejected("no_event_log", "nothing tells what happens in its video")
    return primitive


def _num_frames(sample: Sample) -> int:
    return sample.clip.num_frames if sample.clip.shown is None else sample.clip.shown.num_frames


def _indices(sample: Sample) -> tuple[int, ...]:
    return tuple(range(sample.clip.num_frames)) if sample.clip.shown is None else sample.clip.shown.indices
