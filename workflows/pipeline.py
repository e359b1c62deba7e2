"""``temporay run``: data → audit → base model → SFT → GRPO → evaluation → report, in one folder.

Every stage leaves a finished result behind, so running the command again goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from safetensors.torch import load_file
from temporay.models.weights import pack
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.scoring.arms import ARMS
from temporay.operators.scoring.metrics import ConfidenceInterval, TableRow, render_table
from temporay.workflows.base_model import BaseModelSettings, make_base_model
from temporay.workflows.config import converted
from temporay.workflows.data import audit, generate
from temporay.workflows.evaluate import (
    EvaluateSettings,
    EvaluationRow,
    by_task,
    chance_of,
    evaluate,
    read_rows,
    unread_share,
    write_rows,
)
from temporay.workflows.grpo import loop as grpo
from temporay.workflows.grpo.settings import GrpoConfig, GrpoSettings
from temporay.workflows.learner.learner import MODEL
from temporay.workflows.reports import report
from temporay.workflows.rollouts.pool import RolloutPool
from temporay.workflows.rollouts.settings import PoolConfig
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session
from temporay.workflows.sft import loop as sft
from temporay.workflows.sft.settings import SftConfig, SftSettings

KIND = "run"
MODELS = ("base", "sft", "grpo")
DATA, EVALUATION = "data", "evaluation"
# Engines tell weights apart by version alone: those of the updates count from 0 up.
BASE_VERSION, FINAL_VERSION = -1, 1 << 30


class PipelineSettings(Recipe):
    """The recipe of the training split, and the settings of every stage."""

    split: Literal["train"] = "train"  # the other two are made of the same recipe
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

    def recipe_of(self, split: Literal["train", "rl", "test"]) -> Recipe:
        """Return the recipe of one split."""
        num_samples = {"train": self.num_samples, "rl": self.num_rl_samples, "test": self.num_test_samples}[split]
        return converted(Recipe, self, split=split, num_samples=num_samples)


def run(config: PipelineConfig) -> dict[str, Any]:
    """All stages, each skipped if its result is there; returns what summary.json holds."""
    run_dir = RunDir.open(config.out, config, kind=KIND)
    finished = run_dir.summary()
    if finished is None:
        finished = run_stages(config, run_dir)
    print(table(finished))
    print(f"report: {config.out / report.PAGE}")
    return finished


def run_stages(config: PipelineConfig, run_dir: RunDir) -> dict[str, Any]:
    """The main line, one stage after the other."""
    with ray_session():
        with run_dir.stage("data"):
            data = make_data(config)
        with run_dir.stage("audit"):
            audited = audit.run(audit.AuditConfig(data=data["train"]))
        with run_dir.stage("base_model"):
            base = base_model(config, data["train"], run_dir)
        with run_dir.stage("sft"):
            sft.run(sft_config(config, data["train"], base))
        with run_dir.stage("engine"):
            pool = RolloutPool.start(config.pool, config.out / "sft" / MODEL)
        with run_dir.stage("evaluate"):
            rows = {name: evaluate_model(config, pool, data["test"], name) for name in ("sft", "base")}
        with run_dir.stage("grpo"):
            improved = grpo.run_with(grpo_config(config, data["rl"]), pool)
        with run_dir.stage("evaluate"):
            rows["grpo"] = evaluate_model(config, pool, data["test"], "grpo")
        pool.close()
    result = {
        "engine": pool.engine_name,
        "accuracy": accuracy(rows),
        "grpo": {name: value for name, value in improved.items() if name not in ("seconds", "versions")},
        "audit_passed": audited["passed"],
    }
    summary = run_dir.finish(result)
    report.write(config.out, summary)
    return summary


def make_data(config: PipelineConfig) -> dict[str, Path]:
    """The three splits; no image and no address is in two of them."""
    folders = {split: config.out / DATA / split for split in ("train", "rl", "test")}
    for split, folder in folders.items():
        generate.build(config.recipe_of(split), folder, config.num_data_workers)  # type: ignore[arg-type]
    return folders


def base_model(config: PipelineConfig, data: Path, run_dir: RunDir) -> Path:
    """The model training starts from, made once."""
    out = config.out / "base"
    if not out.exists():
        dataset = Dataset.open(data)
        make_base_model(config.base_model, [dataset.sample(i) for i in range(len(dataset))], run_dir, out)
    return out


def sft_config(config: PipelineConfig, data: Path, model: Path) -> SftConfig:
    return converted(SftConfig, config.sft, data=data, model=model, out=config.out / "sft")


def grpo_config(config: PipelineConfig, data: Path) -> GrpoConfig:
    model = config.out / "sft" / MODEL
    return converted(GrpoConfig, config.grpo, data=data, model=model, out=config.out / "grpo", pool=config.pool)


def evaluate_model(config: PipelineConfig, pool: RolloutPool, data: Path, name: str) -> list[EvaluationRow]:
    """Rows of one model, ordered frames; of the last one under every arm. Kept in a file, read from there again."""
    path = config.out / EVALUATION / f"{name}.jsonl"
    if path.exists():
        return read_rows(path)
    dataset = Dataset.open(data)
    arms = config.evaluate.arms if name == MODELS[-1] else ("ordered",)
    rows = asyncio.run(_evaluate(config, pool, dataset, arms, name))
    path.parent.mkdir(exist_ok=True)
    write_rows(path, rows)
    return rows


async def _evaluate(
    config: PipelineConfig, pool: RolloutPool, dataset: Dataset, arms: Sequence[Any], name: str
) -> list[EvaluationRow]:
    folder = config.out / "base" if name == "base" else config.out / name / MODEL
    version = {"base": BASE_VERSION, "sft": 0, "grpo": FINAL_VERSION}[name]
    state = {key: tensor for file in sorted(folder.glob("*.safetensors")) for key, tensor in load_file(file).items()}
    await pool.load_weights(version, pack(state, version))
    return await evaluate(pool, pool.processor, dataset, range(len(dataset)), arms, config.evaluate)


def accuracy(rows: dict[str, list[EvaluationRow]]) -> dict[str, dict[str, Any]]:
    """The table as JSON: per primitive chance, every model on ordered frames, every arm of the last one."""
    chance = chance_of(rows["grpo"])
    ordered = {name: by_task(rows[name], "ordered") for name in MODELS}
    arms = {arm: by_task(rows["grpo"], arm) for arm in dict.fromkeys(row.arm for row in rows["grpo"])}
    return {
        task: {
            "chance": chance[task],
            **{name: ordered[name][task].value for name in MODELS},
            "n": ordered["grpo"][task].n,
            "arms": {arm: arms[arm][task].value for arm in arms},
            "unread": {
                **{name: unread_share(rows[name], task, "ordered") for name in MODELS},
                **{arm: unread_share(rows["grpo"], task, arm) for arm in arms},
            },
            "intervals": {
                **{name: asdict(ordered[name][task]) for name in MODELS},
                **{arm: asdict(arms[arm][task]) for arm in arms},
            },
        }
        for task in chance
    }


def table(summary: dict[str, Any]) -> str:
    """What the run ends with: accuracies with intervals, then the rewards of GRPO."""
    rows = [
        TableRow(
            name=task,
            n=entry["n"],
            chance=entry["chance"],
            arms={name: ConfidenceInterval(**interval) for name, interval in entry["intervals"].items()},
        )
        for task, entry in summary["accuracy"].items()
    ]
    rl = summary["grpo"]
    columns = (*MODELS, *(arm for arm in ARMS if arm != "ordered"))
    rewards = (
        f"reward {rl['reward_first']:.3f} → {rl['reward_last']:.3f} (first and last quarter of {rl['steps']} steps)"
    )
    checks = f"parity {rl['parity_max_abs']:.1e}, decodes per prompt {rl['decodes_per_prompt']:g}"
    unread = "; ".join(
        f"{task} " + ", ".join(f"{column} {100 * entry['unread'][column]:.0f} %" for column in columns)
        for task, entry in summary["accuracy"].items()
    )
    return (
        f"{render_table(rows, arms=columns)}\nanswers that name no option (wrong; in the last three columns a guess): "
        f"{unread}\ngrpo: {rewards}; engine {summary['engine']}, {checks}"
    )
