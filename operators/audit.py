"""What can be guessed from a dataset without watching it, against chance.

    rows of one task -> blind attacks, each fitted on other rows than it is scored on -> accuracy, z -> pass or fail

Attacks that learn are scored out of fold ("train on the test set", arXiv 2511.04655). Where an attack is undecided
between k options it earns 1/k, so chance is exact and no luck of the draw enters. A task passes when no attack is more
than ``GATE`` standard errors above chance and the answer letters are as even as chance makes them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.records import LETTERS
from operators.seeding import rng

GATE = 3.0  # standard errors
FALSE_ALARM = 0.00135  # how often chance alone exceeds the gate: one tail of the normal distribution beyond 3
NUM_FOLDS = 5
NUM_BINS = 8
MIN_SAMPLES = 30  # of one task; with fewer, three standard errors are as wide as the scale
WORD = re.compile(r"\w+")

Row = Mapping[str, Any]
Credits = npt.NDArray[np.float64]  # (N,) what each guess earns, 0 to 1
Attack = Callable[[Sequence[Row]], Credits]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackResult:
    """One attack on one task."""

    attack: str
    accuracy: float
    chance: float
    standard_error: float  # of a guess at chance
    z: float  # standard errors above chance
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAudit:
    """All attacks on one task, and the balance of its answers."""

    task: str
    num_samples: int
    num_options: dict[str, int]  # how many samples have how many options
    letters: dict[str, int]
    letter_chi2: float
    letter_z: float  # of chi2, by the cube-root normal approximation of Wilson and Hilferty (1931)
    attacks: tuple[AttackResult, ...]
    judged: bool  # False: too few samples to tell
    passed: bool


def audit(rows: Sequence[Row]) -> dict[str, Any]:
    """What audit.json holds.

    Args:
        rows: of metadata.parquet.
    """
    by_task: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    tasks = [audit_task(task, by_task[task]) for task in sorted(by_task)]
    num_comparisons = sum(1 + len(task.attacks) for task in tasks if task.judged)
    return {
        "gate": GATE,
        "passed": all(task.passed for task in tasks),
        "num_comparisons": num_comparisons,
        "expected_false_alarms": num_comparisons * FALSE_ALARM,
        "tasks": [{**asdict(task), "attacks": [asdict(attack) for attack in task.attacks]} for task in tasks],
    }


def audit_task(task: str, rows: Sequence[Row]) -> TaskAudit:
    """Every attack on the rows of one task."""
    letters = Counter(row["answer"] for row in rows)
    chi2, z = letter_balance(rows)
    judged = len(rows) >= MIN_SAMPLES
    results = tuple(_score(name, attack(rows), rows) for name, attack in ATTACKS.items()) if judged else ()
    return TaskAudit(
        task=task,
        num_samples=len(rows),
        num_options={str(n): count for n, count in sorted(Counter(len(row["options"]) for row in rows).items())},
        letters=dict(sorted(letters.items())),
        letter_chi2=chi2,
        letter_z=z,
        attacks=results,
        judged=judged,
        passed=not judged or (z <= GATE and all(result.passed for result in results)),
    )


def letter_balance(rows: Sequence[Row]) -> tuple[float, float]:
    """Chi-squared of the answer letters, given how many options each sample has, and its z."""
    expected: Counter[str] = Counter()
    for row in rows:
        for letter in LETTERS[: len(row["options"])]:
            expected[letter] += 1.0 / len(row["options"])  # type: ignore[assignment]
    found = Counter(row["answer"] for row in rows)
    chi2 = sum((found[letter] - n) ** 2 / n for letter, n in expected.items())
    freedom = max(1, len(expected) - 1)
    spread = 2 / (9 * freedom)
    return float(chi2), float(((chi2 / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5)


def majority_letter(rows: Sequence[Row]) -> Credits:
    """The most frequent letter of the other folds."""
    return _lookup(rows, lambda row: len(row["options"]), lambda row, option: row["options"].index(option))


def answer_prior(rows: Sequence[Row]) -> Credits:
    """The option that is most often right when offered, in the other folds."""
    return _lookup(rows, lambda row: "", lambda row, option: option)


def option_set(rows: Sequence[Row]) -> Credits:
    """The option that was right most often among exactly these options."""
    return _lookup(rows, lambda row: tuple(sorted(row["options"])), lambda row, option: option)


def question_words(rows: Sequence[Row]) -> Credits:
    """The option that was right most often for exactly this question."""
    return _lookup(rows, lambda row: row["question"], lambda row, option: option)


def longest_option(rows: Sequence[Row]) -> Credits:
    return np.array([_credit(row, [len(option) for option in row["options"]]) for row in rows])


def shortest_option(rows: Sequence[Row]) -> Credits:
    return np.array([_credit(row, [-len(option) for option in row["options"]]) for row in rows])


def medoid_option(rows: Sequence[Row]) -> Credits:
    """The option most like the others, by the pairs of words that follow each other: finds edited copies."""
    return np.array([_credit(row, _centrality(row["options"])) for row in rows])


def odd_option(rows: Sequence[Row]) -> Credits:
    """The option least like the others."""
    return np.array([_credit(row, [-value for value in _centrality(row["options"])]) for row in rows])


def option_words(rows: Sequence[Row]) -> Credits:
    """Naive Bayes over the words of each option: right options against wrong ones."""
    return _naive_bayes(rows, lambda row, option: WORD.findall(option.lower()))


def option_rank(rows: Sequence[Row]) -> Credits:
    """Place of each option among all by length, by alphabet and by number, looked up in the other folds."""
    return _naive_bayes(rows, _ranks)


def num_frames(rows: Sequence[Row]) -> Credits:
    """The clip's length, against letters and against option texts."""
    return _binned(rows, [float(row["num_frames"]) for row in rows])


