"""Which cards lie where in a stack? (SynRL, arXiv 2603.17693, long-term: card stack, draw and insert.)

The cards lie face up in the reveal alone. Each operation draws the card at one place, face down, and inserts it at
another, so it looks the same whatever cards there are. Whole stacks are all reached by the same operations, in
another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._game import (
    Course,
    Facts,
    Operation,
    OperationsGame,
    Stage,
    State,
    timed_wordings,
)
from temporay.operators.primitives.states._slots import COVER_COLOR, NEAR_COLOR, Timing, coverage, split_active
from temporay.operators.records import AnswerKind, AnswerValue, Track

NUM_CARDS_BY_LEVEL = (3, 4, 4, 5, 5)
CARD_HEIGHT_PX = 16  # at least, so a small canvas has fewer cards
FEW_CARDS = 3
MIN_CARDS_OF_ORDERS = 4  # the same operations lead to stacks of one parity only: of three cards to three
ORDER_WORDINGS = {
    "forward": "What are the remaining cards from top to bottom?",
    "retrodictive": "What were the cards from top to bottom before the first one was drawn?",
    "historical": "After step {number}, what were the cards from top to bottom?",
}
ORDER_TEMPLATES = (
    "what did the stack hold from top to bottom {when}?",
    "in which order did the cards lie, top to bottom, {when}?",
    "how was the stack ordered {when}, from top to bottom?",
    "read the stack from the top down: what was it {when}?",
    "which of these stacks, top card first, was there {when}?",
    "cards are drawn and inserted. How did they lie, top first, {when}?",
    "starting with the top card, what was the order of the stack {when}?",
)
CARD_WORDINGS = {
    "forward": "Which card is at place {place} of the stack at the end?",
    "retrodictive": "Which card started at place {place} of the stack?",
    "historical": "After step {number}, which card was at place {place} of the stack?",
}
CARD_TEMPLATES = (
    "which card lay at place {place} {when}?",
    "what was the card at place {place} of the stack {when}?",
    "counted from the top, which card was number {place} {when}?",
    "cards are drawn and inserted. Which one was at place {place} {when}?",
    "which number was on the card at place {place} {when}?",
    "place {place} of the stack: which card was there {when}?",
    "watch every card that moves. Which one was at place {place} {when}?",
)


class CardStack(OperationsGame):
    task: ClassVar[str] = "card_stack"
    answer_kind: ClassVar[AnswerKind] = "order"
    subject: ClassVar[str] = "cards"
    legend: ClassVar[str] = "Place 1 is the top; a card drawn and inserted is one step."
    num_operations_by_level: ClassVar[tuple[int, int, int, int, int]] = (3, 3, 4, 5, 7)
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the cards are seen, top to bottom: {detail}.",
            "Between {start} s and {end} s the faces show, from the top: {detail}.",
            "The open stack from {start} s to {end} s is, top first, {detail}.",
        ),
        "draw": (
            "From {start} s to {end} s the card at {d1} goes to place {d2}; the stack is {d3} before, {d4} after.",
            "Between {start} s and {end} s a card moves from place {d1} to {d2}, which turns {d3} into {d4}.",
            "The card drawn from {d1} and inserted at {d2} from {start} s to {end} s: {d3} before it, {d4} after it.",
        ),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Cards {detail}.",),
        "draw": ("Place {d1} to {d2}, {d3} before, {d4} after.",),
    }

    def stage(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Stage:
        num_cards = min(NUM_CARDS_BY_LEVEL[level], max(FEW_CARDS, canvas.height // CARD_HEIGHT_PX))
        numbers = [str(1 + int(n)) for n in rng.choice(9, num_cards, replace=False)]
        colors = [list(COLORS)[int(i)] for i in rng.choice(len(COLORS), num_cards, replace=False)]
        asks_order = bool(rng.integers(2))
        place = 1 + int(rng.integers(num_cards))
        num_before = facts["asked_after"] if facts["at_start"] else facts["num_operations"] - facts["asked_after"]
        whole = asks_order and num_cards >= MIN_CARDS_OF_ORDERS and num_before >= 2
        drawn = {
            "ask": "order" if whole else "card",
            "place": place,
            "cards": dict(zip(numbers, colors, strict=True)),
        }
        return Stage(revealed=tuple(numbers), facts=drawn, num_answers=num_cards)

    def propose(self, rng: np.random.Generator, stage: Stage, facts: Facts) -> Course:
        num_cards = len(stage.facts["cards"])
        pairs = [rng.choice(num_cards, 2, replace=False) for _ in range(facts["num_operations"])]
        return tuple(("draw", str(1 + int(a)), str(1 + int(b))) for a, b in pairs)

    def apply(self, state: State, operation: Operation) -> State:
        start, end = (int(word) - 1 for word in operation[1:])
        rest = [*state[:start], *state[start + 1 :]]
        return (*rest[:end], state[start], *rest[end:])

    def undo(self, state: State, operation: Operation) -> State:
        kind, start, end = operation
        return self.apply(state, (kind, end, start))

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return super().values(facts) if facts["ask"] == "order" else ()

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        state = states[facts["asked_after"]]
        return ", ".join(state) if facts["ask"] == "order" else f"card {state[facts['place'] - 1]}"

    def carried(self, facts: Facts, state: State) -> str:
        return "-".join(state)

    def wordings_of(self, facts: Facts) -> Sequence[str]:
        if facts["ask"] == "order":
            return timed_wordings(ORDER_TEMPLATES, facts, ORDER_WORDINGS)
        return timed_wordings(CARD_TEMPLATES, facts, CARD_WORDINGS)

    def tracks(
        self, facts: Facts, canvas: Canvas, timing: Timing, course: Course, states: Sequence[State]
    ) -> tuple[Track, ...]:
        """Backs, which move, and over them the faces, which only show while nothing does."""
        places_xy, radius_px, aside_px = _layout(canvas.width, canvas.height, len(facts["cards"]))
        paths = _paths(places_xy, course, timing, aside_px)
        backs = [_card("back", COVER_COLOR, radius_px, path, np.ones(timing.num_frames, np.bool_)) for path in paths]
        shown = states[0 if timing.at_start else -1]
        faces = [
            _card(name, COLORS[facts["cards"][name]], radius_px, np.tile(xy, (timing.num_frames, 1)), timing.revealed_T)
            for name, xy in zip(shown, places_xy, strict=True)
        ]
        return (*backs, *faces)

    def recover(self, witness: Witness) -> int | None:
        """By the colours of the faces, and by the heights at which a back leaves the stack and enters it."""
        frames_THWC, facts = witness.frames_THWC, witness.facts
        height, width = frames_THWC.shape[1:3]
        names = list(facts["cards"])
        places_xy, radius_px, _ = _layout(width, height, len(names))
        seen_TCN = np.stack(
            [coverage(frames_THWC, COLORS[facts["cards"][name]], places_xy, 0.7 * radius_px) for name in names], axis=1
        )
        revealed_T = seen_TCN.max(axis=1).min(axis=1) > 0.25
        if not revealed_T.any():
            return None
        shown = seen_TCN[revealed_T].mean(axis=0).argmax(axis=0)
        if len(set(shown.tolist())) < len(names):
            return None
        aside = slice(round(places_xy[0, 0] + 1.3 * radius_px), None)
        gray_THW = np.abs(frames_THWC[:, :, aside].astype(np.int16) - np.array(COVER_COLOR)).sum(axis=3) < NEAR_COLOR
        area_T = gray_THW.sum(axis=(1, 2))
        out_T = (area_T > 0.3 * area_T.max()) & ~revealed_T
        steps = split_active(out_T, facts["num_operations"])
        if steps is None:
            return None
        rows_T = np.array([np.nonzero(one)[0].mean() if one.any() else np.nan for one in gray_THW])
        course = []
        for step in steps:
            rows = rows_T[step][out_T[step]]
            if len(rows) < 2:
                return None
            ends = [int(np.argmin(np.abs(places_xy[:, 1] - row))) + 1 for row in (rows[0], rows[-1])]
            course.append(("draw", str(ends[0]), str(ends[1])))
        answer = self.answer(facts, tuple(names[i] for i in shown), tuple(course))
        return witness.options.index(answer) if answer in witness.options else None


def _card(
    name: str,
    color: tuple[int, int, int],
    radius_px: float,
    xy_T2: npt.NDArray[np.float64],
    visible_T: npt.NDArray[np.bool_],
) -> Track:
    label = "" if name == "back" else name
    return Track(
        name=name, shape="square", color=color, radius_px=radius_px, xy_T2=xy_T2, visible_T=visible_T, label=label
    )


def _layout(width: int, height: int, num_cards: int) -> tuple[npt.NDArray[np.float64], float, float]:
    """Places from the top, (N, 2) px, a card's radius, and how far aside it is drawn."""
    pitch_px = height / num_cards
    radius_px = min(0.46 * pitch_px, 0.16 * width)
    xy_N2 = np.stack([np.full(num_cards, 0.3 * width), (np.arange(num_cards) + 0.5) * pitch_px], axis=1)
    return xy_N2, radius_px, 3.0 * radius_px


def _paths(
    places_xy: npt.NDArray[np.float64], course: Course, timing: Timing, aside_px: float
) -> npt.NDArray[np.float64]:
    """(N, T, 2) px of the cards by the place they have first: out, along the stack while others close up, and in."""
    paths = np.repeat(places_xy[:, None], timing.num_frames, axis=1)
    card_at = list(range(len(places_xy)))
    out = np.clip(np.minimum(3 * timing.shares, 3 - 3 * timing.shares), 0, 1)
    along = np.clip(3 * timing.shares - 1, 0, 1)[:, None]
    for operation, start_frame in zip(course, timing.starts, strict=True):
        start, end = (int(word) - 1 for word in operation[1:])
        moving = slice(start_frame, start_frame + timing.per_op)
        before = list(card_at)
        card_at.insert(end, card_at.pop(start))
        for card in card_at:
            here, there = places_xy[before.index(card)], places_xy[card_at.index(card)]
            paths[card, moving] = here + along * (there - here)
            paths[card, moving.stop :] = there
        paths[card_at[end], moving, 0] += out * aside_px
    return paths
