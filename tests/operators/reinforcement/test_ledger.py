"""A sound ledger has no faults, and every lost or repeated group is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from temporay.operators.records import FinishReason, Group, Outcome, Rollout, ScoredGroup
from temporay.operators.reinforcement.ledger import ledger_line, reconcile, totals


def scored(position: int, step: int, outcome: Outcome, version: int) -> ScoredGroup:
    rollout = Rollout(
        completion_ids=(1, 2), logprobs=(-1.0, -1.0), text="", finish_reason=FinishReason.STOP,
        weight_versions=(version, step),
    )  # fmt: skip
    return ScoredGroup(
        position=position,
        row=position % 3,
        step=step,
        static=True,
        group=Group(key=f"k{position % 3}", prompt_ids=(1,), rollouts=(rollout,) * 2),
        scores=(),
        advantages=(),
        outcome=outcome,
    )


def ledger_lines() -> list[dict[str, Any]]:
    """Return two steps of two prompts. The second is one step behind and has a flat group."""
    first = [scored(0, 0, Outcome.TRAINED, 0), scored(1, 0, Outcome.TRAINED, 0)]
    second = [scored(2, 1, Outcome.FLAT, 0), scored(3, 1, Outcome.TRAINED, 0)]
    return [ledger_line(0, first, ["k1", "k0"]), ledger_line(1, second, ["k0"])]


def test_a_sound_ledger_has_no_faults() -> None:
    assert reconcile(ledger_lines(), max_staleness=1) == []
    assert reconcile([]) == []
    assert totals(ledger_lines()) == {"trained": 3, "flat": 1, "unscored": 0, "observed": 0}


def lost_line(lines: list[dict[str, Any]]) -> None:
    del lines[0]


def line_twice(lines: list[dict[str, Any]]) -> None:
    lines.append(copy.deepcopy(lines[1]))


def lost_group(lines: list[dict[str, Any]]) -> None:
    del lines[1]["groups"][0]


def group_twice(lines: list[dict[str, Any]]) -> None:
    lines[1]["groups"][0]["position"] = 1


def not_trained(lines: list[dict[str, Any]]) -> None:
    lines[0]["trained"].remove("k1")


def trained_twice(lines: list[dict[str, Any]]) -> None:
    lines[1]["trained"].append("k0")


def no_reason(lines: list[dict[str, Any]]) -> None:
    lines[1]["groups"][0]["outcome"] = "lost"


def from_the_future(lines: list[dict[str, Any]]) -> None:
    lines[0]["groups"][0]["weight_version"] = 1


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lost_line, "step 0 is missing"),
        (line_twice, "step 1 has 2 lines"),
        (lost_group, "prompt 2 was chosen and is not accounted for"),
        (group_twice, "prompt 1 is accounted for 2 times"),
        (not_trained, "step 0: k1 was to be trained on and was not"),
        (trained_twice, "step 1: k0 was trained on and is not accounted for"),
        (no_reason, "step 1: k2 has no known outcome"),
        (from_the_future, "step 0: k0 is from weights 1"),
    ],
)
def test_every_fault_is_named(damage: Callable[[list[dict[str, Any]]], None], fault: str) -> None:
    lines = ledger_lines()
    damage(lines)
    assert any(found.startswith(fault) for found in reconcile(lines, max_staleness=1))


def test_too_old_weights() -> None:
    assert reconcile(ledger_lines(), max_staleness=0) == [f"step 1: k{i} is from weights 0" for i in (2, 0)]
