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
from temporay.operators.primitives.states._course import Course, State
from temporay.operators.primitives.states._game import OperationsGame, Setup, read_log
from temporay.operators.records import ScenePlan
from temporay.operators.seeding import rng_at

NUM_DRAWN = 60  # games that are drawn for each sample and view
NUM_ORDERED = 100  # orders of the same operations that are looked at
# Operations are counted from the revealed state on, and the others are drawn.
NUM_KNOWN = {"reveal": 0, "first_operation": 1, "first_two_operations": 2}
WHOLE_GAME = "whole_game"
GAME_VIEWS = (*NUM_KNOWN, "all_but_one", "operations", "bag_of_frames")


def game_credits(game: OperationsGame, rows: Rows, plans: Sequence[ScenePlan], view: str) -> Credits:
    """Return (N,) what the best guess from one view earns."""
    reveals = [game.parsed(read_log(plan)[0].detail) for plan in plans]
    found = []
    for row, plan, revealed in zip(rows, plans, reveals, strict=True):
        course = course_of(plan)
        rng = rng_at("game_view", view, row["id"])
        if view == WHOLE_GAME:
            answers = Counter([game.answer(plan.facts, revealed, course)])
        elif view == "bag_of_frames":
            answers = Counter(dict.fromkeys(_orders(game, plan, revealed, course, rng), 1))
        elif view == "operations":
            answers = Counter(game.answer(plan.facts, s, course) for s in _reveals(rng, revealed, reveals))
        else:
            answers = Counter(_drawn(game, plan, revealed, course, _hidden(view, len(course), plan, rng), rng))
        found.append(credit(row, [float(answers[option]) for option in row["options"]]))
    return np.array(found)


def course_of(plan: ScenePlan) -> Course:
    """Return the operations of a plan in their order, as its primitive chose them."""
    return tuple((event.kind, *event.detail.split()) for event in read_log(plan)[1])


def _hidden(view: str, length: int, plan: ScenePlan, rng: np.random.Generator) -> list[int]:
    """Return which operations a view does not show."""
    if view == "all_but_one":
        return [int(rng.integers(length))]
    from_reveal = list(range(length)) if plan.facts["at_start"] else list(range(length))[::-1]
    return from_reveal[NUM_KNOWN[view] :]


def _drawn(
    game: OperationsGame,
    plan: ScenePlan,
    revealed: State,
    course: Course,
    hidden: Sequence[int],
    rng: np.random.Generator,
) -> list[str | None]:
    setup = Setup(revealed=revealed, facts=plan.facts, num_answers=len(plan.facts["options"]))
    answers = []
    for _ in range(NUM_DRAWN):
        drawn, proposed = list(course), game.propose(rng, setup, plan.facts)
        for n in hidden:
            drawn[n] = proposed[n]
        answers.append(game.answer(plan.facts, revealed, tuple(drawn)))
    return answers


def _reveals(rng: np.random.Generator, revealed: State, others: Sequence[State]) -> list[State]:
    """Return states that might have been revealed: what is revealed in other places, or the states of other games."""
    if len(revealed) == 1:
        return [others[int(i)] for i in rng.integers(len(others), size=NUM_DRAWN)]
    return [tuple(revealed[i] for i in rng.permutation(len(revealed))) for _ in range(NUM_DRAWN)]


def _orders(
    game: OperationsGame, plan: ScenePlan, revealed: State, course: Course, rng: np.random.Generator
) -> set[str | None]:
    """Return the answers to which orders of the same operations lead; each is made true as often as any other."""
    at_start = bool(plan.facts["at_start"])
    orders = (game.reordered(rng, revealed, course, at_start) for _ in range(NUM_ORDERED))
    return {game.answer(plan.facts, revealed, order) for order in orders if order}
