"""Read scenes in turn: which orders are left by the scenes that are shown."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from temporay.operators.audit.ideal_states import Watched
from temporay.operators.audit.readings.reading import NUM_DRAWN, OptionScores, Shown, filled_in
from temporay.operators.primitives._base import Primitive
from temporay.operators.primitives.scenes._question import NONE_OF_THE_OTHERS, PseudoVideo
from temporay.operators.seeding import rng_at


def read_scenes(primitive: Primitive, watched: Watched, shown: Shown) -> OptionScores:
    """Score options by orders in which the scenes that are asked about, but not shown, come at any hidden time."""
    assert isinstance(primitive, PseudoVideo)
    if not shown.ordered:
        return {}
    facts, options = watched.plan.facts, watched.row["options"]
    blocks, hidden = [_captions(watched, block) for block in shown.blocks()], shown.hidden()
    for n in range(1, len(blocks)):  # one scene on either side of a gap fills it
        if blocks[n][0] == blocks[n - 1][-1]:
            hidden[n], blocks[n] = 0.0, blocks[n][1:] or blocks[n]
    seen = {caption for block in blocks for caption in block}
    rest = [one for one in facts.get("listed", options) if one not in seen and one != NONE_OF_THE_OTHERS]
    rng, answers = rng_at("scenes", watched.row["id"]), Counter[str | None]()
    for _ in range(NUM_DRAWN if hidden.any() else 1):
        order = filled_in(rng, blocks, hidden, [rest[i] for i in rng.permutation(len(rest))])
        answers[primitive.answer(order if primitive.scenes_recur else list(dict.fromkeys(order)), facts)] += 1
    total = max(1, sum(answers[option] for option in options))
    return {"share of orders": [answers[option] / total for option in options]}


def _captions(watched: Watched, block: Sequence[int]) -> list[str]:
    """Return the scenes that a run of frames shows, in order."""
    shown = [next((t.names[0] for t in watched.things if t.visible_T[frame]), "") for frame in block]
    return [name for name, _ in groupby(shown) if name]
