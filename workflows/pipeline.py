"""``temporay run``: data → audit → base model → SFT → GRPO → evaluation → report, in one folder.

Every stage leaves a finished result behind, so that the command goes on where it stopped when it is run again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from safetensors.torch import load_file
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.recipe import check as check_recipe
from temporay.operators.errors import UserError
from temporay.operators.scoring.evaluation import EvaluationRow, by_arm, by_task
from temporay.operators.scoring.scores import load_rewards, needs_of
from temporay.workflows.base_model import BaseModelSettings, make_base_model
from temporay.workflows.config import converted, replaced
from temporay.workflows.data import audit, generate
from temporay.workflows.evaluation.asking import ask
from temporay.workflows.evaluation.asking import demand_of as evaluation_demand
from temporay.workflows.evaluation.kept_rows import KeptRows
from temporay.workflows.evaluation.questions import SampleQuestions
from temporay.workflows.evaluation.settings import EvaluateSettings
from temporay.workflows.grpo import loop as grpo
from temporay.workflows.grpo.checks import demand_of
from temporay.workflows.grpo.learner import trainer_needs
from temporay.workflows.grpo.settings import GrpoConfig, GrpoSettings
from temporay.workflows.grpo.sharing import check_sharing
from temporay.workflows.learner.best import check_metric
from temporay.workflows.learner.learner import MODEL
from temporay.workflows.learner.scaling import DATA_TASK, worker_need
from temporay.workflows.placement import RoleNeed
from temporay.workflows.reports import report
from temporay.workflows.reports.final_table import final_table
from temporay.workflows.reports.time_profile import time_profile, time_table
from temporay.workflows.rollouts.adapters import check_adapters
from temporay.workflows.rollouts.defaults import largest, lengths_of, resolved
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.published_weights import publish
from temporay.workflows.rollouts.settings import PoolConfig, ResolvedPool
from temporay.workflows.room import await_room, read_cluster, refuse_what_never_fits
from temporay.workflows.runs.run_dir import RunDir, part_of
from temporay.workflows.runs.trackers import check_trackers
from temporay.workflows.session import ray_session
from temporay.workflows.sft import loop as sft
from temporay.workflows.sft.settings import SftConfig, SftSettings

KIND = "run"
MODELS = ("base", "sft", "grpo")
DATA, EVALUATION = "data", "evaluation"
# Engines tell weights apart by their version alone. Versions of updates count up from 0.
BASE_VERSION, FINAL_VERSION = -1, 1 << 30


class PipelineSettings(Recipe):
    """The recipe of the training split, and the settings of every stage."""

    split: Literal["train"] = "train"  # the other two are made of the same recipe
    seed: int = Field(
        default=0, ge=0
    )  # of data, base model, order and sampling; a stage's own seed wins unless it is 0
    num_rl_samples: int = Field(ge=1)
    num_test_samples: int = Field(ge=1)
    num_data_workers: int = Field(default=2, ge=1)
    base_model: BaseModelSettings
    sft: SftSettings
    grpo: GrpoSettings
    evaluate: EvaluateSettings
    pool: PoolConfig = PoolConfig()


class PipelineConfig(PipelineSettings):
    """Settings of ``temporay run``."""

    out: Path


def run(config: PipelineConfig) -> dict[str, Any]:
    """Run all stages, each unless its result is there already; return what summary.json holds.

    Raises:
        UserError: settings are not valid, or a guard stopped a stage.
    """
    config = seeded(config)
    check(config)
    run_dir = RunDir.open(config.out, config, kind=KIND)
    finished = run_dir.summary()
    if finished is None:
        finished = run_stages(config, run_dir)
    print(f"{final_table(finished)}\n\n{time_table(time_profile(config.out))}")
    print(f"report: {config.out / report.PAGE}")
    return finished


def seeded(config: PipelineConfig) -> PipelineConfig:
    """Return the same settings with the run's seed in every stage whose own is 0."""
    adapted = [stage for stage in ("sft", "grpo") if getattr(config, stage).trained.weights == "lora"]
    names = ["base_model.seed", "sft.seed", "grpo.seed", *(f"{stage}.trained.lora.seed" for stage in adapted)]
    return replaced(config, {name: config.seed for name in names if not attrgetter(name)(config)})


