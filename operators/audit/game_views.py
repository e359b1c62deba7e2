"""Exact attacks on games of hidden states: which answers are left by a part of the game, and how likely each is.

    what is known (the reveal, some operations, or all of them in no order) -> games in which that is so, drawn as the
    primitive draws them -> how often each option is the answer -> a guess

Nothing is learned, so a guess is as good as any that can be made from this part, up to the number of games drawn.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from temporay.operators.audit.gate import Credits, Rows
from temporay.operators.audit.priors import credit
from temporay.operators.primitives.states._game import OperationsGame
from temporay.operators.primitives.states._play import State
from temporay.operators.records import ScenePlan
from temporay.operators.seeding import rng_at

NUM_DRAWN = 60  # games that are drawn for each sample and view
# Whole states are too many to be drawn by chance. Of options that were drawn as often, the best has the usual size.
SIZE = 1e-3
# Operations are counted from the revealed state on, and the others are drawn.
NUM_KNOWN = {"reveal": 0, "first_operation": 1, "first_two_operations": 2}
WHOLE_GAME = "whole_game"
GAME_VIEWS = (*NUM_KNOWN, "all_but_one", "operations", "bag_of_frames")


def game_credits(game: OperationsGame, rows: Rows, plans: Sequence[ScenePlan], view: str) -> Credits:
    """Return (N,) what the best guess from one view earns."""
    played = [game.logged(plan.events, plan.facts) for plan in plans]
    found = []
    for row, plan, (revealed, course) in zip(rows, plans, played, strict=True):
        rng = rng_at("game_view", view, row["id"])
        if view == WHOLE_GAME:
            answers = Counter([game.answer((revealed, course), plan.facts)])
        elif view == "bag_of_frames":
            orders = (game.reordered(rng, revealed, course, plan.facts["at_start"]) for _ in range(NUM_DRAWN))
            reached = {game.answer((revealed, order), plan.facts) for order in orders if order}
            answers = Counter(dict.fromkeys(reached, 1))  # each is made true as often as any other
        elif view == "operations":
            states = _reveals(rng, revealed, [other for other, _ in played])
            answers = Counter(game.answer((state, course), plan.facts) for state in states)
        else:
            hidden = _hidden(view, len(course), plan, rng)
            games = (game.drawn_anew(rng, revealed, plan.facts, course, hidden) for _ in range(NUM_DRAWN))
            answers = Counter(game.answer((revealed, other), plan.facts) for other in games if other)
        sizes = Counter[int]()
        for answer, count in answers.items():
            sizes[_size(answer)] += count
        found.append(credit(row, [answers[option] + SIZE * sizes[_size(option)] for option in row["options"]]))
    return np.array(found)


def _size(answer: str | None) -> int:
    """Return how many words an answer has; 0 for none."""
    return 0 if answer is None else len(answer.split())


def _hidden(view: str, length: int, plan: ScenePlan, rng: np.random.Generator) -> slice:
    """Return which operations a view does not show."""
    if view == "all_but_one":
        one = int(rng.integers(length))
        return slice(one, one + 1)
    return slice(NUM_KNOWN[view], length) if plan.facts["at_start"] else slice(0, length - NUM_KNOWN[view])


def _reveals(rng: np.random.Generator, revealed: State, others: Sequence[State]) -> list[State]:
    """Return states that might have been revealed: what is revealed in other places, or the states of other games."""
    if len(revealed) == 1:
        return [others[int(i)] for i in rng.integers(len(others), size=NUM_DRAWN)]
    return [tuple(revealed[i] for i in rng.permutation(len(revealed))) for _ in range(NUM_DRAWN)]
