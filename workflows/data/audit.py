"""``temporay audit``: what can be guessed from a dataset without watching it all in order; audit.json and a table.

rows, a few small frames of each clip -> attacks that are the same for every primitive
plans (``--ideal``)                   -> what perfect eyes guess from parts of the clip, by mode and level
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from temporay.operators.dataset.opening import are_own_lines, open_samples
from temporay.operators.dataset.own_media import first_path
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Level, primitives_of
from temporay.operators.dataset.rows import to_row
from temporay.operators.dataset.shards import AUDIT_FILE
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.files import write_json
from temporay.operators.pixels.render import one_after_another
from temporay.operators.primitives._base import Inherent, primitive_of
from temporay.operators.records import Frames, Sample
from temporay.operators.settings import Settings
from temporay.operators.videos.reading import VideoReading

TIERS = {"priors": "A", "forest": "B", "pixels": "C"}


class AuditConfig(Settings):
    """Settings of ``temporay audit``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``, or a file of a user's own lines
    num_clips: int = Field(default=2000, ge=0)  # whose frames are looked at, spread over the primitives; 0: none
    ideal: bool = False  # also attack the exact states that the clips show, by question mode and level
    num_plans: int = Field(default=0, ge=0)  # planned afresh by the recipe for every primitive; 0: the samples' plans
    levels: tuple[Level, ...] = ()  # of fresh plans; none: those of the recipe
    video_reading: VideoReading = VideoReading()  # how videos of own lines are read


def run(config: AuditConfig) -> dict[str, Any]:
    """Audit, write audit.json, and print a table. ``passed`` is the verdict.

    A dataset holds its audit and shows it on its card. That of a file of own lines stands beside it.
    """
    if (config.num_plans or config.levels) and not (config.ideal and config.num_plans):
        raise UserError("num_plans and levels are of the ideal audit; give --ideal True and --num-plans N with them")
    if are_own_lines(config.data):
        return audit_own_lines(config)
    dataset = Dataset.open(config.data)
    primitives_of(dataset.recipe.tasks)  # one that is unknown here ends the command now, not after the last clip
    looked_at = clips_to_see(dataset.rows, config.num_clips)
    thumbnails = {dataset.rows[i]["id"]: thumbnails_of(frames_of(dataset, i), dataset.rows[i]["id"]) for i in looked_at}
    result = audit(dataset.rows, thumbnails, inherent_of(sorted({row["task"] for row in dataset.rows})))
    if config.ideal:
        add_ideal(result, dataset, config)
    write_json(dataset.path / AUDIT_FILE, result)
    write_card(dataset.path)
    if len(looked_at) < len(dataset):
        print(f"frames of {len(looked_at)} of {len(dataset)} clips were looked at (num_clips {config.num_clips})")
    tell_result(result, dataset.path / AUDIT_FILE)
    return result


def audit_own_lines(config: AuditConfig) -> dict[str, Any]:
    """Audit the questions with options of a user's own file: by their words, by frames of their videos.

    Raises:
        UserError: the ideal audit is asked for, the file cannot be read, or no line has options.
    """
    if config.ideal:
        raise UserError(f"the ideal audit needs plans, and {config.data} has videos; leave out --ideal")
    samples = open_samples(config.data, config.video_reading)
    asked = [i for i in range(len(samples)) if samples.sample(i).question.lists_options]
    rows = [own_row(samples.sample(i)) for i in asked]
    if not rows:
        raise UserError(f"{config.data} has no question with options; only these can be guessed among")
    thumbnails: dict[str, Thumbnails] = {}
    unread: Counter[str] = Counter(one.reason for one in samples.dropped)
    for n in clips_to_see(rows, config.num_clips):
        try:
            thumbnails[rows[n]["id"]] = thumbnails_of(one_after_another(samples.frames_shown(asked[n])), rows[n]["id"])
        except SampleRejected as error:
            unread[error.reason] += 1
    result = audit(rows, thumbnails)
    path = config.data.with_name(f"{config.data.name}.{AUDIT_FILE}")
    write_json(path, result)
    left_out = {"without options": len(samples) - len(rows), **unread}
    print(
        f"{len(rows)} questions of {config.data} are judged, frames of {len(thumbnails)}; left out: "
        f"{', '.join(f'{n} {reason}' for reason, n in left_out.items() if n) or 'none'}"
    )
    tell_result(result, path)
    return result


def own_row(sample: Sample) -> dict[str, Any]:
    """Return what the attacks read of a user's own question. Those about one video are always in the same fold."""
    row = to_row(replace(sample, facts={}), recipe_hash="", content_hash="", instruction="")
    return {**row, "pair_id": first_path(sample.facts), "nbytes": 0}


def tell_result(result: Mapping[str, Any], path: Path) -> None:
    """Print a line for every task, every failure, and the verdict."""
    for task in result["tasks"]:
        print(line(task))
    if "ideal" in result:
        print(text(result["ideal"]["cells"]))
    for failure in result["failures"]:
        print(f"FAILED {failure}")
    if not result["num_comparisons"]:
        print(f"nothing was judged: every task has fewer than {MIN_SAMPLES} samples: {path}")
        return
    print(
        f"{'passed' if result['passed'] else 'FAILED'} ({result['num_comparisons']} comparisons, each within "
        f"{result['z_bound']:.1f} standard errors of chance; fair data fails in at most "
        f"{result['family_false_alarms']:.0%} of audits): {path}"
    )


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
