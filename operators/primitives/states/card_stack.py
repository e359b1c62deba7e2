"""Ask which cards lie where in a stack (SynRL, arXiv 2603.17693, long-term: card stack, draw and insert).

The cards lie face up in the reveal alone. A card that is drawn leaves the stack, face down, for the top of a second
one aside; a card that is inserted comes from there. So an operation looks the same whatever cards there are. Whole
stacks are all reached by the same operations, in another order.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.colors_seen import color_masks, coverage
from temporay.operators.primitives._base import Facts, Phrases
from temporay.operators.primitives.states._faces import FaceGame
from temporay.operators.primitives.states._play import EDGE_SHARE, Course, Layout, Operation, Play, Setup, State
from temporay.operators.primitives.states._slots import COVER_COLOR, FULL, alike, choose_colors, in_turn
from temporay.operators.primitives.states._wordings import TimedWordings, told_states
from temporay.operators.records import Frames, Track
from temporay.operators.seeding import choose_one

NUM_CARDS_BY_LEVEL = (3, 4, 5, 6, 7)  # in the stack and aside
MOST_ASIDE = 3
FEWEST_LEFT = 2  # cards in the stack
ASIDE = "(aside:"
ROW_SHARE = 0.85  # share of the frame's height in which all cards could lie in one stack
YIELD_SHARE = 0.1  # share of an operation in which the cards above make room, or close up
WORDINGS = {
    "order": TimedWordings(
        forward=("What are the remaining cards from top to bottom?",),
        retrodictive=("What were the cards from top to bottom before the first one was drawn?",),
        historical=("After step {number}, what were the cards from top to bottom?",),
        templates=(
            "what did the stack hold from top to bottom {when}?",
            "in which order did the cards lie, top to bottom, {when}?",
            "how was the stack ordered {when}, from top to bottom?",
            "read the stack from the top down: what was it {when}?",
            "which of these stacks, top card first, was there {when}?",
            "cards leave the stack and come back. How did those in it lie, top first, {when}?",
            "starting with the top card, what was the order of the stack {when}?",
        ),
    ),
    "card": TimedWordings(
        forward=("Which card is at place {place} of the stack at the end?",),
        retrodictive=("Which card started at place {place} of the stack?",),
        historical=("After step {number}, which card was at place {place} of the stack?",),
        templates=(
            "which card lay at place {place} {when}?",
            "what was the card at place {place} of the stack {when}?",
            "counted from the top, which card was number {place} {when}?",
            "cards leave the stack and come back. Which one was at place {place} {when}?",
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
    face_shape = "card"
    legend = "Place 1 is the top of the stack on the left; each draw and each insertion is a step."
    timed_wordings = WORDINGS
    phrases: ClassVar[Phrases] = {
        "reveal": (
            "From {start} s to {end} s the cards are seen, top to bottom: {detail}.",
            "Between {start} s and {end} s the faces show, from the top: {detail}.",
            "The open stack from {start} s to {end} s is, top first, {detail}.",
        ),
        "draw": (
            "From {start} s to {end} s the card at place {d1} is drawn; {d2} cards stay.",
            "Between {start} s and {end} s a card leaves place {d1} and {d2} others.",
            "Place {d1} loses its card from {start} s to {end} s, which leaves {d2}.",
        ),
        "insert": (
            "From {start} s to {end} s a card is inserted at place {d1}; {d2} cards were there.",
            "Between {start} s and {end} s a card comes to place {d1} and {d2} others.",
            "Place {d1} gets a card from {start} s to {end} s, beside {d2} others.",
        ),
        **told_states("the stack is {detail}"),
    }
    concise_phrases: ClassVar[Phrases] = {
        "reveal": ("Cards: {detail}.",),
        "draw": ("Draw {d1}, {d2} stay.",),
        "insert": ("Insert at {d1}, {d2} were there.",),
        **told_states("the stack is {detail}"),
    }

    def set_up(self, rng: np.random.Generator, canvas: Canvas, level: int, facts: Facts) -> Setup:
        num_cards = NUM_CARDS_BY_LEVEL[level]
        numbers = [str(1 + int(n)) for n in rng.choice(9, num_cards, replace=False)]
        colors = choose_colors(rng, num_cards)
        num_aside = int(rng.integers(1, min(MOST_ASIDE, num_cards - FEWEST_LEFT) + 1))
        asked = {
            "ask": choose_one(rng, ("order", "card")),
            "place": 1 + int(rng.integers(FEWEST_LEFT)),
            "cards": dict(zip(numbers, colors, strict=True)),
        }
        return Setup(revealed=(*numbers[num_aside:], ASIDE, *numbers[:num_aside]), facts=asked, num_answers=num_cards)

    def propose(self, rng: np.random.Generator, setup: Setup, facts: Facts) -> Course:
        """Choose draws and insertions that can be done one after the other from the shown state."""

        def choose_step(state: State) -> Operation:
            kind, cut = choose_one(rng, ("draw", "insert")), state.index(ASIDE)
            return kind, str(1 + int(rng.integers(cut + 1))), str(cut - 1 if kind == "draw" else cut)

        return self.walked(setup.revealed, facts, choose_step)

    def apply(self, state: State, operation: Operation) -> State | None:
        """Draw a card, or insert the top card of those aside, the first of them. The other cards are told by number.

        So the stack is as high in a frame of this operation, whenever it happens.
        """
        cut, place, rest = state.index(ASIDE), int(operation[1]) - 1, int(operation[2])
        stack, aside = list(state[:cut]), list(state[cut + 1 :])
        if operation[0] == "draw":
            if cut != rest + 1 or place > rest or rest < FEWEST_LEFT or len(aside) == MOST_ASIDE:
                return None
            aside.insert(0, stack.pop(place))
        else:
            if cut != rest or place > rest or not aside:
                return None
            stack.insert(place, aside.pop(0))
        return (*stack, ASIDE, *aside)

    def inverse(self, operation: Operation) -> Operation:
        kind, place, rest = operation
        return ("insert" if kind == "draw" else "draw"), place, rest

    def written(self, state: State) -> str:
        return ", ".join(state).replace(f", {ASIDE}, ", f" {ASIDE} ").replace(f", {ASIDE}", "") + ")" * (
            state[-1] != ASIDE
        )

    def parsed(self, written: str) -> State:
        stack, _, aside = written.removesuffix(")").partition(f" {ASIDE} ")
        return (*stack.split(", "), ASIDE, *(aside.split(", ") if aside else ()))

    def read(self, facts: Facts, states: Sequence[State]) -> str:
        state = states[facts["asked_after"]]
        stack = state[: state.index(ASIDE)]
        return ", ".join(stack) if facts["ask"] == "order" else f"card {stack[facts['place'] - 1]}"

    def open_part(self, facts: Facts, answer: str) -> str:
        """Return how many cards lie in the stack."""
        return str(len(answer.split(", ")))

    def layout(self, facts: Facts, width: int, height: int) -> Layout:
        """Return the rows of both stacks from the bottom: first those of the stack, then those of the one aside."""
        num_cards = len(facts["cards"])
        pitch_px = ROW_SHARE * height / num_cards
        rows_y = height - (np.arange(num_cards) + 0.7) * pitch_px
        across = np.repeat([0.27, 0.73], num_cards) * width
        return Layout(np.column_stack([across, np.tile(rows_y, 2)]), min(pitch_px / 0.9, 0.19 * width))

    def places_of(self, state: State, layout: Layout) -> dict[str, npt.NDArray[np.float64]]:
        """Return where each card lies, in px."""
        cut, num_cards = state.index(ASIDE), len(layout.places_xy) // 2
        stack, aside = state[:cut][::-1], state[cut + 1 :][::-1]
        rows = [*enumerate(stack), *enumerate(aside, start=num_cards)]
        return {card: layout.places_xy[row] for row, card in rows}

    def tracks(self, play: Play) -> tuple[Track, ...]:
        """Lay out the backs, which move, and over them the faces, which only show while nothing moves."""
        layout, timing = play.layout, play.timing
        places = [self.places_of(state, layout) for state in play.states]
        paths = {card: np.tile(xy, (timing.num_frames, 1)) for card, xy in places[0].items()}
        for (operation, moving), before, after in zip(play.steps, places, places[1:], strict=False):
            for card, path_T2 in paths.items():
                here, there = before[card], after[card]
                flies = here[0] != there[0]
                gone = timing.shares if flies else _yields(timing.shares, operation[0])
                path_T2[moving] = here + gone[:, None] * (there - here)
                path_T2[moving.stop :] = there
        xy_NT2 = np.stack(list(paths.values()))
        # Backs are painted by where they lie, not by which card they are: with the same places, the same pixels.
        order_NT = np.lexsort((xy_NT2[..., 1], xy_NT2[..., 0].round(3)), axis=0)
        xy_NT2 = np.take_along_axis(xy_NT2, order_NT[..., None], axis=0)
        backs = alike("back", "card", COVER_COLOR, layout.radius_px, xy_NT2)
        return (*backs, *self.face_tracks(play))

    def face_places(self, play: Play) -> dict[str, npt.NDArray[np.float64]]:
        return self.places_of(play.revealed, play.layout)

    def shown_state(self, face_at: Mapping[int, str], num_places: int) -> State:
        rows = num_places // 2
        stack, aside = (
            [face_at[row] for row in reversed(range(first, first + rows)) if row in face_at] for first in (0, rows)
        )
        return (*stack, ASIDE, *aside)

    def moves(self, frames_THWC: Frames, facts: Facts, layout: Layout, revealed: State) -> list[Operation]:
        """Find each flight by the cards that stay: their number, and how many of the stack lie above a hole."""
        places_xy, radius_px = layout
        num_cards = len(places_xy) // 2
        left, right = places_xy[[0, -1], 0]
        outer_px = radius_px - 0.8 * EDGE_SHARE * (right - left)  # a card that flies has passed it soon
        outer_N2 = np.column_stack([np.repeat([-outer_px, outer_px], num_cards), np.zeros(2 * num_cards)])
        lies_TN = coverage(frames_THWC, COVER_COLOR, places_xy + outer_N2, 0.1 * radius_px) > FULL
        inner_px = radius_px + YIELD_SHARE / 2 * (right - left)
        between = frames_THWC[:, :, round(left + inner_px) : round(right - inner_px)]
        flies_T = color_masks(between, COVER_COLOR).sum(axis=(1, 2)) > 0.1 * EDGE_SHARE * (right - left) * radius_px
        seen: list[Operation | None] = []
        for lies_N, flies in zip(lies_TN, flies_T, strict=True):
            stack, sure = lies_N[:num_cards], flies and lies_N.sum() == num_cards - 1
            above = int(stack[int(np.argmin(stack)) :].sum())
            seen.append(("draw", str(above + 1), str(stack.sum())) if sure else None)
        return in_turn(seen)


def _yields(shares: npt.NDArray[np.float64], kind: str) -> npt.NDArray[np.float64]:
    """Return how far the cards above have gone: down at the end of a draw, up at the start of an insertion."""
    return np.clip(1 - (1 - shares) / YIELD_SHARE if kind == "draw" else shares / YIELD_SHARE, 0, 1)
