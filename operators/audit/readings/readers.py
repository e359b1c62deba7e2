"""Which reader reads which kind.

A kind that none of them knows, such as one of the user's own, is judged by the features of its things alone.
"""

from temporay.operators.audit.ideal_states import Watched
from temporay.operators.audit.readings.changes import read_changes, read_spans
from temporay.operators.audit.readings.courses import read_figures, read_speeds
from temporay.operators.audit.readings.flashes import read_flashes
from temporay.operators.audit.readings.motions import read_arrow, read_halves, read_rounds
from temporay.operators.audit.readings.paces import read_paces
from temporay.operators.audit.readings.patterns import read_pattern
from temporay.operators.audit.readings.places import read_pieces, read_sides
from temporay.operators.audit.readings.reading import OptionScores, Reader, Shown
from temporay.operators.audit.readings.scenes import read_scenes
from temporay.operators.audit.readings.visits import read_visits
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.scenes._question import PseudoVideo
from temporay.operators.primitives.sequences._flashes import FlashSequence

OF_TASK: dict[str, Reader] = {
    "acceleration": read_paces,
    "attribute_change": read_changes,
    "bounce_count": read_visits,
    "clip_jigsaw": read_pieces,
    "event_span": read_spans,
    "largest_motion": read_rounds,
    "partial_views": read_pattern,
    "playback_speed": read_speeds,
    "relative_position": read_sides,
    "same_moment": read_halves,
    "time_arrow": read_arrow,
    "trajectory_shape": read_figures,
}


def read(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Return the scores of the options by the reader of this kind; none for a kind that has no reader."""
    reader = reader_of(primitive)
    return reader(primitive, watched, shown) if reader else {}


def reader_of(primitive: Primitive) -> Reader | None:
    """Return the reader of a family, or of one kind."""
    if isinstance(primitive, FlashSequence):
        return read_flashes
    return read_scenes if isinstance(primitive, PseudoVideo) else OF_TASK.get(primitive.task)
