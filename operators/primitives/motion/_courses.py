"""When a shape moves and when it rests: spans of a clip, so long that a model which is shown a few frames sees each.

Speeds are chosen apart from how far a shape gets. Rests fill what is left of the clip. So neither the clip's length nor
the speed of a moment tells the whole way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

SPEEDS = (0.2, 0.3)  # parts of the frame in the longest gap between shown frames; half of it could be either way round
LEAST_TENTHS = 3  # of one bout: at the highest speed it lasts for a gap

BACK_TENTHS = (3, 7)  # of a bout that goes back: five ways, which lead to five places at the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Bout:
    """A time in which a shape moves at one speed."""

    start: int  # the frame from which it moves
    end: float  # when it has arrived; between frames, so that speeds say nothing about the way
    tenths: int  # how far, in tenths of the frame
    back: bool = False  # against the direction of the others


def choose_spans(
    rng: np.random.Generator, num_steps: int, num_spans: int, shortest: int, least_rest: int = 0
) -> list[tuple[int, int]]:
    """Choose times for as many motions, one after the other, with rests between: first step, step after the last.

    What the shortest motions and rests leave over is cut at random. The draws do not depend on the sizes.

    Args:
        shortest: steps of a motion; fewer where whole steps do not fit otherwise.
    """
    shortest = min(shortest, (num_steps - (num_spans - 1) * least_rest) // num_spans)
    spare = num_steps - num_spans * shortest - (num_spans - 1) * least_rest
    spans, end = [], -least_rest
    parts = _cut(rng, spare, 2 * num_spans + 1)
    for rest, longer in zip(parts[::2], parts[1::2], strict=False):
        start = end + least_rest + rest
        end = start + shortest + longer
        spans.append((start, end))
    return spans


def choose_cuts(rng: np.random.Generator, num_steps: int, num_parts: int, shortest: int) -> list[int]:
    """Choose where a way turns: the steps at which its second part and all later ones begin."""
    parts = [shortest + longer for longer in _cut(rng, num_steps - num_parts * shortest, num_parts)]
    return [int(cut) for cut in np.cumsum(parts[:-1])]


def choose_bouts(
    rng: np.random.Generator, tenths: int, num_bouts: int, num_steps: int, gap: int, *, back: bool
) -> list[Bout]:
    """Choose bouts that add up to this way, with rests between them. The first starts the clip.

    Args:
        gap: the longest gap between shown frames, in frames. Every bout and every rest lasts at least as long, so each
            is shown. The last bout ends as long before the clip does. A single one fills all the time up to there.
        back: whether one bout goes back, by ``BACK_TENTHS``. Then the place at the end does not tell the way.
    """
    if num_bouts == 1:
        return [Bout(start=0, end=num_steps - gap, tenths=tenths)]
    returning = int(rng.integers(num_bouts)) if back else -1
    returned = int(rng.integers(BACK_TENTHS[0], BACK_TENTHS[1] + 1)) if back else 0
    others = num_bouts - back
    parts = [LEAST_TENTHS + more for more in _cut(rng, tenths - returned - others * LEAST_TENTHS, others)]
    if back:
        parts.insert(returning, returned)
    # Lengths are written to the log, so they must be the same bits everywhere: numpy's exp depends on the processor.
    gaps_across = rng.uniform(1 / SPEEDS[1], 1 / SPEEDS[0], num_bouts).tolist()  # that the whole frame takes
    lengths = [part / 10 * gap * gaps for part, gaps in zip(parts, gaps_across, strict=True)]
    spare = num_steps - sum(map(ceil, lengths)) - num_bouts * gap
    rests = _cut(rng, spare, num_bouts - 1)
    bouts, start = [], 0
    for i, (part, length, rest) in enumerate(zip(parts, lengths, [*rests, 0], strict=True)):
        bouts.append(Bout(start=start, end=start + length, tenths=part, back=i == returning))
        start += ceil(length) + gap + rest
    return bouts


def gaps_of_bouts(most_tenths: int, num_bouts: int) -> float:
    """Return how long any choice of bouts may take, in gaps; a single bout is as fast as can be followed."""
    if num_bouts == 1:
        return most_tenths / 10 / SPEEDS[1] + 1.5
    return most_tenths / 10 / SPEEDS[0] + 1.5 * num_bouts


def gone_along(bouts: Sequence[Bout], num_frames: int) -> npt.NDArray[np.float64]:
    """Return the (T,) way from the start to every frame, in parts of the frame; a bout that goes back takes from it."""
    gone_T = np.zeros(num_frames)
    for bout in bouts:
        share_T = np.clip((np.arange(num_frames) - bout.start) / (bout.end - bout.start), 0.0, 1.0)
        gone_T += (-1 if bout.back else 1) * bout.tenths / 10 * share_T
    return gone_T


def told_sum(tenths: Sequence[int]) -> str:
    """Write the sum of these ways: "5 + 4 = 9"."""
    return f"{' + '.join(map(str, tenths))} = {sum(tenths)}" if len(tenths) > 1 else str(sum(tenths))


def _cut(rng: np.random.Generator, total: int, num_parts: int) -> list[int]:
    """Cut a whole number at uniform places into parts of 0 or more. It draws as often, whatever the total is."""
    cuts = np.floor(np.sort(rng.uniform(0, 1, num_parts - 1)) * (total + 1)).astype(int)
    return [int(part) for part in np.diff([0, *cuts.tolist(), total])]
