"""Tier A: what priors and options alone give away. It takes seconds for any dataset.

Attacks that learn are scored out of fold ("train on the test set", arXiv 2511.04655), a sample and its twin always in
the same fold. An attack that is undecided between k options earns 1/k, so chance is exact.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from temporay.operators.audit.gate import Credits, Rows, groups_of
from temporay.operators.dataset.rows import SampleRow
from temporay.operators.records import LETTERS
from temporay.operators.seeding import rng_at

NUM_FOLDS = 5
NUM_BINS = 8
WORD = re.compile(r"\w+")

Attack = Callable[[Rows], Credits]


def letter_balance(rows: Rows) -> tuple[float, float]:
    """Return chi-squared of the answer letters, given the numbers of options, and its z."""
    expected: Counter[str] = Counter()
    for row in rows:
        for letter in LETTERS[: len(row["options"])]:
            expected[letter] += 1.0 / len(row["options"])  # type: ignore[assignment]
    found = Counter(row["answer"] for row in rows)
    chi2 = sum((found[letter] - n) ** 2 / n for letter, n in expected.items())
    freedom = max(1, len(expected) - 1)
    spread = 2 / (9 * freedom)
    return float(chi2), float(((chi2 / freedom) ** (1 / 3) - (1 - spread)) / spread**0.5)


def majority_letter(rows: Rows) -> Credits:
    """Guess the most frequent letter of the other folds."""
    return lookup(rows, lambda row: len(row["options"]), lambda row, option: row["options"].index(option))


def answer_prior(rows: Rows) -> Credits:
    """Guess the option that is most often right when offered, in the other folds."""
    return lookup(rows, lambda row: "", lambda row, option: option)


def option_set(rows: Rows) -> Credits:
    """Guess the option that was right most often among exactly these options."""
    return lookup(rows, lambda row: tuple(sorted(row["options"])), lambda row, option: option)


def question_words(rows: Rows) -> Credits:
    """Guess the option that was right most often for exactly this question."""
    return lookup(rows, lambda row: row["question"], lambda row, option: option)


def longest_option(rows: Rows) -> Credits:
    """Guess the longest option."""
    return np.array([credit(row, [len(option) for option in row["options"]]) for row in rows])


def shortest_option(rows: Rows) -> Credits:
    """Guess the shortest option."""
    return np.array([credit(row, [-len(option) for option in row["options"]]) for row in rows])


def medoid_option(rows: Rows) -> Credits:
    """Guess the option most like the others, by words and pairs of words: finds edited copies."""
    return np.array([credit(row, centrality(row["options"])) for row in rows])


def odd_option(rows: Rows) -> Credits:
    """Guess the option least like the others."""
    return np.array([credit(row, [-value for value in centrality(row["options"])]) for row in rows])


def option_words(rows: Rows) -> Credits:
    """Guess by naive Bayes over the words of each option: right options against wrong ones."""
    return _naive_bayes(rows, lambda row, option: WORD.findall(option.lower()))


def option_rank(rows: Rows) -> Credits:
    """Guess by an option's place by length, alphabet and number, looked up in the other folds."""
    return _naive_bayes(rows, ranks)


def option_pairs(rows: Rows) -> Credits:
    """Guess by the other options: finds an opposite that is offered for the right option alone."""
    return _naive_bayes(rows, lambda row, option: [(option, other) for other in row["options"] if other != option])


def num_frames(rows: Rows) -> Credits:
    """Guess by the clip's length, against letters and against option texts."""
    return _binned(rows, [float(row["num_frames"]) for row in rows])


def num_bytes(rows: Rows) -> Credits:
    """Guess by the encoded clip's size, which is 0 in virtual storage."""
    return _binned(rows, [float(row["nbytes"]) for row in rows])


LEARNED = (majority_letter, answer_prior, option_set, question_words, option_words, option_rank, option_pairs)
RULES = (longest_option, shortest_option, medoid_option, odd_option)  # attacks that learn nothing
ATTACKS: dict[str, Attack] = {attack.__name__: attack for attack in (*LEARNED, *RULES, num_frames, num_bytes)}


def credit(row: SampleRow, scores: Sequence[float]) -> float:
    """Return 1/k when the right option is among the k that score highest, else 0."""
    best = max(scores)
    winners = [option for option, score in zip(row["options"], scores, strict=True) if score >= best - 1e-12]
    return 1.0 / len(winners) if row["answer_text"] in winners else 0.0


def folds_of(rows: Rows, num_folds: int) -> npt.NDArray[np.int64]:
    """Return (N,) the fold of every row, the same for a sample and its twin."""
    groups_N = groups_of(rows)
    num_groups = int(groups_N.max()) + 1
    fold_of_group = rng_at("audit_folds", num_groups).permutation(num_groups) % num_folds
    folds_N: npt.NDArray[np.int64] = fold_of_group[groups_N]
    return folds_N


def lookup(rows: Rows, key: Callable[[SampleRow], Hashable], value: Callable[[SampleRow, str], Hashable]) -> Credits:
    """Score each option by how much more often it was right than wrong under one key, in the other folds."""
    return _naive_bayes(rows, lambda row, option: [(key(row), value(row, option))])


def _naive_bayes(rows: Rows, features: Callable[[SampleRow, str], Sequence[Hashable]]) -> Credits:
    """Add up the log odds of an option's features, right against wrong, out of fold with add-one smoothing."""
    folds_N = folds_of(rows, NUM_FOLDS)
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
                else:  # wrong options share one count, so that their number teaches nothing
                    for word in words:
                        wrong[word] += 1.0 / (len(row["options"]) - 1)  # type: ignore[assignment]
        for n in np.flatnonzero(folds_N == fold):
            scores = [sum(np.log((right[w] + 1) / (wrong[w] + 1)) for w in words) for words in described[n]]
            credits_N[n] = credit(rows[n], scores)
    return credits_N


def _binned(rows: Rows, values: Sequence[float]) -> Credits:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    bin_of = {id(row): int(b) for row, b in zip(rows, np.searchsorted(edges, values, side="right"), strict=True)}

    def describe(row: SampleRow, option: str) -> list[Hashable]:
        place = row["options"].index(option)
        return [
            (bin_of[id(row)], option),
            (bin_of[id(row)], place),
            *((bin_of[id(row)], r) for r in ranks(row, option)),
        ]

    return _naive_bayes(rows, describe)


def ranks(row: SampleRow, option: str) -> list[tuple[str, int, int]]:
    """Place an option by length, by alphabet and, if all are numbers, by number: (order, of how many, place)."""
    options = row["options"]
    orders: dict[str, Callable[[str], Any]] = {"length": len, "alphabet": str}
    if all(text.isdigit() for text in options):
        orders["number"] = int
    return [(name, len(options), sum(key(o) < key(option) for o in options)) for name, key in orders.items()]


def centrality(options: Sequence[str]) -> list[float]:
    """Measure how much each option shares with the others; the most central one is the medoid."""
    pairs = [set(pairwise(words)) | set(words) for words in (o.split() for o in options)]
    return [
        sum(len(mine & other) / max(1, len(mine | other)) for k, other in enumerate(pairs) if k != j)
        for j, mine in enumerate(pairs)
    ]
