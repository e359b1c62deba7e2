"""The ledger of a reinforcement learning run: every prompt group is trained on once, or dropped whole with a reason.

    scored groups of a step, keys the trainer reports → a ledger line → reconcile over all lines → faults

A line holds what the producer and the trainer say, each for itself. ``trained`` are the keys that the training workers
found in the batch of an update. The groups with the outcome ``trained`` are those that the producer put into it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from temporay.operators.records import Outcome, ScoredGroup

STAGE = "ledger"  # names these lines in metrics.jsonl


def ledger_line(step: int, groups: Sequence[ScoredGroup], trained: Sequence[str]) -> dict[str, Any]:
    """Return the line of one update, as JSON values.

    Args:
        trained: keys of the groups that the update was made of, as the training workers report them.
    """
    return {
        "stage": STAGE,
        "step": step,
        "trained": list(trained),
        "groups": [
            {
                "position": scored.position,
                "key": scored.group.key,
                "outcome": scored.outcome.value,
                "weight_version": min(rollout.weight_version for rollout in scored.group.rollouts),
                "rollouts": len(scored.group.rollouts),
            }
            for scored in groups
        ],
    }


def reconcile(lines: Sequence[Mapping[str, Any]], *, max_staleness: int | None = None) -> list[str]:
    """Return what is wrong with a ledger; empty when every chosen prompt is accounted for once.

    Args:
        lines: of all updates, in any order.
        max_staleness: updates that a group's weights may lag behind; None: not checked.
    """
    faults = [f"step {step} has {n} lines" for step, n in Counter(line["step"] for line in lines).items() if n > 1]
    steps = sorted({line["step"] for line in lines})
    faults += [f"step {step} is missing" for step in sorted(set(range(max(steps, default=-1) + 1)) - set(steps))]
    positions = Counter(group["position"] for line in lines for group in line["groups"])
    faults += [f"prompt {place} is accounted for {n} times" for place, n in sorted(positions.items()) if n > 1]
    missing = sorted(set(range(max(positions, default=-1) + 1)) - set(positions))
    faults += [f"prompt {place} was chosen and is not accounted for" for place in missing]
    for line in lines:
        faults += _faults_of_step(line, max_staleness)
    return faults


def _faults_of_step(line: Mapping[str, Any], max_staleness: int | None) -> list[str]:
    step = line["step"]
    known = {outcome.value for outcome in Outcome}
    faults = [
        f"step {step}: {group['key']} has no known outcome ({group['outcome']})"
        for group in line["groups"]
        if group["outcome"] not in known
    ]
    meant = Counter(group["key"] for group in line["groups"] if group["outcome"] == Outcome.TRAINED)
    found = Counter(line["trained"])
    faults += [f"step {step}: {key} was to be trained on and was not" for key in sorted((meant - found).elements())]
    faults += [
        f"step {step}: {key} was trained on and is not accounted for" for key in sorted((found - meant).elements())
    ]
    for group in line["groups"]:
        lag = step - group["weight_version"]
        if lag < 0 or (max_staleness is not None and lag > max_staleness):
            faults.append(f"step {step}: {group['key']} is from weights {group['weight_version']}")
    return faults


def totals(lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many groups came to each outcome."""
    counts = Counter(group["outcome"] for line in lines for group in line["groups"])
    return {outcome.value: counts[outcome.value] for outcome in Outcome}
