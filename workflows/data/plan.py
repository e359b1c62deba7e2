"""``temporay plan``: what a ``temporay generate`` would cost, from a probe of two seconds, before anything is written.

recipe -> Cost by task -> samples, core-hours, GB and tokens by family -> a table
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporay.operators.dataset.drawn_coco import write_drawn_coco
from temporay.operators.dataset.recipe import check, primitives_of
from temporay.operators.dataset.samples import open_source
from temporay.workflows.data.generate import GenerateConfig
from temporay.workflows.data.throughput import cores, probe, share_of_tasks

PROBE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyPlan:
    """What the samples of one family of primitives come to."""

    num_samples: int
    core_hours: float
    gigabytes: float
    video_tokens: float
    text_tokens: float


def run(config: GenerateConfig) -> dict[str, Any]:
    """Probes, prints the table, and returns it by family."""
    recipe = config.recipe
    check(recipe)
    with TemporaryDirectory(prefix="temporay-plan-") as drawn:
        if recipe.shows_images and recipe.coco.captions is None:
            write_drawn_coco(Path(drawn), recipe.drawn)
        source = open_source(recipe, Path(drawn))
        costs = probe(recipe, source, PROBE_S)
    shares = share_of_tasks(recipe)
    families: dict[str, list[str]] = {}
    for task, primitive in primitives_of(recipe.tasks).items():
        families.setdefault(primitive.family, []).append(task)
    plans = {}
    for family, tasks in sorted(families.items()):
        num = {task: recipe.num_samples * shares[task] for task in tasks if task in costs}
        plans[family] = FamilyPlan(
            num_samples=round(sum(num.values())),
            core_hours=sum(n * costs[task].seconds for task, n in num.items()) / 3600,
            gigabytes=sum(n * costs[task].nbytes for task, n in num.items()) / 1e9,
            video_tokens=sum(n * costs[task].video_tokens for task, n in num.items()),
            text_tokens=sum(n * costs[task].text_tokens for task, n in num.items()),
        )
    print(table(plans, dict(source.dropped)))
    print(f"a model is shown {recipe.canvas.sampling.told()}; every sample keeps its answer then")
    return {family: asdict(plan) for family, plan in plans.items()}


def table(plans: Mapping[str, FamilyPlan], dropped: Mapping[str, int]) -> str:
    """One line per family and one for all; tokens as Qwen3-VL counts them at native size, four letters to a token."""
    lines = [f"{'family':<14}{'samples':>10}{'core-hours':>12}{'GB':>9}{'video tokens':>15}{'text tokens':>13}"]
    whole = FamilyPlan(
        **{name: sum(asdict(plan)[name] for plan in plans.values()) for name in FamilyPlan.__dataclass_fields__}
    )
    for name, plan in [*plans.items(), ("all", whole)]:
        lines.append(
            f"{name:<14}{plan.num_samples:>10,}{plan.core_hours:>12.2f}{plan.gigabytes:>9.2f}"
            f"{plan.video_tokens / 1e6:>13.1f} M{plan.text_tokens / 1e6:>11.1f} M"
        )
    hours = whole.core_hours / cores()
    lines.append(f"about {hours:.2f} h on the {cores():.0f} cores of this machine, start-up apart")
    if dropped:
        lines.append("left out: " + ", ".join(f"{reason} {n}" for reason, n in sorted(dropped.items())))
    return "\n".join(lines)
