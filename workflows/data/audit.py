"""``temporay audit``: what can be guessed from a dataset without watching it all in order; audit.json and a table.

rows, a few small frames of each clip -> attacks that are the same for every primitive
plans (``--ideal``)                   -> what perfect eyes guess from parts of the clip, by mode and level
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro
from pydantic import Field
from temporay.operators.audit.certificate import MAX_ROWS_PER_TASK, MIN_SAMPLES, audit
from temporay.operators.audit.fresh_plans import fresh_plans, plans_of
from temporay.operators.audit.ideal import audit_ideal
from temporay.operators.audit.thumbnails import Thumbnails, thumbnails_of
from temporay.operators.dataset.card import write_card
from temporay.operators.dataset.ideal_table import text
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Level, primitives_of
from temporay.operators.dataset.shards import AUDIT_FILE
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.files import write_json
from temporay.operators.primitives._base import Inherent, primitive_of
from temporay.operators.records import Frames
from temporay.operators.settings import Settings

TIERS = {"priors": "A", "forest": "B", "pixels": "C"}


class AuditConfig(Settings):
    """Settings of ``temporay audit``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``
    num_clips: int = Field(default=2000, ge=0)  # whose frames are looked at, spread over the primitives; 0: none
    ideal: bool = False  # also attack the exact states that the clips show, by question mode and level
    num_plans: int = Field(default=0, ge=0)  # planned afresh by the recipe for every primitive; 0: the samples' plans
    levels: tuple[Level, ...] = ()  # of fresh plans; none: those of the recipe


def run(config: AuditConfig) -> dict[str, Any]:
    """Audits, writes audit.json into the dataset, renews its card, and prints a table. ``passed`` is the verdict."""
    if (config.num_plans or config.levels) and not (config.ideal and config.num_plans):
        raise UserError("num_plans and levels are of the ideal audit; give --ideal True and --num-plans N with them")
    dataset = Dataset.open(config.data)
    primitives_of(dataset.recipe.tasks)  # one that is unknown here ends the command now, not after the last clip
    looked_at = clips_to_see(dataset.rows, config.num_clips)
    thumbnails: dict[str, Thumbnails] = {}
    for i in looked_at:
        thumbnails[dataset.rows[i]["id"]] = thumbnails_of(frames_of(dataset, i), dataset.rows[i]["id"])
    result = audit(dataset.rows, thumbnails, inherent_of(sorted({row["task"] for row in dataset.rows})))
    if config.ideal:
        add_ideal(result, dataset, config)
    write_json(dataset.path / AUDIT_FILE, result)
    write_card(dataset.path)
    if len(looked_at) < len(dataset):
        print(f"frames of {len(looked_at)} of {len(dataset)} clips were looked at (num_clips {config.num_clips})")
    for task in result["tasks"]:
        print(line(task))
    if config.ideal:
        print(text(result["ideal"]["cells"]))
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


def add_ideal(result: dict[str, Any], dataset: Dataset, config: AuditConfig) -> None:
    """Run the ideal audit, and add it to the result and to its verdict."""
    recipe = dataset.recipe
    if config.num_plans:
        levels = config.levels or recipe.levels or (recipe.level,)
        planned = [p for level in levels for p in fresh_plans(recipe, dataset.source, level, config.num_plans)]
    else:
        planned = list(plans_of(dataset, MAX_ROWS_PER_TASK))
    ideal = audit_ideal(planned, primitives_of(recipe.tasks))
    result |= {
        "ideal": ideal,
        "passed": result["passed"] and ideal["passed"],
        "failures": [*result["failures"], *ideal["failures"]],
        "num_comparisons": result["num_comparisons"] + ideal["num_comparisons"],
    }


def inherent_of(tasks: Sequence[str]) -> dict[str, Inherent]:
    """Return what each primitive that is installed here declares that parts of its clips may tell."""
    return {task: primitive.inherent for task in tasks if (primitive := primitive_of(task)) is not None}


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
