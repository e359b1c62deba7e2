"""All attacks on all tasks of a dataset, judged as one family of comparisons: what audit.json holds."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from temporay.operators.audit.forest import forest_attacks
from temporay.operators.audit.gate import FAMILY_FALSE_ALARMS, GATE, AttackResult, Rows, family_z, judge, measure
from temporay.operators.audit.inherent import NO_PROMISE
from temporay.operators.audit.pixels import pixel_attacks
from temporay.operators.audit.priors import ATTACKS, RULES, letter_balance
from temporay.operators.audit.thumbnails import Thumbnails
from temporay.operators.dataset.rows import SampleRow
from temporay.operators.primitives._base import Inherent

MIN_SAMPLES = 30  # per task; with fewer, three standard errors are as wide as the scale
MAX_ROWS_PER_TASK = 1000  # for the forests: more rows only take longer


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAudit:
    """All attacks on one task, and the balance of its answers."""

    task: str
    num_samples: int
    num_stills: int  # samples with thumbnails; the name is a key of audit.json
    num_options: dict[str, int]  # how many samples have how many options
    letters: dict[str, int]
    letter_chi2: float
    letter_z: float  # chi2 as standard errors, by Wilson and Hilferty's cube-root approximation (1931)
    attacks: tuple[AttackResult, ...]
    letters_passed: bool
    judged: bool  # False: too few samples to tell
    passed: bool

    @property
    def num_comparisons(self) -> int:
        """How many comparisons the verdict rests on: accuracies, and the balance of letters."""
        return 1 + sum(attack.gates for attack in self.attacks) if self.judged else 0


def audit(
    rows: Rows,
    thumbnails: Mapping[str, Thumbnails] | None = None,
    inherent: Mapping[str, Inherent] | None = None,
) -> dict[str, Any]:
    """Audit a dataset; return what audit.json holds.

    Args:
        rows: the rows of metadata.parquet.
        thumbnails: by id of the row; tier C covers the rows that have them.
        inherent: what each primitive declares that a part of its clips may tell; a task not named promises nothing.
    """
    by_task: dict[str, list[SampleRow]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    declared = inherent or {}
    attacked = [attack_task(t, by_task[t], thumbnails or {}, declared.get(t, NO_PROMISE)) for t in sorted(by_task)]
    num_comparisons = sum(task.num_comparisons for task in attacked)
    tasks = [judge_task(task, num_comparisons) for task in attacked]
    return {
        "gate": GATE,
        "family_false_alarms": FAMILY_FALSE_ALARMS,
        "passed": all(task.passed for task in tasks),
        "num_comparisons": num_comparisons,
        "z_bound": family_z(num_comparisons),
        "failures": [failure for task in tasks for failure in failures(task)],
        "tasks": [
            {**asdict(t), "attacks": [{**asdict(a), "features": [*a.features]} for a in t.attacks]} for t in tasks
        ],
    }


def attack_task(
    task: str,
    rows: Rows,
    thumbnails: Mapping[str, Thumbnails],
    inherent: Inherent = NO_PROMISE,
    *,
    only_gates: bool = False,
) -> TaskAudit:
    """Make every attack on the rows of one task; nothing is judged yet."""
    chi2, z = letter_balance(rows)
    judged = len(rows) >= MIN_SAMPLES
    seen = [row for row in rows if row["id"] in thumbnails][:MAX_ROWS_PER_TASK]
    results: list[AttackResult] = []
    if judged:
        results += [
            measure("priors", name, attack(rows), rows, learned=attack not in RULES) for name, attack in ATTACKS.items()
        ]
        results += forest_attacks(rows[:MAX_ROWS_PER_TASK])
    if len(seen) >= MIN_SAMPLES:
        results += pixel_attacks(seen, [thumbnails[row["id"]] for row in seen], inherent, only_gates=only_gates)
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
    """Judge one task within a family of ``num_comparisons`` comparisons."""
    attacks = tuple(judge(attack, num_comparisons) for attack in task.attacks)
    even = not task.judged or task.letter_z <= family_z(num_comparisons)
    passed = even and all(attack.passed for attack in attacks)
    return replace(task, attacks=attacks, letters_passed=even, passed=passed)


def failures(task: TaskAudit) -> list[str]:
    """Write one sentence per failed attack, the strongest first: primitive, attack, accuracy, what it used."""
    failed = sorted((attack for attack in task.attacks if not attack.passed), key=lambda attack: -attack.z)
    told = [
        f"{task.task}: {a.attack} is right in {a.accuracy:.1%} (chance {a.chance:.1%}, z {a.z:.1f})"
        + (f", by {', '.join(a.features)}" if a.features else "")
        for a in failed
    ]
    if not task.letters_passed:
        told.append(f"{task.task}: the letters of the right options are uneven (z {task.letter_z:.1f})")
    return told
