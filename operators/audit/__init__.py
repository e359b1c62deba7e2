"""What can be guessed from a dataset without watching it, against chance.

    rows of one task, stills of their clips -> attacks, each fitted on other rows than it is scored on
        -> accuracy, z -> bound for so many comparisons -> pass or fail

gate        when an attack is better than luck
priors      tier A: answer letters, option texts, lengths; lookups and naive Bayes
forest      tier B: forests on everything but pixels
pixels      tier C: forests on one frame, the first or last two, the bag of frames, the ordered frames
stills      the few small frames of a clip that tier C sees
learners    forests that score the options of a question, out of fold
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from temporay.operators.audit.forest import forest_attacks
from temporay.operators.audit.gate import FAMILY_FALSE_ALARMS, GATE, AttackResult, Row, family_z, judge, measure
from temporay.operators.audit.pixels import pixel_attacks
from temporay.operators.audit.priors import ATTACKS, RULES, letter_balance
from temporay.operators.audit.stills import Thumbnails, stills_of

__all__ = [
    "ATTACKS",
    "GATE",
    "TaskAudit",
    "Thumbnails",
    "attack_task",
    "audit",
    "audit_task",
    "failures",
    "judge_task",
    "stills_of",
]

MIN_SAMPLES = 30  # of one task; with fewer, three standard errors are as wide as the scale
NO_PROMISE = (1.0, 1.0)
MAX_ROWS_PER_TASK = 1000  # that the forests learn from and are scored on: beyond, they only take longer


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAudit:
    """All attacks on one task, and the balance of its answers."""

    task: str
    num_samples: int
    num_stills: int  # samples whose frames were looked at
    num_options: dict[str, int]  # how many samples have how many options
    letters: dict[str, int]
    letter_chi2: float
    letter_z: float  # of chi2, by the cube-root normal approximation of Wilson and Hilferty (1931)
    attacks: tuple[AttackResult, ...]
    letters_passed: bool
    judged: bool  # False: too few samples to tell
    passed: bool

    @property
    def num_comparisons(self) -> int:
        """How many accuracies, and the balance of letters, the verdict rests on."""
        return 1 + sum(attack.gates for attack in self.attacks) if self.judged else 0


def audit(
    rows: Sequence[Row],
    stills: Mapping[str, Thumbnails] | None = None,
    edge_limits: Mapping[str, tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """What audit.json holds.

    Args:
        rows: of metadata.parquet.
        stills: by id of the row; tier C is of the rows that have one.
        edge_limits: of each primitive, as it promises; a task not named promises nothing of its first and last frames.
    """
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    limits = edge_limits or {}
    attacked = [attack_task(t, by_task[t], stills or {}, limits.get(t, NO_PROMISE)) for t in sorted(by_task)]
    num_comparisons = sum(task.num_comparisons for task in attacked)
    tasks = [judge_task(task, num_comparisons) for task in attacked]
    return {
        "gate": GATE,
        "family_false_alarms": FAMILY_FALSE_ALARMS,
        "passed": all(task.passed for task in tasks),
        "num_comparisons": num_comparisons,
        "z_bound": family_z(num_comparisons),
        "failures": [failure for task in tasks for failure in failures(task)],
        "tasks": [{**asdict(task), "attacks": [_plain(attack) for attack in task.attacks]} for task in tasks],
    }


def audit_task(task: str, rows: Sequence[Row]) -> TaskAudit:
    """Every attack on the rows of one task that needs no frames, judged as a family of its own."""
    attacked = attack_task(task, rows, {})
    return judge_task(attacked, attacked.num_comparisons)


def attack_task(
    task: str,
    rows: Sequence[Row],
    stills: Mapping[str, Thumbnails],
    edge_limits: tuple[float, float] = NO_PROMISE,
    *,
    only_gates: bool = False,
) -> TaskAudit:
    """Every attack on the rows of one task, none judged yet."""
    chi2, z = letter_balance(rows)
    judged = len(rows) >= MIN_SAMPLES
    seen = [row for row in rows if row["id"] in stills][:MAX_ROWS_PER_TASK]
    results: list[AttackResult] = []
    if judged:
        results += [
            measure("priors", name, attack(rows), rows, learned=attack not in RULES) for name, attack in ATTACKS.items()
        ]
        results += forest_attacks(rows[:MAX_ROWS_PER_TASK])
    if len(seen) >= MIN_SAMPLES:
        results += pixel_attacks(seen, [stills[row["id"]] for row in seen], edge_limits, only_gates=only_gates)
    return TaskAudit(
        task=task,
        num_samples=len(rows),
        num_stills=len(seen),
        num_options={str(n): count for n, count in sorted(Counter(len(row["options"]) for row in rows).items())},
        letters=dict(sorted(Counter(row["answer"] for row in rows).items())),
        letter_chi2=chi2,
        letter_z=z,
        attacks=tuple(results),
        letters_passed=True,
        judged=judged,
        passed=True,
    )


def judge_task(task: TaskAudit, num_comparisons: int) -> TaskAudit:
    """The verdict on one task, which is one of a family of so many comparisons."""
    attacks = tuple(judge(attack, num_comparisons) for attack in task.attacks)
    even = not task.judged or task.letter_z <= family_z(num_comparisons)
    passed = even and all(attack.passed for attack in attacks)
    return replace(task, attacks=attacks, letters_passed=even, passed=passed)


def failures(task: TaskAudit) -> list[str]:
    """One sentence per attack that failed, the strongest first: primitive, attack, accuracy, what it leant on."""
    failed = sorted((attack for attack in task.attacks if not attack.passed), key=lambda attack: -attack.z)
    told = [
        f"{task.task}: {a.attack} is right in {a.accuracy:.1%} (chance {a.chance:.1%}, z {a.z:.1f})"
        + (f", by {', '.join(a.features)}" if a.features else "")
        for a in failed
    ]
    if not task.letters_passed:
        told.append(f"{task.task}: the letters of the right options are uneven (z {task.letter_z:.1f})")
    return told


def _plain(attack: AttackResult) -> dict[str, Any]:
    return {**asdict(attack), "features": list(attack.features)}
