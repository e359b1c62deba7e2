"""The best weights so far by a metric of validation, of SFT and GRPO alike.

value of a validation → OUT/best_so_far (a record, and the folder it names) → OUT/best of the finished run
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporay.models.export import export
from temporay.operators.errors import UserError
from temporay.operators.files import write_json
from temporay.operators.scoring.arms import Arm
from temporay.operators.settings import Settings
from temporay.workflows.learner.learner import Learner

BEST = "best"  # the finished run's model with the best metric
BEST_SO_FAR, RECORD = "best_so_far", "best.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best weights so far; the folder that the record names is always whole."""

    step: int
    value: float
    metric: str
    folder: str


def check_metric(metric: str, arms: Sequence[Arm]) -> None:
    """Refuse a metric that the arms do not give.

    Raises:
        UserError: an arm is missing.
    """
    needed = {"ordered", metric.rpartition("_")[0]}
    if missing := needed - set(arms):
        raise UserError(
            f"best_metric {metric} needs the arms {', '.join(sorted(needed))}, and validation_arms lacks "
            f"{', '.join(sorted(missing))}; add it or choose another metric"
        )


def check_no_metric(metric: str, kind: type[Settings]) -> None:
    """Refuse a metric that was chosen for a run without validation, where it would choose nothing.

    Args:
        kind: the settings of the run, which have the metric that is there where nobody chose one.

    Raises:
        UserError: another metric than that was chosen.
    """
    if metric != kind.model_fields["best_metric"].default:
        raise UserError(
            f"best_metric is {metric}, but nothing is validated, so that no weights are the best; give --validation "
            "DATA, or leave --best-metric out"
        )


def goodness(metric: str, value: float) -> float:
    """Return a number that is larger for a better value: losses are to fall, all other metrics to grow."""
    return -value if metric.endswith("_loss") else value


def keep_if_best(learner: Learner, metric: str, value: float) -> None:
    """Export the weights if no others measured in this run were better. Every rank must call it.

    The record is replaced once the folder it names is whole, and the folder before that is removed last.
    """
    root, parallel = learner.config.out / BEST_SO_FAR, learner.policy.parallel
    before = parallel.from_rank_0(read_best(learner.config.out) if parallel.rank == 0 else None)
    if before is not None and goodness(metric, value) <= goodness(metric, before.value):
        return
    folder = f"step-{learner.step:08d}"
    export(learner.policy, learner.config.model, root / folder)
    if parallel.rank == 0:
        write_json(root / RECORD, {"step": learner.step, "value": value, "metric": metric, "folder": folder})
        for other in root.glob("step-*"):
            if other.name != folder:
                shutil.rmtree(other)
    parallel.wait_for_files()


def read_best(out: Path) -> Best | None:
    """Read the record of a run; None before the first validation.

    Raises:
        UserError: the record is damaged.
    """
    path = next((path for path in (out / BEST_SO_FAR / RECORD, out / RECORD) if path.exists()), None)
    if path is None:
        return None
    try:
        return Best(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); remove it, and the next validation begins a new record of the best weights"
        ) from error


def finish_best(out: Path) -> Best | None:
    """Move the best weights of a finished run to OUT/best and return their record; it may be called again."""
    best = read_best(out)
    root = out / BEST_SO_FAR
    if best is not None and root.exists():
        if (root / best.folder).exists():
            shutil.rmtree(out / BEST, ignore_errors=True)  # of a run that got more steps after it had finished
            (root / best.folder).rename(out / BEST)
        (root / RECORD).rename(out / RECORD)
        shutil.rmtree(root)
    return best


def best_summary(out: Path) -> dict[str, Any]:
    """Finish the best weights of a run and return what summary.json holds of them; empty without validation."""
    best = finish_best(out)
    if best is None:
        return {}
    return {"best": {"metric": best.metric, "step": best.step, "value": best.value, "model": str(out / BEST)}}


def best_phrase(summary: Mapping[str, Any]) -> str:
    """Say where the best weights are, to follow another phrase; "" without validation."""
    if "best" not in summary:
        return ""
    best = summary["best"]
    return f"; best {best['metric']} {best['value']:.4f} at step {best['step']}, in {best['model']}"
