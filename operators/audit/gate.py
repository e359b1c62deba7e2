"""When is an attack better than luck? One rule for every comparison of an audit.

    credits of an attack -> accuracy, exact tail probability -> z -> passes unless z is over the bound of the family

An audit makes many comparisons, and three standard errors are exceeded by chance once in 740: thirty primitives with
thirty attacks each would almost always fail. So an attack fails when it is more than ``GATE`` standard errors above
chance *and* so far that of all comparisons together chance reaches it in at most ``FAMILY_FALSE_ALARMS`` of all audits
(Bonferroni's bound, which holds however the attacks depend on each other).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, ndtri

GATE = 3.0  # standard errors
FAMILY_FALSE_ALARMS = 0.01  # the share of audits of fair data in which any comparison fails, at most
SMALLEST_P = 1e-300
# Between two folds each row is guessed from the other, by the same likeness and the same two answers: a lucky pair is
# lucky twice, and the variance of an accuracy out of fold is up to double that of independent guesses.
OUT_OF_FOLD_VARIANCE = 2.0

Row = Mapping[str, Any]  # of metadata.parquet
Credits = npt.NDArray[np.float64]  # (N,) what each guess earns, 0 to 1
Tier = Literal["priors", "forest", "pixels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackResult:
    """One attack on one task."""

    tier: Tier
    attack: str
    accuracy: float
    chance: float  # 1/k, or, where the primitive promises no more, the most that it does promise
    standard_error: float  # of a guess at chance; twins that stand and fall together count once
    z: float  # standard errors above chance: of the normal distribution with the exact tail probability
    bound: float  # the accuracy above which the attack fails; 1 where it is only reported
    gates: bool  # False: the primitive promises nothing of the kind, the accuracy is reported alone
    passed: bool
    features: tuple[str, ...] = ()  # what the attack leant on most


def measure(
    tier: Tier,
    attack: str,
    credits_N: Credits,
    rows: Sequence[Row],
    *,
    gates: bool = True,
    learned: bool = True,
    chance_N: Credits | None = None,
    features: tuple[str, ...] = (),
) -> AttackResult:
    """Accuracy against chance; the verdict comes with ``judge``.

    Args:
        learned: fitted out of fold; False: a rule that needs no fit.
        chance_N: what each guess may earn at most; None: one over the number of options.
    """
    chances = chances_of(rows) if chance_N is None else chance_N
    accuracy, chance = float(credits_N.mean()), float(chances.mean())
    effective = len(rows) / _design_effect(credits_N, rows) / (OUT_OF_FOLD_VARIANCE if learned else 1.0)
    hits = accuracy * effective
    p = float(betainc(hits, effective - hits + 1.0, chance)) if hits > 0 and 0 < chance < 1 else 1.0
    return AttackResult(
        tier=tier,
        attack=attack,
        accuracy=accuracy,
        chance=chance,
        standard_error=float(np.sqrt(chance * (1 - chance) / effective)),
        z=float(-ndtri(min(max(p, SMALLEST_P), 1 - 1e-16))),
        bound=1.0,
        gates=gates,
        passed=True,
        features=features,
    )


def judge(result: AttackResult, num_comparisons: int) -> AttackResult:
    """The verdict on one of so many comparisons."""
    if not result.gates:
        return result
    z_bound = family_z(num_comparisons)
    bound = min(1.0, result.chance + z_bound * result.standard_error)
    return replace(result, bound=bound, passed=result.z <= z_bound)


def family_z(num_comparisons: int) -> float:
    """Standard errors above chance that one of so many comparisons may reach."""
    return max(GATE, float(-ndtri(FAMILY_FALSE_ALARMS / max(1, num_comparisons))))


def chances_of(rows: Sequence[Row]) -> Credits:
    return np.array([1.0 / len(row["options"]) for row in rows])


def groups_of(rows: Sequence[Row]) -> npt.NDArray[np.int64]:
    """(N,) a number per row, the same for a sample and its twin: they are never parted between folds."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(row["pair_id"], len(number)) for row in rows], dtype=np.int64)


def _design_effect(credits_N: Credits, rows: Sequence[Row]) -> float:
    """How many rows count as one: a guess that is right for a sample may then always be right for its twin too."""
    members: dict[int, list[int]] = defaultdict(list)
    for n, group in enumerate(groups_of(rows).tolist()):
        members[group].append(n)
    residuals = credits_N - credits_N.mean()
    variance = float((residuals**2).mean())
    num_pairs = sum(len(m) * (len(m) - 1) for m in members.values())
    if num_pairs == 0 or variance == 0.0:
        return 1.0
    shared = sum(float(residuals[m].sum() ** 2 - (residuals[m] ** 2).sum()) for m in members.values())
    correlation = min(1.0, max(0.0, shared / num_pairs / variance))
    return 1.0 + num_pairs / len(rows) * correlation
