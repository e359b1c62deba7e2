"""The ideal audit: what perfect eyes could guess from a part of the clip, by primitive, question mode and level.

    plans -> cells of one mode and level -> probes: one frame, two, three, a bag, one number, parts of a game
          -> accuracy out of fold -> bound that the primitive declares (``inherent``) -> pass or fail

A probe that finds nothing says something only if it would find the answer where it is. So the same learner is given
every frame too, and must then solve the task. If it cannot, the cell cannot be certified, and the audit fails.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from temporay.operators.audit.game_views import GAME_VIEWS, WHOLE_GAME, game_credits
from temporay.operators.audit.gate import FAMILY_FALSE_ALARMS, AttackResult, Rows, family_z, judge, measure
from temporay.operators.audit.ideal_features import (
    DIRECTION,
    NUMBER,
    Described,
    option_columns,
    sample_columns,
    score_features,
)
from temporay.operators.audit.ideal_states import Watched, watch
from temporay.operators.audit.inherent import GROUPS, limits_of
from temporay.operators.audit.learners import answer_forest, option_forest
from temporay.operators.audit.readings.readers import read
from temporay.operators.audit.readings.reading import Shown
from temporay.operators.audit.reference_solver import pass_rate
from temporay.operators.audit.thing_features import in_a_bag, in_order, in_the_log, one_numbers
from temporay.operators.dataset.rows import SampleRow
from temporay.operators.primitives._base import Inherent, Primitive
from temporay.operators.primitives.states._game import OperationsGame
from temporay.operators.records import ScenePlan
from temporay.operators.seeding import rng_at

NUM_FOLDS = 3
MAX_EVENT_KINDS = 6  # of the log, the most frequent ones
MIN_SAMPLES = 100  # of a cell; with fewer, a learner learns too little to certify anything
SOLVED = 0.9  # accuracy with everything shown from which on a probe certifies, unless less is declared
EVERYTHING = "every_frame"
MEASURABLE = re.compile(f"{DIRECTION.pattern}|{NUMBER.pattern}")  # what an option says can be compared with a clip
# Views whose frames are anywhere in the clip, so that their times are not known to who is shown them.
UNTIMED = ("random_frame", "any_two_frames")
Choose = Callable[[int, np.random.Generator], Sequence[int]]
VIEWS: dict[str, Choose] = {
    "first_frame": lambda length, rng: (0,),
    "last_frame": lambda length, rng: (length - 1,),
    "random_frame": lambda length, rng: (int(rng.integers(length)),),
    "first_two_frames": lambda length, rng: (0, 1),
    "last_two_frames": lambda length, rng: (length - 2, length - 1),
    "first_and_last_frame": lambda length, rng: (0, length - 1),
    "any_two_frames": lambda length, rng: tuple(sorted(rng.choice(length, 2, replace=False).tolist())),
    "middle_three_frames": lambda length, rng: (length // 2 - 1, length // 2, length // 2 + 1),
    EVERYTHING: lambda length, rng: range(length),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSample:
    """A row and the plan that it was made from."""

    row: SampleRow
    plan: ScenePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAudit:
    """All probes on the samples of one primitive, question mode and level."""

    task: str
    mode: str  # "" where a primitive asks one thing
    level: int
    num_samples: int
    chance: float
    reference: float  # how often a reader of known weakness is right
    solved: float  # accuracy with everything shown
    must_solve: float
    attacks: tuple[AttackResult, ...]
    certifies: bool
    judged: bool
    passed: bool

    @property
    def name(self) -> str:
        return f"{self.task}{f' ({self.mode})' if self.mode else ''} at level {self.level}"


def audit_ideal(planned: Sequence[PlannedSample], primitives: Mapping[str, Primitive]) -> dict[str, Any]:
    """Audit plans by primitive, mode and level; return what audit.json holds under ``ideal``."""
    cells: dict[tuple[str, str, int], list[PlannedSample]] = defaultdict(list)
    for one in planned:
        mode = str(one.plan.facts.get("mode", ""))
        cells[one.row["task"], mode, one.row["level"]].append(one)
    attacked = [attack_cell(key, cells[key], primitives[key[0]]) for key in sorted(cells)]
    num_comparisons = sum(attack.gates for cell in attacked for attack in cell.attacks)
    judged = [judge_cell(cell, num_comparisons) for cell in attacked]
    return {
        "passed": all(cell.passed for cell in judged),
        "num_comparisons": num_comparisons,
        "z_bound": family_z(num_comparisons),
        "family_false_alarms": FAMILY_FALSE_ALARMS,
        "failures": [failure for cell in judged for failure in failures(cell)],
        "cells": [
            {**asdict(cell), "attacks": [{**asdict(a), "features": [*a.features]} for a in cell.attacks]}
            for cell in judged
        ],
    }


def attack_cell(key: tuple[str, str, int], planned: Sequence[PlannedSample], primitive: Primitive) -> CellAudit:
    """Make every attack on one cell; nothing is judged yet."""
    task, mode, level = key
    rows = [one.row for one in planned]
    chance = float(np.mean([1.0 / len(row["options"]) for row in rows]))
    attacks: tuple[AttackResult, ...] = ()
    solved, must_solve = 0.0, primitive.inherent.get(EVERYTHING, SOLVED)
    if judged := len(rows) >= MIN_SAMPLES:
        measured = game_attacks if isinstance(primitive, OperationsGame) else motion_attacks
        everything, attacks = measured(planned, primitive)
        solved = everything.accuracy
    return CellAudit(
        task=task,
        mode=mode,
        level=level,
        num_samples=len(rows),
        chance=chance,
        reference=pass_rate(primitive, [one.plan for one in planned], rows),
        solved=solved,
        must_solve=float(must_solve if isinstance(must_solve, float | int) else must_solve[level]),
        attacks=attacks,
        certifies=False,
        judged=judged,
        passed=False,
    )


def motion_attacks(
    planned: Sequence[PlannedSample], primitive: Primitive
) -> tuple[AttackResult, tuple[AttackResult, ...]]:
    """Run the probes that learn; return what the learner makes of every frame, and the attacks."""
    watched = [watch(one.row, one.plan) for one in planned]
    rows = [one.row for one in planned]
    kinds = [k for k, _ in Counter(e.kind for one in watched for e in one.plan.events).most_common(MAX_EVENT_KINDS)]
    views = {name: [_in_view(name, choose, one, kinds, primitive) for one in watched] for name, choose in VIEWS.items()}
    views["bag_of_frames"] = [_in_a_bag(one, primitive) for one in watched]
    numbers = [Described.of(one, _all(one), partial(one_numbers, num_events=_num_events(one))) for one in watched]
    views |= {name: [one.only([name]) for one in numbers] for name in GROUPS["one_number"]}
    found = {name: _strongest(name, described, rows, primitive.inherent) for name, described in views.items()}
    return found[EVERYTHING], tuple(result for name, result in found.items() if name != EVERYTHING)


def game_attacks(
    planned: Sequence[PlannedSample], primitive: Primitive
) -> tuple[AttackResult, tuple[AttackResult, ...]]:
    """Run the exact attacks on games; return what all operations after the revealed state give, and the attacks."""
    assert isinstance(primitive, OperationsGame)
    rows = [one.row for one in planned]
    found = {}
    for view in (*GAME_VIEWS, WHOLE_GAME):
        credits_N = game_credits(primitive, rows, [one.plan for one in planned], view)
        limits_N, gates = limits_of(primitive.inherent, view, rows)
        found[view] = measure("ideal", view, credits_N, rows, learned=False, chance_N=limits_N, gates=gates)
    return found[WHOLE_GAME], tuple(result for view, result in found.items() if view != WHOLE_GAME)


def judge_cell(cell: CellAudit, num_comparisons: int) -> CellAudit:
    """Judge one cell within a family of ``num_comparisons`` comparisons."""
    attacks = tuple(judge(attack, num_comparisons) for attack in cell.attacks)
    certifies = cell.solved >= cell.must_solve
    passed = not cell.judged or (certifies and all(attack.passed for attack in attacks))
    return replace(cell, attacks=attacks, certifies=certifies, passed=passed)


def failures(cell: CellAudit) -> list[str]:
    """Write one sentence for what cannot be certified, and one for each failed attack, the strongest first."""
    if not cell.judged:
        return []
    told = (
        []
        if cell.certifies
        else [
            f"{cell.name}: cannot certify, because the probes solve only {cell.solved:.1%} with everything shown "
            f"(needed {cell.must_solve:.0%}), so what they do not find with less says nothing"
        ]
    )
    failed = sorted((attack for attack in cell.attacks if not attack.passed), key=lambda attack: -attack.z)
    return told + [
        f"{cell.name}: {a.attack} is right in {a.accuracy:.1%} (chance {cell.chance:.1%}, at most {a.bound:.1%})"
        + (f", by {', '.join(a.features)}" if a.features else "")
        for a in failed
    ]


def _in_view(name: str, choose: Choose, one: Watched, kinds: Sequence[str], primitive: Primitive) -> Described:
    frames = choose(one.plan.num_frames, rng_at("ideal_view", name, one.row["id"]))
    shown = Shown(frames=tuple(frames), num_frames=one.plan.num_frames, timed=name not in UNTIMED)
    return Described.of(
        one,
        frames,
        lambda thing: in_order(thing, frames, one.plan.fps) | in_the_log(thing, one, frames, kinds),
        read(primitive, one, shown),
    )


def _in_a_bag(one: Watched, primitive: Primitive) -> Described:
    frames = rng_at("ideal_view", "bag_of_frames", one.row["id"]).permutation(one.plan.num_frames).tolist()
    shown = Shown(frames=tuple(frames), num_frames=one.plan.num_frames, ordered=False, timed=False)
    return Described.of(one, _all(one), partial(in_a_bag, frames=_all(one)), read(primitive, one, shown))


def _all(one: Watched) -> range:
    return range(one.plan.num_frames)


def _num_events(one: Watched) -> int:
    return sum(event.kind != "at" for event in one.plan.events)


def _strongest(name: str, described: Sequence[Described], rows: Rows, inherent: Inherent) -> AttackResult:
    """Learn from the features of samples, from those of options, or both; keep the attack that is right more often."""
    limits_N, gates = limits_of(inherent, name, rows)
    name_things = any(named for one in described for named in one.watched.named)
    measurable = any(MEASURABLE.search(option) for row in rows for option in row["options"])
    guesses = []
    if described[0].scores:
        scored = score_features(described)
        guesses += [option_forest(rows, one, NUM_FOLDS) for one in (scored, scored.beside(option_columns(described)))]
    elif name_things or measurable:
        guesses.append(option_forest(rows, option_columns(described), NUM_FOLDS))
    if not name_things:
        guesses.append(answer_forest(rows, sample_columns(described), NUM_FOLDS))
    results = [
        measure("ideal", name, g.credits_N, rows, chance_N=limits_N, gates=gates, features=g.features) for g in guesses
    ]
    return max(results, key=lambda result: result.accuracy)
