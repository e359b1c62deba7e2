"""Tier B: forests on everything about a sample but its pixels ("train on the test set", arXiv 2511.04655).

They see the question's words, statistics of the options, the clip's length and bytes, its place in the dataset, and
every single value that the primitive chose and kept as a fact.
"""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from temporay.operators.audit.gate import AttackResult, Rows, measure
from temporay.operators.audit.learners import Features, answer_forest, frequent_texts, option_forest, rank_of
from temporay.operators.audit.priors import WORD, centrality

NUM_FOLDS = 5
MAX_NGRAMS = 40
COMMON = 0.97  # share of questions; a more frequent word tells nothing
NEGATION = {"no", "not", "none", "never", "nothing", "nowhere"}
COLUMNS = ("num_frames", "duration_ms", "fps", "width", "height", "nbytes", "index", "level")
OPTION_COLUMNS = ("letter", "length", "words", "rank", "centrality", "number")
COMPARED_COLUMNS = ("rank by length", "distance from the medoid", "distance from the median", "negation")


def forest_attacks(rows: Rows) -> list[AttackResult]:
    """Run both forests on the rows of one task."""
    about = sample_numbers(rows)
    by_answer = answer_forest(rows, about.beside(question_ngrams(rows)).beside(option_layout(rows)), NUM_FOLDS)
    by_option = option_forest(rows, option_statistics(rows, about), NUM_FOLDS)
    return [
        measure("forest", name, guesses.credits_N, rows, features=guesses.features)
        for name, guesses in (("forest_of_samples", by_answer), ("forest_of_options", by_option))
    ]


def sample_numbers(rows: Rows) -> Features:
    """Collect columns of the index, and the facts that are single values."""
    facts = [_single_values(json.loads(row["facts_json"])) for row in rows]
    kept = sorted({name for fact in facts for name in fact})
    values = [
        [float(row[name]) for name in COLUMNS]
        + [float(row["pair_role"] == "twin"), float(len(row["options"])), float(len(row["question"]))]
        + [fact.get(name, -1.0) for name in kept]
        for row, fact in zip(rows, facts, strict=True)
    ]
    names = (*COLUMNS, "is_twin", "num_options", "question_length", *(f"fact {name}" for name in kept))
    return Features(names=names, values_NF=np.array(values, np.float32))


def question_ngrams(rows: Rows) -> Features:
    """Mark the words and pairs of words of each question, among those that only some questions have."""
    grams = []
    for row in rows:
        asked = WORD.findall(row["question"].lower())
        grams.append({*asked, *(" ".join(pair) for pair in pairwise(asked))})
    found = Counter(gram for words in grams for gram in words)
    kept = sorted((gram for gram, n in found.items() if 1 < n < COMMON * len(rows)), key=lambda g: (-found[g], g))
    kept = kept[:MAX_NGRAMS]
    values = np.array([[gram in words for gram in kept] for words in grams], np.float32).reshape(len(rows), len(kept))
    return Features(names=tuple(f"question has {gram!r}" for gram in kept), values_NF=values)


def option_layout(rows: Rows) -> Features:
    """Mark the texts that are offered; give length, rank and centrality of the option at every letter."""
    most = max(len(row["options"]) for row in rows)
    texts = frequent_texts(rows)
    values = []
    for row in rows:
        options = row["options"]
        missing = [-1.0] * (most - len(options))
        values.append(
            [float(text in options) for text in texts]
            + [float(len(option)) for option in options]
            + missing
            + [float(rank_of(row, option)) for option in options]
            + missing
            + [*centrality(options), *missing]
        )
    named = (("length of option", most), ("rank of option", most), ("centrality of option", most))
    names = [f"offers {text!r}" for text in texts] + [name for name, n in named for _ in range(n)]
    return Features(names=tuple(names), values_NF=np.array(values, np.float32))


def option_statistics(rows: Rows, about: Features) -> Features:
    """Describe each option in one line: the option among the others, and the numbers of its sample."""
    values = []
    for row, numbers in zip(rows, about.values_NF.tolist(), strict=True):
        options = row["options"]
        central = centrality(options)
        middle = _middle(options)
        for letter, option in enumerate(options):
            own = [letter, len(option), len(option.split()), rank_of(row, option), central[letter], number_in(option)]
            among = [sum(len(o) < len(option) for o in options), sum(c > central[letter] for c in central)]
            negated = not NEGATION.isdisjoint(WORD.findall(option.lower()))
            values.append([*own, *among, abs(number_in(option) - middle), negated, *numbers])
    return Features(names=OPTION_COLUMNS + COMPARED_COLUMNS + about.names, values_NF=np.array(values, np.float32))


def number_in(option: str) -> float:
    """Return the first number of a text, or -1."""
    return next((float(word) for word in WORD.findall(option) if word.isdecimal()), -1.0)


def _middle(options: Sequence[str]) -> float:
    return float(np.median([number_in(option) for option in options]))


def _single_values(facts: dict[str, object]) -> dict[str, float]:
    """Keep numbers as they are. A text becomes the sum of its letters' codes, which differs for most texts."""
    numbers = {name: float(v) for name, v in facts.items() if isinstance(v, bool | int | float)}
    texts = {name: float(sum(map(ord, v))) for name, v in facts.items() if isinstance(v, str)}
    return numbers | texts
