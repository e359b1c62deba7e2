"""The scores that a part of a clip gives to options, and how the rest of the clip may be filled in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from temporay.operators.audit.ideal_states import Doubles, Watched
from temporay.operators.primitives._base import Primitive

NUM_DRAWN = 60  # ways in which the rest of a clip is filled in

OptionScores = Mapping[str, Sequence[float]]  # name -> one score for every option
Blocks = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The part of a clip that is shown."""

    frames: tuple[int, ...]  # of a bag, in random order
    num_frames: int  # of the whole clip, which every viewer is told
    ordered: bool = True  # False: the frames are a bag
    timed: bool = True  # False: when they are in the clip is not known

    def blocks(self) -> Blocks:
        """Return the runs of neighboring frames; each frame of a bag is by itself."""
        found: list[list[int]] = []
        for frame in self.frames:
            if self.ordered and found and found[-1][-1] == frame - 1:
                found[-1].append(frame)
            else:
                found.append([frame])
        return found

    def hidden(self) -> Doubles:
        """Return how likely something hidden is before the first block, between blocks and after the last one.

        Where times are known these are the numbers of hidden frames, else all places are alike.
        """
        blocks = self.blocks()
        ends = [-1, *(block[-1] for block in blocks)]
        starts = [*(block[0] for block in blocks), self.num_frames]
        lengths = np.array(starts, np.float64) - np.array(ends) - 1
        return lengths if self.timed else np.ones(len(lengths))


Reader = Callable[[Primitive, Watched, Shown], OptionScores]


def filled_in(
    rng: np.random.Generator, shown: Sequence[Sequence[str]], hidden: Doubles, rest: Sequence[str]
) -> list[str]:
    """Put each thing of the rest into a hidden stretch of a sequence of which parts are shown.

    Args:
        shown: what each block shows, in order.
        hidden: (blocks + 1,) how likely each stretch is.
    """
    if not hidden.sum():
        return [name for block in shown for name in block]
    where = rng.choice(len(hidden), len(rest), p=hidden / hidden.sum())
    filled = [name for name, stretch in zip(rest, where, strict=True) if stretch == 0]
    for n, block in enumerate(shown, start=1):
        filled += [*block, *(name for name, stretch in zip(rest, where, strict=True) if stretch == n)]
    return filled


def score_columns(scores: OptionScores) -> dict[str, Doubles]:
    """Return each score, how far it is over the best of the other options, and how many it exceeds."""
    columns: dict[str, Doubles] = {}
    for name, values in scores.items():
        scores_O = np.asarray(values, np.float64)
        others_OO = np.where(np.eye(len(scores_O), dtype=np.bool_), -np.inf, scores_O[None])
        columns |= {
            name: scores_O,
            f"lead of {name}": scores_O - others_OO.max(axis=1),
            f"rank of {name}": (scores_O[None] < scores_O[:, None] - 1e-9).sum(axis=1).astype(np.float64),
        }
    return columns
