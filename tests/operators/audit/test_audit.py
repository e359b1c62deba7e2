from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
from temporay.operators.audit.certificate import TaskAudit, attack_task, audit, judge_task
from temporay.operators.audit.forest import forest_attacks
from temporay.operators.audit.gate import FAMILY_FALSE_ALARMS, GATE, family_z, judge, measure
from temporay.operators.audit.priors import ATTACKS, RULES, letter_balance

INDICES = count()
WORDS = ("left", "right", "up", "down", "still", "around")


OPPOSITE = {"left": "right", "up": "down", "still": "around"}
OPPOSITE |= {there: here for here, there in OPPOSITE.items()}
NO_SCENE = "There is no such scene"


def row(options: list[str], answer: int, **changes: Any) -> dict[str, Any]:
    index = next(INDICES)
    fields = {
        "id": f"made_up-{index}",
        "pair_id": f"made_up-{index}",
        "pair_role": "main",
        "index": index,
        "level": 1,
        "facts_json": "{}",
        "duration_ms": 1000.0,
        "fps": 8.0,
        "width": 48,
        "height": 48,
        "task": "made_up",
        "question": "Which way?",
        "options": options,
        "answer": "ABCDEF"[answer],
        "answer_text": options[answer],
        "num_frames": 8,
        "nbytes": 1000,
    }
    return {**fields, **changes}


def audit_task(rows: list[dict[str, Any]]) -> TaskAudit:
    """Judge the attacks that need no frames as a family of their own."""
    attacked = attack_task("made_up", rows, {})
    return judge_task(attacked, attacked.num_comparisons)


def fair(num_rows: int, seed: int = 0, num_options: int = 4, *, twins: bool = False) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    while len(rows) < num_rows:
        options = [WORDS[i] for i in rng.choice(len(WORDS), num_options, replace=False)]
        answers = [int(i) for i in rng.choice(num_options, 2 if twins else 1, replace=False)]
        num_frames = int(rng.integers(8, 16))
        pair_id = f"pair {len(rows)}"
        for answer in answers:
            nbytes = int(rng.integers(900, 1200))
            rows.append(row(options, answer, num_frames=num_frames, nbytes=nbytes, pair_id=pair_id))
    return rows


def swapped_copies(options: list[str], answer: int, rng: np.random.Generator) -> list[str]:
    """Five words in an order, and three copies of it with two words changed for others: the right one is central."""
    copies = [list("abcde") for _ in options]
    for n in set(range(4)) - {answer}:
        copies[n][n], copies[n][4] = "x", "yzw"[n % 3]
    return [" ".join(copy) for copy in copies]


def lengthen(options: list[str], chosen: set[int]) -> list[str]:
    return [f"{text} in the video" if n in chosen else text for n, text in enumerate(options)]


def clipped_counts(rng: np.random.Generator) -> dict[str, Any]:
    """Offer the right number, and others at most two away from it that are not under 1."""
    right = int(rng.integers(1, 7))
    near = [n for n in range(max(1, right - 2), right + 3) if n != right]
    numbers = [right, *(int(n) for n in rng.choice(near, 3 if len(near) > 3 else 2, replace=False))]
    numbers = [numbers[i] for i in rng.permutation(len(numbers))]
    return row([str(n) for n in numbers], numbers.index(right))


def present_when_right(options: list[str], answer: int) -> dict[str, Any]:
    """R4 of arXiv 2506.06928 with "no scene" among the options only where there is none."""
    return row([NO_SCENE if n == answer else text for n, text in enumerate(options)], answer)


def opposite_when_right(options: list[str], answer: int, rng: np.random.Generator) -> dict[str, Any]:
    """Offer the right direction, its opposite, and two others that are not opposite to each other."""
    right = options[answer]
    others = [text for text in WORDS if text not in (right, OPPOSITE[right])]
    first = others[int(rng.integers(len(others)))]
    second = next(text for text in others if text not in (first, OPPOSITE[first]))
    offered = [right, OPPOSITE[right], first, second]
    offered = [offered[i] for i in rng.permutation(4)]
    return row(offered, offered.index(right))


