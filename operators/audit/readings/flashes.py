"""Read keys that light up in turn: which sequences are left by the flashes that are shown."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from temporay.operators.audit.ideal_states import Doubles, Watched
from temporay.operators.audit.readings.reading import NUM_DRAWN, OptionScores, Shown, filled_in
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.sequences._flashes import FlashSequence, Sequenced, told_apart
from temporay.operators.seeding import rng_at

NEAR = 1e-3


def read_flashes(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score options by sequences in which what is hidden is drawn, and words by the letters shown."""
    assert isinstance(primitive, FlashSequence)
    if not shown.ordered:
        return {}
    options, names = watched.row["options"], _names(primitive, watched)
    lit = _lit(watched, shown)
    flashes = [told_apart(block) for block in lit]
    sequences = _sequences(primitive, watched, flashes, shown.hidden())
    answers = Counter(primitive.answer(one, watched.plan.facts) for one in sequences)
    total = max(1, sum(answers.values()))
    scores = {"share of sequences": [answers[option] / total for option in options]}
    if all(set(option) <= set(names) for option in options):
        timed = _timed(lit, shown) if shown.timed else []
        scores |= {
            "letters in turn": [float(_in_turn(option, flashes)) for option in options],
            "letters in place": [-_out_of_place(option, timed) for option in options],
        }
    return scores


def _names(primitive: FlashSequence, watched: Watched) -> list[str]:
    plan = watched.plan
    return [key.name for key in primitive.keys(plan.facts, plan.width, plan.height)]


def _lit(watched: Watched, shown: Shown) -> list[list[str]]:
    """Return for each block the key that has the color of light in every frame; "" for none."""
    light_3, blocks = np.array(COLORS[watched.plan.facts["light"]]) / 255.0, shown.blocks()
    lit = dict.fromkeys(shown.frames, "")
    for thing in watched.things:
        has_light_N = np.abs(thing.color_T3[list(shown.frames)] - light_3).max(axis=1) < NEAR
        lit |= {frame: thing.names[0] for frame, has in zip(shown.frames, has_light_N, strict=True) if has}
    return [[lit[frame] for frame in block] for block in blocks]


def _timed(lit: Sequence[Sequence[str]], shown: Shown) -> list[tuple[str, float]]:
    """Return the flashes shown, each with the share of the clip that is over in the middle of what is seen of it."""
    found = []
    for block, names in zip(shown.blocks(), lit, strict=True):
        for name, run in groupby(zip(block, names, strict=True), lambda pair: pair[1]):
            frames = [frame for frame, _ in run]
            found += [(name, (frames[0] + frames[-1] + 1) / 2 / shown.num_frames)] if name else []
    return found


def _sequences(
    primitive: FlashSequence, watched: Watched, flashes: Sequence[Sequenced], hidden: Doubles
) -> list[Sequenced]:
    """Draw whole sequences: flashes that are not shown are of any key, as many as a clip of this level lacks."""
    usual = (primitive.num_units(watched.plan.address.level) - 1) // 2  # flashes, with darkness around each
    num_missing = max(0, usual - sum(map(len, flashes))) if hidden.any() else 0
    names, rng = _names(primitive, watched), rng_at("flashes", watched.row["id"])
    rests = [[names[i] for i in rng.integers(len(names), size=num_missing)] for _ in range(NUM_DRAWN)]
    return [tuple(filled_in(rng, flashes, hidden, rest)) for rest in (rests if num_missing else rests[:1])]


def _in_turn(word: str, flashes: Sequence[Sequenced]) -> bool:
    """Return whether a word has the letters of each block as neighbors, one block after the other."""
    start = 0
    for block in flashes:
        found = word.find("".join(block), start)
        if found < 0:
            return False
        start = found + len(block)
    return True


def _out_of_place(word: str, timed: Sequence[tuple[str, float]]) -> float:
    """Return how far letters are from where the time of their flash puts them, as a share of the word."""
    away = [
        min((abs((i + 0.5) / len(word) - share) for i, letter in enumerate(word) if letter == name), default=1.0)
        for name, share in timed
    ]
    return float(np.mean(away)) if away else 0.0