def check(config: PipelineConfig) -> None:
    """Refuse what a later stage would refuse, before the first one starts.

    Raises:
        UserError: settings contradict each other, or the package of a tracker is missing.
    """
    check_recipe(config)
    check_sharing(config.grpo, config.pool)
    check_adapters(config.pool, config.grpo.trained)
    if config.pool.adapters == "applied":
        raise UserError("pool.adapters is applied, but these engines serve several models; give merged, or none")
    check_trackers((*config.sft.trackers, *config.grpo.trackers))
    for stage in (config.sft, config.grpo):
        check_metric(stage.best_metric, stage.validation_arms)
    if unasked := set(config.base_model.tasks) - set(config.tasks):
        raise UserError(
            f"base_model.tasks names {', '.join(sorted(unasked))}, but tasks is {' '.join(config.tasks)}; give some of "
            "those, or --base-model.tasks without names for all"
        )
    needs = needs_of(load_rewards(config.grpo.rewards.weights, config.grpo.rewards.settings))
    if "twin" in needs and not config.twins:
        raise UserError("grpo.rewards compares twins, but twins is False; give --twins True")
    if config.grpo.curriculum.enabled and len(set(config.levels)) < 2:
        raise UserError("grpo.curriculum.enabled is True, but levels has fewer than two; give --levels 0 1 2")


def run_stages(config: PipelineConfig, run_dir: RunDir) -> dict[str, Any]:
    """Run one stage after the other."""
    with ray_session():
        check_room(config)
        with run_dir.stage("data"):
            data = make_data(config, run_dir)
        with run_dir.stage("audit"):
            audited = audit.run(audit.AuditConfig(data=data["train"]))
        with run_dir.stage("base_model"):
            base = base_model(config, data["train"], run_dir)
        pool_config = resolved_pool(config, data, base)
        refuse_what_never_fits(improving_needs(config, pool_config))
        with run_dir.stage("sft"):
            places = {"data": data["train"], "validation": data["rl"], "model": base, "out": config.out / "sft"}
            fine_tuned = sft.run(converted(SftConfig, config.sft, **places))
        with run_dir.stage("engine"):
            tuned = config.out / "sft" / MODEL
            await_room(improving_needs(config, pool_config))
            pool = RolloutPool.start(pool_config, tuned)
        with run_dir.stage("evaluate"):
            rows = {name: evaluate_model(config, pool, data["test"], name, run_dir) for name in ("sft", "base")}
        with run_dir.stage("grpo"):
            asyncio.run(load_model(config, pool, "sft"))
            places = {"data": data["rl"], "validation": data["test"], "model": tuned, "out": config.out / "grpo"}
            improved = grpo.run_with(converted(GrpoConfig, config.grpo, pool=config.pool, **places), pool)
        with run_dir.stage("evaluate"):
            rows["grpo"] = evaluate_model(config, pool, data["test"], "grpo", run_dir)
        pool.close()
    result = {
        "engine": pool.engine_name,
        "accuracy": accuracy(rows),
        "sft": {name: fine_tuned[name] for name in ("num_steps", "data")},
        "grpo": {name: value for name, value in improved.items() if name not in ("seconds", "versions", "pool")},
        "audit_passed": audited["passed"],
        "pool": pool.settings(),
    }
    report.write(config.out, result)  # before the run is finished, or a kill between the two would leave it without
    return run_dir.finish(result)


def improving_needs(config: PipelineConfig, engines: ResolvedPool) -> list[RoleNeed]:
    """Return what engines and trainer of GRPO need at once."""
    return [engines.need, *trainer_needs(config.grpo, config.pool, read_cluster())]


def check_room(config: PipelineConfig) -> None:
    """Refuse a run whose training can never be placed, before its data is made.

    Raises:
        UserError: the cluster is too small.
    """
    cluster = read_cluster()
    refuse_what_never_fits([worker_need(config.sft, cluster), DATA_TASK])
    refuse_what_never_fits(trainer_needs(config.grpo, config.pool, cluster))