def num_bytes(rows: Sequence[Row]) -> Credits:
    """The encoded clip's size; says nothing in virtual storage."""
    return _binned(rows, [float(row["nbytes"]) for row in rows])


ATTACKS: dict[str, Attack] = {
    attack.__name__: attack
    for attack in (
        majority_letter,
        answer_prior,
        option_set,
        question_words,
        option_words,
        option_rank,
        longest_option,
        shortest_option,
        medoid_option,
        odd_option,
        num_frames,
        num_bytes,
    )
}


def _score(name: str, credits: Credits, rows: Sequence[Row]) -> AttackResult:
    chances = np.array([1.0 / len(row["options"]) for row in rows])
    error = float(np.sqrt((chances * (1 - chances)).sum()) / len(rows))
    accuracy, chance = float(credits.mean()), float(chances.mean())
    z = (accuracy - chance) / error if error > 0 else 0.0
    return AttackResult(attack=name, accuracy=accuracy, chance=chance, standard_error=error, z=z, passed=z <= GATE)


def _credit(row: Row, scores: Sequence[float]) -> float:
    """1/k when the right option is among the k that score highest, else 0."""
    best = max(scores)
    winners = [option for option, score in zip(row["options"], scores, strict=True) if score >= best - 1e-12]
    return 1.0 / len(winners) if row["answer_text"] in winners else 0.0


def _folds(num_rows: int) -> npt.NDArray[np.int64]:
    folds_N: npt.NDArray[np.int64] = rng("audit_folds", num_rows).permutation(num_rows) % NUM_FOLDS
    return folds_N


def _lookup(rows: Sequence[Row], key: Callable[[Row], Hashable], value: Callable[[Row, str], Hashable]) -> Credits:
    """Scores each option by how much more often it was right than wrong under the same key, in the other folds."""
    return _naive_bayes(rows, lambda row, option: [(key(row), value(row, option))])


def _naive_bayes(rows: Sequence[Row], features: Callable[[Row, str], Sequence[Hashable]]) -> Credits:
    """Sum of log odds of an option's features, right against wrong, counted out of fold with add-one smoothing."""
    folds_N = _folds(len(rows))
    described = [[list(features(row, option)) for option in row["options"]] for row in rows]
    credits_N = np.zeros(len(rows))
    for fold in range(NUM_FOLDS):
        right: Counter[Hashable] = Counter()
        wrong: Counter[Hashable] = Counter()
        for n in np.flatnonzero(folds_N != fold):
            row = rows[n]
            for option, words in zip(row["options"], described[n], strict=True):
                if option == row["answer_text"]:
                    right.update(words)
                else:  # each wrong option counts as its share of one, so that nothing is learnt from their number
                    for word in words:
                        wrong[word] += 1.0 / (len(row["options"]) - 1)  # type: ignore[assignment]
        for n in np.flatnonzero(folds_N == fold):
            scores = [sum(np.log((right[w] + 1) / (wrong[w] + 1)) for w in words) for words in described[n]]
            credits_N[n] = _credit(rows[n], scores)
    return credits_N


def _binned(rows: Sequence[Row], values: Sequence[float]) -> Credits:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    bin_of = {id(row): int(b) for row, b in zip(rows, np.searchsorted(edges, values, side="right"), strict=True)}

    def describe(row: Row, option: str) -> list[Hashable]:
        place = row["options"].index(option)
        return [
            (bin_of[id(row)], option),
            (bin_of[id(row)], place),
            *((bin_of[id(row)], r) for r in _ranks(row, option)),
        ]

    return _naive_bayes(rows, describe)


def _ranks(row: Row, option: str) -> list[Hashable]:
    options = row["options"]
    orders: dict[str, Callable[[str], Any]] = {"length": len, "alphabet": str}
    if all(text.isdigit() for text in options):
        orders["number"] = int
    return [(name, len(options), sum(key(o) < key(option) for o in options)) for name, key in orders.items()]


def _centrality(options: Sequence[str]) -> list[float]:
    pairs = [set(pairwise(words)) | set(words) for words in (o.split() for o in options)]
    return [
        sum(len(mine & other) / max(1, len(mine | other)) for k, other in enumerate(pairs) if k != j)
        for j, mine in enumerate(pairs)
    ]
