from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from operators.audit import GATE, audit, audit_task, letter_balance

WORDS = ("left", "right", "up", "down", "still", "around")


def row(options: list[str], answer: int, **changes: Any) -> dict[str, Any]:
    fields = {
        "task": "made_up",
        "question": "Which way?",
        "options": options,
        "answer": "ABCDEF"[answer],
        "answer_text": options[answer],
        "num_frames": 8,
        "nbytes": 1000,
    }
    return {**fields, **changes}


def fair(num_rows: int, seed: int = 0) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    return [
        row(
            [WORDS[i] for i in draw.choice(len(WORDS), 4, replace=False)],
            int(draw.integers(4)),
            num_frames=int(draw.integers(8, 16)),
            nbytes=int(draw.integers(900, 1200)),
        )
        for _ in range(num_rows)
    ]


def swapped_copies(options: list[str], answer: int, draw: np.random.Generator) -> list[str]:
    """Five words in an order, and three copies of it with two words changed for others: the right one is central."""
    copies = [list("abcde") for _ in options]
    for n in set(range(4)) - {answer}:
        copies[n][n], copies[n][4] = "x", "yzw"[n % 3]
    return [" ".join(copy) for copy in copies]


def lengthen(options: list[str], chosen: set[int]) -> list[str]:
    return [f"{text} in the video" if n in chosen else text for n, text in enumerate(options)]


def leak(kind: str, options: list[str], answer: int, draw: np.random.Generator) -> dict[str, Any]:
    """One row that gives its answer away."""
    others = set(range(4)) - {answer}
    by_set = options.index(sorted(options)[sum(map(len, options)) % 4])
    leaks: dict[str, dict[str, Any]] = {
        "majority_letter": row(options, 1),
        "answer_prior": row(options, options.index("up") if "up" in options else answer),
        "option_set": row(options, by_set),
        "question_words": row(options, answer, question=f"Which way? Not {WORDS.index(options[answer])}."),
        "longest_option": row(lengthen(options, {answer}), answer),
        "shortest_option": row(lengthen(options, others), answer),
        "medoid_option": row(swapped_copies(options, answer, draw), answer),
        "num_frames": row(options, answer, num_frames=20 + 5 * WORDS.index(options[answer])),
        "num_bytes": row(options, answer, nbytes=5000 + 1000 * answer),
    }
    return leaks[kind]


def leaking(kind: str, num_rows: int) -> list[dict[str, Any]]:
    """Rows of which half give their answer away in one manner."""
    draw = np.random.default_rng(1)
    return [
        leak(kind, list(fair_row["options"]), "ABCDEF".index(fair_row["answer"]), draw)
        if draw.random() < 0.5
        else row(fair_row["options"], "ABCDEF".index(fair_row["answer"]))
        for fair_row in fair(num_rows)
    ]


def test_fair_rows_pass_with_chance_itself() -> None:
    result = audit(fair(2000))
    assert result["passed"], result
    (task,) = result["tasks"]
    for attack in task["attacks"]:
        assert attack["chance"] == 0.25
        assert attack["accuracy"] == pytest.approx(0.25, abs=4 * attack["standard_error"])
    assert result["num_comparisons"] == 1 + len(task["attacks"])


@pytest.mark.parametrize(
    "kind",
    [
        "majority_letter",
        "answer_prior",
        "option_set",
        "question_words",
        "longest_option",
        "shortest_option",
        "medoid_option",
        "num_frames",
        "num_bytes",
    ],
)
def test_every_shortcut_is_found_by_its_attack(kind: str) -> None:
    result = audit_task("made_up", leaking(kind, 800))
    by_name = {attack.attack: attack for attack in result.attacks}
    assert not result.passed
    assert by_name[kind].z > 2 * GATE and not by_name[kind].passed


def test_uneven_letters_fail() -> None:
    chi2, z = letter_balance(leaking("majority_letter", 400))
    assert z > GATE and chi2 > 20
    assert abs(letter_balance(fair(400))[1]) < GATE


def test_chance_follows_the_number_of_options() -> None:
    draw = np.random.default_rng(0)
    rows = [row(["before", "after"], int(draw.integers(2))) for _ in range(200)]
    rows += [row(list(WORDS[:4]), int(draw.integers(4))) for _ in range(200)]
    result = audit_task("made_up", rows)
    assert result.num_options == {"2": 200, "4": 200}
    assert {attack.chance for attack in result.attacks} == {0.375}
    assert result.passed


def test_undecided_attacks_earn_chance_exactly() -> None:
    rows = [row(["left", "east"], n % 2) for n in range(40)]
    by_name = {attack.attack: attack for attack in audit_task("made_up", rows).attacks}
    assert by_name["longest_option"].accuracy == by_name["shortest_option"].accuracy == 0.5


def test_too_few_rows_are_not_judged() -> None:
    result = audit_task("made_up", leaking("majority_letter", 10))
    assert not result.judged and result.passed and result.attacks == ()