def make_data(config: PipelineConfig, run_dir: RunDir) -> dict[str, Path]:
    """Make the three splits. No address is in two of them; no image of ``test`` is in the others with a fraction."""
    sizes = {"train": config.num_samples, "rl": config.num_rl_samples, "test": config.num_test_samples}
    folders = {split: config.out / DATA / split for split in sizes}
    for split, folder in folders.items():
        recipe = converted(Recipe, config, split=split, num_samples=sizes[split])
        made = generate.build(recipe, folder, config.num_data_workers)
        for part, seconds in made["seconds"].items():
            run_dir.log_seconds(part_of("data", part), seconds)
    return folders


def base_model(config: PipelineConfig, data: Path, run_dir: RunDir) -> Path:
    """Make the model that training starts from, unless it is there."""
    out = config.out / "base"
    if not out.exists():
        dataset = Dataset.open(data)
        make_base_model(config.base_model, [dataset.sample(i) for i in range(len(dataset))], run_dir, out)
    return out


def resolved_pool(config: PipelineConfig, data: Mapping[str, Path], model: Path) -> ResolvedPool:
    """Resolve what the engines get, by both datasets that they answer; training changes neither sizes nor tokenizer."""
    lengths = lengths_of(model)
    rl, test = Dataset.open(data["rl"]), Dataset.open(data["test"])
    trained, validated = (demand_of(config.grpo, dataset, lengths) for dataset in (rl, test))
    asked = SampleQuestions.of(test, range(len(test)), config.evaluate.instruction)
    evaluated = evaluation_demand(asked, config.evaluate.arms, config.evaluate.sampling, lengths)
    return resolved(config.pool, model, largest((trained, validated, evaluated)))


def evaluate_model(
    config: PipelineConfig, pool: RolloutPool, data: Path, name: str, run_dir: RunDir
) -> list[EvaluationRow]:
    """Return the rows of one model: ordered frames, and for the last model every arm. A file keeps them."""
    kept = KeptRows(config.out / EVALUATION / f"{name}.jsonl")
    if not kept.is_whole:
        kept.finish(asyncio.run(_evaluate(config, pool, Dataset.open(data), name, kept, run_dir)))
    return kept.whole()


async def _evaluate(
    config: PipelineConfig, pool: RolloutPool, dataset: Dataset, name: str, kept: KeptRows, run_dir: RunDir
) -> list[EvaluationRow]:
    with run_dir.timed(part_of("evaluate", "weights")):
        await load_model(config, pool, name)

    def log_seconds(part: str, seconds: float) -> None:
        run_dir.log_seconds(part_of("evaluate", f"{name}, {part}"), seconds)

    questions = SampleQuestions.of(dataset, range(len(dataset)), config.evaluate.instruction)
    arms = config.evaluate.arms if name == MODELS[-1] else ("ordered",)
    return await ask(pool, questions, arms, config.evaluate.sampling, kept=kept, log_seconds=log_seconds)


async def load_model(config: PipelineConfig, pool: RolloutPool, name: str) -> None:
    """Give the engines the weights of a model that a stage has written."""
    folder = config.out / "base" if name == "base" else config.out / name / MODEL
    version = {"base": BASE_VERSION, "sft": 0, "grpo": FINAL_VERSION}[name]
    files = sorted(folder.glob("*.safetensors"))
    weights = (weight for file in files for weight in load_file(file).items())
    await pool.load_weights(publish(weights, version, bucket_bytes=config.pool.weight_bucket_mib << 20))


def accuracy(rows: Mapping[str, Sequence[EvaluationRow]]) -> dict[str, dict[str, Any]]:
    """Return the table as JSON values: chance, every model on ordered frames, every arm of the last model."""
    arms = by_arm(rows["grpo"])
    models = {name: by_arm(rows[name])["ordered"] for name in MODELS}
    table = {}
    for task, entry in by_task({**models, **arms}).items():
        values = {name: interval["value"] for name, interval in entry["intervals"].items()}
        table[task] = {
            **entry,
            **{name: values[name] for name in MODELS},
            "n": entry["intervals"]["grpo"]["n"],
            "arms": {arm: values[arm] for arm in arms},
        }
    return table
