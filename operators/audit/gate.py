"""When an attack is better than luck: one rule for every comparison of an audit.

    credits of an attack -> accuracy, exact tail probability -> z -> passes unless z is over the bound of the family

An audit makes many comparisons. By chance alone, one in 740 exceeds three standard errors, so thirty primitives with
thirty attacks each would almost always fail. An attack therefore fails only beyond two bounds: ``GATE`` standard errors
above chance, and a z that the comparisons of a fair dataset together reach in at most ``FAMILY_FALSE_ALARMS`` of audits
(Bonferroni's bound, which holds however the attacks depend on each other).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betainc, ndtr, ndtri
from temporay.operators.dataset.rows import SampleRow

GATE = 3.0  # standard errors
FAMILY_FALSE_ALARMS = 0.01  # largest share of audits of fair data in which any comparison fails
SMALLEST_P = 1e-300
# Two rows in different folds are guessed from each other by the same similarity and the same two answers. A lucky pair
# is lucky twice, so an accuracy out of fold varies up to twice as much as that of independent guesses.
OUT_OF_FOLD_VARIANCE = 2.0

Rows = Sequence[SampleRow]  # rows of metadata.parquet
Credits = npt.NDArray[np.float64]  # (N,) what each guess earns, from 0 to 1
Tier = Literal["priors", "forest", "pixels", "ideal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackResult:
    """One attack on one task."""

    tier: Tier
    attack: str
    accuracy: float
    chance: float  # 1/k, or the accuracy that the primitive allows if that is more
    standard_error: float  # for guesses at chance; twins with one fate count once
    z: float  # standard errors above chance, from the exact tail probability
    bound: float  # the accuracy above which the attack fails; 1 when it is only reported
    gates: bool  # False: the primitive promises nothing about it; the accuracy is only reported
    passed: bool
    features: tuple[str, ...] = ()  # what the attack used most


def measure(
    tier: Tier,
    attack: str,
    credits_N: Credits,
    rows: Rows,
    *,
    gates: bool = True,
    learned: bool = True,
    chance_N: Credits | None = None,
    features: tuple[str, ...] = (),
) -> AttackResult:
    """Compare an accuracy with chance; ``judge`` gives the verdict.

    Args:
        learned: whether the attack was fitted out of fold; a rule needs no fit.
        chance_N: what each guess may earn; None: one over the number of options.
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
    """Judge one of ``num_comparisons`` comparisons."""
    if not result.gates:
        return result
    z_bound = family_z(num_comparisons)
    bound = _highest_accuracy(result.chance, result.standard_error, z_bound)
    return replace(result, bound=bound, passed=result.z <= z_bound)


def _highest_accuracy(chance: float, standard_error: float, z_bound: float) -> float:
    """Return the accuracy whose tail probability is that of ``z_bound``: what is higher does not pass."""
    if not 0 < chance < 1:
        return 1.0
    effective, tail = chance * (1 - chance) / standard_error**2, float(ndtr(-z_bound))
    if betainc(effective, 1.0, chance) >= tail:  # so few samples that all of them may be right
        return 1.0
    hits = brentq(lambda h: betainc(h, effective - h + 1.0, chance) - tail, 1e-9, effective)
    return float(hits) / effective


def family_z(num_comparisons: int) -> float:
    """Return how many standard errors above chance one of ``num_comparisons`` comparisons may be."""
    return max(GATE, float(-ndtri(FAMILY_FALSE_ALARMS / max(1, num_comparisons))))


def chances_of(rows: Rows) -> Credits:
    """Return (N,) one over the number of options of each row."""
    return np.array([1.0 / len(row["options"]) for row in rows])


def groups_of(rows: Rows) -> npt.NDArray[np.int64]:
    """Return (N,) a number per row, the same for a sample and its twin, which stay in one fold."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(row["pair_id"], len(number)) for row in rows], dtype=np.int64)


def _design_effect(credits_N: Credits, rows: Rows) -> float:
    """Estimate how many rows count as one, because a guess is often right for both samples of a pair."""
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
