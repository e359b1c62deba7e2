"""Accuracies of a run on its page and at its end: what is a guess by rule is told from what was measured."""

from __future__ import annotations

import re
from typing import Any

import pytest
from temporay.operators.scoring.arms import ARMS, Arm
from temporay.operators.scoring.evaluation import EvaluationRow, by_arm, by_task
from temporay.workflows.reports.accuracies import accuracy_table, arms_chart, bar_of
from temporay.workflows.reports.final_table import STAR, final_table
from temporay.workflows.reports.sample_cards import MODELS, Answers

TASKS, NUM = ("first_last", "scene_order"), 20


def rows_of(model: str, task: str, arm: Arm) -> list[EvaluationRow]:
    """Return answers: base says nothing readable to scene_order, nor does the last model without order."""
    silent = task == "scene_order" and (model == "base" or arm != "ordered")
    return [
        EvaluationRow(
            key=f"{task}-{i}",
            task=task,
            arm=arm,
            score=float(i < 10 and not silent),
            parsed=None if silent or i == 19 else "a",
            text="a",
            chance=0.25,
        )
        for i in range(NUM)
    ]


@pytest.fixture(scope="module")
def answers() -> Answers:
    asked = {model: ARMS if model == "grpo" else ARMS[:1] for model in MODELS}
    rows = {
        model: [row for task in TASKS for arm in arms for row in rows_of(model, task, arm)]
        for model, arms in asked.items()
    }
    return Answers(rows={model: {(row.arm, row.key): row for row in some} for model, some in rows.items()})


@pytest.fixture(scope="module")
def result(answers: Answers) -> dict[str, Any]:
    rows = {model: by_arm(list(found.values())) for model, found in answers.rows.items()}
    table = by_task({model: rows[model]["ordered"] for model in MODELS} | rows["grpo"])
    for entry in table.values():
        entry |= {"n": NUM, "arms": dict.fromkeys(rows["grpo"])}
    trained = {"reward_first": 0.5, "reward_last": 0.75, "steps": 8, "parity_max_abs": 1e-5, "decodes_per_prompt": 1.0}
    return {"accuracy": table, "engine": "vllm", "grpo": trained}


def cells(html: str, task: str) -> dict[str, str]:
    """Return the text of a primitive's cells by column; gray ones between brackets."""
    line = next(line for line in re.findall(r"<tr>(.*?)</tr>", html) if f">{task}</td>" in line)
    line = re.sub(r'<span class="guessed">(.*?)</span>', r"[\1]", line)
    found = re.findall(r'data-of="([^"]*)">(.*?)</td>', line)
    return {name: re.sub(r"<[^>]*>", "", inner).strip() for name, inner in found}


def test_a_control_that_fell_silent_is_gray_with_its_share(result: dict[str, Any], answers: Answers) -> None:
    html = accuracy_table(result, answers)
    silent = cells(html, "scene_order")
    assert silent["shuffled"] == silent["blind"] == "[25.0 ± 17.8] 100% unread"
    assert silent["before"] == "0.0 ± 8.1 100% unread"  # a wrong answer each, and no guess
    assert silent["after GRPO"] == "50.0 ± 20.1 5% unread"
    assert cells(html, "first_last")["shuffled"] == "51.2 ± 20.1 5% unread"
    assert cells(html, "mean")["shuffled"].startswith("[38.1") and "52% unread" in cells(html, "mean")["shuffled"]
    assert html.count('<svg class="faint"') == 6 and "it says only that the model fell silent" in html


def test_bars_of_guesses_are_faint(result: dict[str, Any]) -> None:
    html = arms_chart(result)
    assert html.count('<svg class="faint"') == html.count("100% unread") == 3
    assert html.count("<p><span>") == len(TASKS) * len(ARMS)


def test_the_final_table_has_stars_and_their_meaning(result: dict[str, Any]) -> None:
    lines = final_table(result).splitlines()
    assert [line.count("*") for line in lines[:4]] == [0, 0, 3, 1] and f"{lines[3]}\n" == STAR
    heard = {"accuracy": {"first_last": result["accuracy"]["first_last"]}}
    assert "*" not in final_table({**result, **heard})


def test_runs_of_earlier_versions_counted_no_unread_answers(result: dict[str, Any], answers: Answers) -> None:
    without = {
        task: {name: value for name, value in entry.items() if name != "unread"}
        for task, entry in result["accuracy"].items()
    }
    assert "% unread" not in accuracy_table({"accuracy": without}, answers)
    assert not bar_of(without["scene_order"], "blind").is_mostly_guessed
