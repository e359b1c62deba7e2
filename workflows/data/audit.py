"""``temporay audit``: what can be guessed from a dataset without watching it all in order; audit.json and a table."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro
from pydantic import Field
from temporay.operators import components
from temporay.operators.audit.certificate import MAX_ROWS_PER_TASK, MIN_SAMPLES, audit
from temporay.operators.audit.thumbnails import Thumbnails, thumbnails_of
from temporay.operators.dataset.card import write_card
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import primitives_of
from temporay.operators.dataset.shards import AUDIT_FILE
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.files import write_json
from temporay.operators.records import Frames
from temporay.operators.settings import Settings

TIERS = {"priors": "A", "forest": "B", "pixels": "C"}


class AuditConfig(Settings):
    """Settings of ``temporay audit``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``
    num_clips: int = Field(default=2000, ge=0)  # whose frames are looked at, spread over the primitives; 0: none


def run(config: AuditConfig) -> dict[str, Any]:
    """Audits, writes audit.json into the dataset, renews its card, and prints a table. ``passed`` is the verdict."""
    dataset = Dataset.open(config.data)
    primitives_of(dataset.recipe.tasks)  # one that is unknown here ends the command now, not after the last clip
    looked_at = clips_to_see(dataset.rows, config.num_clips)
    thumbnails: dict[str, Thumbnails] = {}
    for i in looked_at:
        thumbnails[dataset.rows[i]["id"]] = thumbnails_of(frames_of(dataset, i), dataset.rows[i]["id"])
    result = audit(dataset.rows, thumbnails, edge_limits(sorted({row["task"] for row in dataset.rows})))
    write_json(dataset.path / AUDIT_FILE, result)
    write_card(dataset.path)
    if len(looked_at) < len(dataset):
        print(f"frames of {len(looked_at)} of {len(dataset)} clips were looked at (num_clips {config.num_clips})")
    for task in result["tasks"]:
        print(line(task))
    for failure in result["failures"]:
        print(f"FAILED {failure}")
    if not result["num_comparisons"]:
        print(f"nothing was judged: every task has fewer than {MIN_SAMPLES} samples: {dataset.path / AUDIT_FILE}")
        return result
    print(
        f"{'passed' if result['passed'] else 'FAILED'} ({result['num_comparisons']} comparisons, each within "
        f"{result['z_bound']:.1f} standard errors of chance; fair data fails in at most "
        f"{result['family_false_alarms']:.0%} of audits): {dataset.path / AUDIT_FILE}"
    )
    return result


def frames_of(dataset: Dataset, i: int) -> Frames:
    """Return the frames of one sample, (T, H, W, 3) uint8.

    Raises:
        UserError: its clip cannot be read.
    """
    try:
        return dataset.frames(i)
    except SampleRejected as error:
        raise UserError(
            f"the clip of {dataset.rows[i]['id']} cannot be read ({error}); `temporay lint` lists every fault"
        ) from error


def clips_to_see(rows: Sequence[Mapping[str, Any]], num_clips: int) -> list[int]:
    """Which clips are decoded: as many of each task, and the first of each, so that samples keep their twins."""
    by_task: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        by_task[row["task"]].append(i)
    share = min(MAX_ROWS_PER_TASK, num_clips // max(1, len(by_task)))
    share -= share % 2
    return sorted(i for of_task in by_task.values() for i in of_task[:share])


def edge_limits(tasks: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return what each primitive that is installed here promises about its first and last frames."""
    package = "temporay.operators.primitives"
    return {task: components.load(package, task).edge_limits for task in tasks if task in components.available(package)}


def line(task: Mapping[str, Any]) -> str:
    """One task: its size, the balance of letters, and the strongest attack of every tier."""
    start = f"{task['task']:<20} {task['num_samples']:>6} samples  letters z {task['letter_z']:+.1f}"
    if not task["judged"]:
        return f"{start}  too few samples to judge"
    parts = [start]
    for tier, letter in TIERS.items():
        gating = [attack for attack in task["attacks"] if attack["tier"] == tier and attack["gates"]]
        if gating:
            worst = max(gating, key=lambda attack: float(attack["z"]))
            parts.append(f"{letter} {worst['attack']} {worst['accuracy']:.1%} (at most {worst['bound']:.1%})")
    return "  ".join([*parts, "ok" if task["passed"] else "FAILED"])