def leak(kind: str, options: list[str], answer: int, rng: np.random.Generator) -> dict[str, Any]:
    """One row that gives its answer away."""
    others = set(range(4)) - {answer}
    by_set = options.index(sorted(options)[sum(map(len, options)) % 4])
    leaks: dict[str, Callable[[], dict[str, Any]]] = {
        "majority_letter": lambda: row(options, 1),
        "answer_prior": lambda: present_when_right(options, answer),
        "option_set": lambda: row(options, by_set),
        "option_rank": lambda: clipped_counts(rng),
        "option_pairs": lambda: opposite_when_right(options, answer, rng),
        "question_words": lambda: row(options, answer, question=f"Which? Not {WORDS.index(options[answer])}."),
        "longest_option": lambda: row(lengthen(options, {answer}), answer),
        "shortest_option": lambda: row(lengthen(options, others), answer),
        "medoid_option": lambda: row(swapped_copies(options, answer, rng), answer),
        "num_frames": lambda: row(options, answer, num_frames=20 + 5 * WORDS.index(options[answer])),
        "num_bytes": lambda: row(options, answer, nbytes=5000 + 1000 * answer),
    }
    return leaks[kind]()


def leaking(kind: str, num_rows: int) -> list[dict[str, Any]]:
    """Rows of which half give their answer away in one manner."""
    rng = np.random.default_rng(1)
    return [
        leak(kind, list(fair_row["options"]), "ABCDEF".index(fair_row["answer"]), rng)
        if rng.random() < 0.5
        else row(fair_row["options"], "ABCDEF".index(fair_row["answer"]))
        for fair_row in fair(num_rows)
    ]


def test_fair_rows_pass_with_chance_itself() -> None:
    result = audit(fair(1000))
    assert result["passed"], result
    (task,) = result["tasks"]
    for attack in task["attacks"]:
        assert attack["chance"] == 0.25
        assert attack["accuracy"] == pytest.approx(0.25, abs=4 * attack["standard_error"])
    assert result["num_comparisons"] == 1 + len(task["attacks"])


SHORTCUTS = (
    "majority_letter",
    "answer_prior",
    "option_set",
    "option_rank",
    "option_pairs",
    "question_words",
    "longest_option",
    "shortest_option",
    "medoid_option",
    "num_frames",
    "num_bytes",
)


@pytest.mark.parametrize("kind", SHORTCUTS)
def test_every_shortcut_is_found_and_named(kind: str) -> None:
    result = audit(leaking(kind, 500))
    by_name = {attack["attack"]: attack for attack in result["tasks"][0]["attacks"]}
    assert not result["passed"]
    assert by_name[kind]["z"] > result["z_bound"] and not by_name[kind]["passed"]
    named = [failure for failure in result["failures"] if failure.startswith(f"made_up: {kind} is right in ")]
    assert named and f"{by_name[kind]['accuracy']:.1%}" in named[0]


def test_a_forest_names_a_fact_that_gives_the_answer_away() -> None:
    """A number that the primitive drew and kept goes with the right letter."""
    rng = np.random.default_rng(2)
    rows = []
    for fair_row in fair(600):
        answer = "ABCDEF".index(fair_row["answer"])
        fact = float(answer + rng.uniform(0.0, 0.5))
        rows.append(
            row(fair_row["options"], answer, facts_json=json.dumps({"start_speed": fact, "name": "red circle"}))
        )
    result = audit_task(rows)
    failed = {attack.attack: attack for attack in result.attacks if not attack.passed}
    assert set(failed) == {"forest_of_samples", "forest_of_options"}
    assert failed["forest_of_samples"].accuracy > 0.9
    assert failed["forest_of_samples"].features[0] == "fact start_speed"


def test_a_forest_finds_options_that_look_right() -> None:
    """The right number stands one from the median of its options, whichever they are."""
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(300):
        low = int(rng.integers(100, 100_000))
        numbers = [low, low + 7 * int(rng.integers(1, 9)), low + 200, low + 300 + int(rng.integers(90))]
        order = rng.permutation(4)
        rows.append(row([f"{numbers[i]} times" for i in order], int(np.flatnonzero(order == 1)[0])))
    failed = {attack.attack for attack in audit_task(rows).attacks if not attack.passed}
    assert "forest_of_options" in failed


