"""``temporay audit``: what can be guessed from a dataset without watching; audit.json and a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tyro
from pydantic import ValidationError

from operators.audit import audit
from operators.card import write_card
from operators.errors import UserError
from operators.shards import AUDIT_FILE, Dataset, write_json
from workflows.config import Config, explain


class AuditConfig(Config):
    """Settings of ``temporay audit``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``


def run(config: AuditConfig) -> dict[str, Any]:
    """Audits, writes audit.json into the dataset, renews its card, and prints a table. ``passed`` is the verdict."""
    dataset = Dataset.open(config.data)
    result = audit(dataset.rows)
    write_json(dataset.path / AUDIT_FILE, result)
    write_card(dataset.path)
    for task in result["tasks"]:
        print(line(task))
    alarms = f"{result['num_comparisons']} comparisons, of which chance fails {result['expected_false_alarms']:.2f}"
    print(f"{'passed' if result['passed'] else 'FAILED'} ({alarms}): {dataset.path / AUDIT_FILE}")
    return result


def line(task: Mapping[str, Any]) -> str:
    """One task: its size, the balance of letters, and the strongest attack."""
    start = f"{task['task']:<20} {task['num_samples']:>6} samples  letters z {task['letter_z']:+.1f}"
    if not task["judged"]:
        return f"{start}  too few samples to judge"
    worst = max(task["attacks"], key=lambda attack: float(attack["z"]))
    return (
        f"{start}  strongest attack {worst['attack']}: {worst['accuracy']:.1%} "
        f"(chance {worst['chance']:.1%}, z {worst['z']:+.1f})  {'ok' if task['passed'] else 'FAILED'}"
    )


def main(arguments: list[str]) -> None:
    try:
        config = tyro.cli(AuditConfig, prog="temporay audit", args=arguments)
    except ValidationError as error:
        raise UserError(explain(error)) from error
    run(config)
