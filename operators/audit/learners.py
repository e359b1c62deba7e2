"""What the learning attacks share: forests that score the options of a question, out of fold.

    features of each sample, (N, F) -> answer_forest -> credits: which option text, letter or rank goes with it
    features of each option         -> option_forest -> credits: which looks like the right options of other samples

Both are extremely randomized trees (Geurts et al., 2006). At these sizes they are as good as random forests and ten
times as fast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesRegressor
from temporay.operators.audit.gate import Credits, Rows
from temporay.operators.audit.priors import credit, folds_of, ranks
from temporay.operators.dataset.rows import SampleRow

NUM_TREES = 24
BAG_SHARE = 0.6  # share of the rows, chosen with replacement: no row is in the bags of all trees
MIN_LEAF = 4
MAX_DEPTH = 8
MIN_TIMES_OFFERED = 8  # a rarer option text is known by letter and rank alone
MAX_TEXTS = 24
NUM_TOLD_FEATURES = 3

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Named columns. Columns with the same name count as one feature in the list of what an attack used."""

    names: tuple[str, ...]
    values_NF: Matrix

    def beside(self, other: Features) -> Features:
        return Features(names=self.names + other.names, values_NF=np.hstack([self.values_NF, other.values_NF]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """What an attack earned, and the features that it used most."""

    credits_N: Credits
    features: tuple[str, ...]


def answer_forest(rows: Rows, known: Features, num_folds: int) -> Guesses:
    """Learn which option goes with a sample: by its text if texts recur, by its letter, by its rank.

    The training folds decide which of the three, or their sum, is used. Trees that did not see a row judge it.
    """
    views = _views(rows)
    targets_NC = np.hstack([_targets(rows, view) for view in views])
    splits = np.cumsum([max(map(max, view)) + 1 for view in views])[:-1]
    folds_N = folds_of(rows, num_folds)
    credits_N, importance = np.zeros(len(rows)), np.zeros(len(known.names))
    for fold in range(num_folds):
        train, held = np.flatnonzero(folds_N != fold), np.flatnonzero(folds_N == fold)
        forest = _forest(fold, oob_score=True).fit(known.values_NF[train], targets_NC[train])
        seen = np.nan_to_num(np.reshape(forest.oob_prediction_, (len(train), -1)))
        best = max(
            range(len(views) + 1), key=lambda v: sum(_credits(rows, train, views, np.split(seen, splits, axis=1), v))
        )
        guessed = np.reshape(forest.predict(known.values_NF[held]), (len(held), -1))
        credits_N[held] = _credits(rows, held, views, np.split(guessed, splits, axis=1), best)
        importance += _importance(forest)
    return Guesses(credits_N=credits_N, features=_most_used(known.names, importance))


def option_forest(rows: Rows, described: Features, num_folds: int) -> Guesses:
    """Learn what right options look like.

    Args:
        described: one line per option, in the order of the rows.
    """
    owners = np.repeat(np.arange(len(rows)), [len(row["options"]) for row in rows])
    right = np.array([o == row["answer_text"] for row in rows for o in row["options"]], dtype=np.float32)
    surprise = right - np.array([1.0 / len(rows[n]["options"]) for n in owners], dtype=np.float32)
    fold_of_option = folds_of(rows, num_folds)[owners]
    scores, importance = np.zeros(len(owners)), np.zeros(len(described.names))
    for fold in range(num_folds):
        train, held = fold_of_option != fold, fold_of_option == fold
        forest = _forest(fold).fit(described.values_NF[train], surprise[train])
        scores[held] = forest.predict(described.values_NF[held])
        importance += _importance(forest)
    per_row = np.split(scores, np.cumsum([len(row["options"]) for row in rows])[:-1])
    credits_N = np.array([credit(row, own.tolist()) for row, own in zip(rows, per_row, strict=True)])
    return Guesses(credits_N=credits_N, features=_most_used(described.names, importance))


def frequent_texts(rows: Rows) -> list[str]:
    """Return the option texts that recur, most frequent first."""
    offered = Counter(option for row in rows for option in row["options"])
    ordered = sorted(offered.items(), key=lambda item: (-item[1], item[0]))
    return [text for text, n in ordered if n >= MIN_TIMES_OFFERED][:MAX_TEXTS]


def rank_of(row: SampleRow, option: str) -> int:
    """Rank an option by number if all are numbers, else by alphabet."""
    return ranks(row, option)[-1][-1]


def _forest(seed: int, *, oob_score: bool = False) -> ExtraTreesRegressor:
    return ExtraTreesRegressor(
        n_estimators=NUM_TREES,
        min_samples_leaf=MIN_LEAF,
        max_depth=MAX_DEPTH,
        max_features=1 / 3,
        bootstrap=oob_score,
        max_samples=BAG_SHARE if oob_score else None,
        oob_score=oob_score,
        random_state=seed,
        n_jobs=1,
    )


def _importance(forest: ExtraTreesRegressor) -> npt.NDArray[np.float64]:
    """Add up importances without normalizing: if no split helped, scikit-learn would divide by zero."""
    trees = [tree.tree_.compute_feature_importances(normalize=False) for tree in forest.estimators_]
    total: npt.NDArray[np.float64] = np.sum(trees, axis=0)
    return total


OptionColumns = list[list[int]]  # for every row, the column of each option


def _views(rows: Rows) -> list[OptionColumns]:
    columns = {text: i for i, text in enumerate(frequent_texts(rows), start=1)}  # column 0: all other texts
    by_text = [[columns.get(option, 0) for option in row["options"]] for row in rows]
    by_letter = [list(range(len(row["options"]))) for row in rows]
    by_rank = [[rank_of(row, option) for option in row["options"]] for row in rows]
    return [by_text, by_letter, by_rank] if columns else [by_letter, by_rank]


def _targets(rows: Rows, view: OptionColumns) -> Matrix:
    """Return (N, C): for each column offered, how much more often than by chance it was right."""
    targets_NC = np.zeros((len(rows), max(map(max, view)) + 1), np.float32)
    for n, (row, columns) in enumerate(zip(rows, view, strict=True)):
        for option, column in zip(row["options"], columns, strict=True):
            targets_NC[n, column] += (option == row["answer_text"]) - 1.0 / len(row["options"])
    return targets_NC


def _credits(
    rows: Rows,
    chosen: npt.NDArray[np.intp],
    views: list[OptionColumns],
    guesses: Sequence[Credits],
    which: int,
) -> list[float]:
    """Return what the options would earn that one view, or all views together, score highest."""
    asked = [which] if which < len(views) else range(len(views))
    return [
        credit(rows[n], [sum(guesses[v][i, views[v][n][o]] for v in asked) for o in range(len(rows[n]["options"]))])
        for i, n in enumerate(chosen.tolist())
    ]


def _most_used(names: Sequence[str], importance: npt.NDArray[np.float64]) -> tuple[str, ...]:
    total: Counter[str] = Counter()
    for name, value in zip(names, importance.tolist(), strict=True):
        total[name] += value
    return tuple(name for name, value in total.most_common(NUM_TOLD_FEATURES) if value > 0)