def test_fair_audits_rarely_fail() -> None:
    """Of 100 fair audits at most 1 % may fail; more than three would be one in fifty."""
    num_failed, zs = 0, []
    for seed in range(100):
        rows = fair(100, seed=seed, num_options=(2, 3, 4)[seed % 3], twins=seed % 2 == 1)
        results = [
            measure("priors", n, attack(rows), rows, learned=attack not in RULES) for n, attack in ATTACKS.items()
        ]
        num_failed += any(not judge(result, len(results)).passed for result in results)
        zs += [result.z for result in results]
    assert num_failed <= 3
    assert np.mean(np.array(zs) > 1.645) < 0.05, "nominal"


def test_the_bound_grows_with_the_number_of_comparisons() -> None:
    assert family_z(1) == GATE
    assert [round(family_z(n), 2) for n in (100, 1000)] == [3.72, 4.26]
    assert FAMILY_FALSE_ALARMS == 0.01
    rows = [row(["yes", "no"], n % 2) for n in range(100)]
    lucky = measure("priors", "some", np.array([1.0] * 68 + [0.0] * 32), rows, learned=False)
    assert 3.3 < lucky.z < 4.0
    assert not judge(lucky, 1).passed and judge(lucky, 1000).passed


def test_what_is_over_the_bound_does_not_pass() -> None:
    """The bound that is printed is the one that judges, also for few samples, whose tail is not normal."""
    for num_rows, num_options in ((12, 2), (40, 4), (100, 2), (100, 5)):
        rows = [row([str(i) for i in range(num_options)], n % num_options) for n in range(num_rows)]
        verdicts = set()
        for num_right in range(num_rows + 1):
            credits_N = np.array([1.0] * num_right + [0.0] * (num_rows - num_right))
            judged = judge(measure("priors", "some", credits_N, rows, learned=True), 1000)
            assert judged.passed == (judged.accuracy <= judged.bound), (num_rows, num_options, num_right)
            verdicts.add(judged.passed)
        assert verdicts == ({True, False} if num_rows > 12 else {True})


def test_twins_guessed_alike_count_once() -> None:
    """The right option of one is the wrong one of the other: who mistakes neither knows one thing, not two."""
    pairs = [row(["yes", "no"], n % 2, pair_id=f"pair {n // 2}") for n in range(200)]
    luck = np.repeat(np.random.default_rng(0).integers(0, 2, 100), 2).astype(float)
    alone = [{**of, "pair_id": of["id"]} for of in pairs]
    assert measure("priors", "some", luck, pairs).standard_error == pytest.approx(
        2**0.5 * measure("priors", "some", luck, alone).standard_error
    )


def test_a_sample_and_its_twin_are_in_one_fold() -> None:
    """Were they not, what is peculiar to a pair would give the twin's answer by elimination."""
    rows = []
    for n in range(150):
        for answer in np.random.default_rng(n).permutation(2).tolist():
            rows.append(row(["yes", "no"], answer, pair_id=f"pair {n}", question=f"Number {n}?"))
    assert all(attack.z < GATE for attack in forest_attacks(rows))
    assert audit_task(rows).passed


def test_uneven_letters_fail() -> None:
    chi2, z = letter_balance(leaking("majority_letter", 400))
    assert z > GATE and chi2 > 20
    assert abs(letter_balance(fair(400))[1]) < GATE


def test_chance_follows_the_number_of_options() -> None:
    rng = np.random.default_rng(0)
    rows = [row(["before", "after"], int(rng.integers(2))) for _ in range(200)]
    rows += [row(list(WORDS[:4]), int(rng.integers(4))) for _ in range(200)]
    result = audit_task(rows)
    assert result.num_options == {"2": 200, "4": 200}
    assert {attack.chance for attack in result.attacks} == {0.375}
    assert result.passed


def test_undecided_attacks_earn_chance_exactly() -> None:
    rows = [row(["left", "east"], n % 2) for n in range(40)]
    by_name = {attack.attack: attack for attack in audit_task(rows).attacks}
    assert by_name["longest_option"].accuracy == by_name["shortest_option"].accuracy == 0.5


def test_too_few_rows_are_not_judged() -> None:
    result = audit_task(leaking("majority_letter", 10))
    assert not result.judged and result.passed and result.attacks == ()
