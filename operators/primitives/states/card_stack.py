"""Ask which cards lie where in a stack (SynRL, arXiv 2603.17693, long-term: card stack, draw and insert).

The cards lie face up in the reveal alone. Each operation draws the card at one place, face down, and inserts it at
another, so it looks the same whatever cards there are. Whole stacks are all reached by the same operations, in
another order.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import follow
from temporay.operators.primitives._base import Facts
from temporay.operators.primitives._claims import Phrases
from temporay.operators.primitives.states._course import Course, Operation, State, Timing, choose_pairs
from temporay.operators.primitives.states._faces import FaceGame
from temporay.operators.primitives.states._game import Layout, Play, Setup
from temporay.operators.primitives.states._recovery import nearest, split_active
from temporay.operators.primitives.states._slots import COVER_COLOR, alike, choose_colors
from temporay.operators.primitives.states._wordings import TimedWordings
from temporay.operators.records import AnswerValue, Frames, Track

NUM_CARDS_BY_LEVEL = (3, 4, 4, 5, 5)
CARD_HEIGHT_PX = 16  # the least; a small canvas therefore has fewer cards
FEW_CARDS = 3
MIN_CARDS_OF_ORDERS = 4  # the same operations lead to stacks of one parity only, which are three for three cards
WORDINGS = {
    "order": TimedWordings(
        paper={
            "forward": ("What are the remaining cards from top to bottom?",),
            "retrodictive": ("What were the cards from top to bottom before the first one was drawn?",),
            "historical": ("After step {number}, what were the cards from top to bottom?",),
        },
        templates=(
            "what did the stack hold from top to bottom {when}?",
            "in which order did the cards lie, top to bottom, {when}?",
            "how was the stack ordered {when}, from top to bottom?",
            "read the stack from the top down: what was it {when}?",
            "which of these stacks, top card first, was there {when}?",
            "cards are drawn and inserted. How did they lie, top first, {when}?",
            "starting with the top card, what was the order of the stack {when}?",
        ),
    ),
    "card": TimedWordings(
        paper={
            "forward": ("Which card is at place {place} of the stack at the end?",),
            "retrodictive": ("Which card started at place {place} of the stack?",),
            "historical": ("After step {number}, which card was at place {place} of the stack?",),
        },
        templates=(
            "which card lay at place {place} {when}?",
            "what was the card at place {place} of the stack {when}?",
            "counted from the top, which card was number {place} {when}?",
            "cards are drawn and inserted. Which one was at place {place} {when}?",
            "which number was on the card at place {place} {when}?",
            "place {place} of the stack: which card was there {when}?",
            "watch every card that moves. Which one was at place {place} {when}?",
        ),
    ),
}


class CardStack(FaceGame):
    """A stack of cards that are drawn and inserted face down."""

    task = "card_stack"
    answer_kind = "order"
    subject = "cards"
    faces_fact = "cards"
    legend = "Place 1 is the top; a card drawn and inserted is one step."
    timed_wordings = WORDINGS
    num_operations_by_level = (3, 3, 4, 5, 7)
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

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        num_cards = min(NUM_CARDS_BY_LEVEL[level], max(FEW_CARDS, canvas.height // CARD_HEIGHT_PX))
        numbers = [str(1 + int(n)) for n in rng.choice(9, num_cards, replace=False)]
        colors = choose_colors(rng, num_cards)
        asks_order = bool(rng.integers(2))
        place = 1 + int(rng.integers(num_cards))
        num_before = facts["asked_after"] if facts["at_start"] else facts["num_operations"] - facts["asked_after"]
        whole = asks_order and num_cards >= MIN_CARDS_OF_ORDERS and num_before >= 2
        asked = {
            "ask": "order" if whole else "card",
            "place": place,
            "cards": dict(zip(numbers, colors, strict=True)),
        }
        return Setup(revealed=tuple(numbers), facts=asked, num_answers=num_cards)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        pairs = choose_pairs(rng, len(facts["cards"]), facts["num_operations"])
        return tuple(("draw", str(1 + a), str(1 + b)) for a, b in pairs)

    def apply(self, state: State, operation: Operation) -> State:
        start, end = (int(word) - 1 for word in operation[1:])
        rest = [*state[:start], *state[start + 1 :]]
        return (*rest[:end], state[start], *rest[end:])

    def values(self, facts: Facts) -> tuple[AnswerValue, ...]:
        return super().values(facts) if facts["ask"] == "order" else ()

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        state = states[facts["asked_after"]]
        return ", ".join(state) if facts["ask"] == "order" else f"card {state[facts['place'] - 1]}"

    def carried(self, facts: Facts, state: State) -> str:
        return "-".join(state)

    def cells(self, carried: str) -> tuple[str, ...]:
        return tuple(carried.split("-"))

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        num_cards = len(facts["cards"])
        pitch_px = height / num_cards
        xy_N2 = np.stack([np.full(num_cards, 0.3 * width), (np.arange(num_cards) + 0.5) * pitch_px], axis=1)
        return Layout(xy_N2, min(0.46 * pitch_px, 0.16 * width))

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out the backs, which move, and over them the faces, which only show while nothing moves."""
        paths = _paths(play.layout.places_xy, play.course, play.timing, 3.0 * play.layout.radius_px)
        return (*alike("back", "square", COVER_COLOR, play.layout.radius_px, paths), *self.face_tracks(play))

    def moves(
        self, frames_THWC: Frames, facts: Facts, layout: Layout, hidden_T: npt.NDArray[np.bool_]
    ) -> list[Operation]:
        """Find each move by the heights at which a back leaves the stack and enters it."""
        places_xy, radius_px = layout
        aside = slice(round(places_xy[0, 0] + 1.3 * radius_px), None)
        _, rows_T, area_T = follow(frames_THWC[:, :, aside], COVER_COLOR).T
        out_T = (area_T > 0.3 * area_T.max()) & hidden_T
        course: list[Operation] = []
        for step in split_active(out_T, facts["num_operations"]) or []:
            rows = rows_T[step][out_T[step]]
            if len(rows) < 2:
                return []
            start, end = (1 + nearest(places_xy, (places_xy[0, 0], row)) for row in (rows[0], rows[-1]))
            course.append(("draw", str(start), str(end)))
        return course


def _paths(
    places_xy: npt.NDArray[np.float64], course: Course, timing: Timing, aside_px: float
) -> npt.NDArray[np.float64]:
    """Return the paths of the cards, (N, T, 2) px, in the order of their first places.

    A card goes out, along the stack while the others close up, and in.
    """
    paths = np.repeat(places_xy[:, None], timing.num_frames, axis=1)
    card_at = list(range(len(places_xy)))
    out = np.clip(np.minimum(3 * timing.shares, 3 - 3 * timing.shares), 0, 1)
    along = np.clip(3 * timing.shares - 1, 0, 1)[:, None]
    for operation, moving in timing.steps(course):
        start, end = (int(word) - 1 for word in operation[1:])
        before = list(card_at)
        card_at.insert(end, card_at.pop(start))
        for card in card_at:
            here, there = places_xy[before.index(card)], places_xy[card_at.index(card)]
            paths[card, moving] = here + along * (there - here)
            paths[card, moving.stop :] = there
        paths[card_at[end], moving, 0] += out * aside_px
    return paths
