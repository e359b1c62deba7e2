"""``temporay export-model``: the weights of any checkpoint of a run as a model that transformers and vLLM load.

RUN/config.json, RUN/checkpoints/step-… (any number of ranks) → one process without a GPU → OUT, as RUN/model
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import tyro
from temporay.models.checkpoint import load_weights
from temporay.models.checkpoint_folder import MANIFEST, finished, latest, verify
from temporay.models.export import export
from temporay.models.families._base import family_of
from temporay.models.parallel import group_of_one, this_process
from temporay.models.policy import Policy, PolicySettings
from temporay.operators.errors import UserError
from temporay.operators.files import read_json
from temporay.operators.settings import Settings
from temporay.workflows.config import validated
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.learner.best import BEST
from temporay.workflows.learner.learner import CHECKPOINTS, MODEL
from temporay.workflows.learner.settings import TrainingConfig
from temporay.workflows.runs.run_dir import BEGIN_AGAIN
from temporay.workflows.sft.settings import SftConfig

KINDS: dict[str, type[TrainingConfig]] = {"sft": SftConfig, "grpo": GrpoConfig}
OF_STEPS = ("num_iterations", "mini_batches")  # what a step of grpo is made of


class ExportModelConfig(Settings):
    """Settings of ``temporay export-model``."""

    run: tyro.conf.Positional[Path]  # the folder of a run of sft or grpo, finished or not
    out: Path  # a new folder
    step: int | None = None  # steps that its weights are done with; None: the newest checkpoint
    model: Path | None = None  # the model that the run started from, if it is elsewhere now


def run(config: ExportModelConfig) -> dict[str, Any]:
    """Write the model; return its step and its folder.

    The weights are those of OUT/model at the same step, to the last bit. An adapter is merged on the CPU: if the run
    merged it on a GPU, bits of rounding may differ.

    Raises:
        UserError: there is no such run or step, the checkpoint is damaged or of another model, or ``out`` exists.
    """
    training = training_of(config.run)
    if config.out.exists():
        raise UserError(f"{config.out} exists; give --out a new folder")
    step, path = checkpoint_of(config.run, config.step, training.updates_per_step)
    source = (config.model or training.model).absolute()
    settings = PolicySettings(optimizer=training.optimizer, total_steps=training.num_steps, trained=training.trained)
    with group_of_one() as parallel:
        policy = Policy.load(source, family_of(source), settings, parallel)
        load_weights(policy, path)
        config.out.absolute().parent.mkdir(parents=True, exist_ok=True)
        export(policy, source, config.out.absolute())
    return {"step": step, "model": str(config.out)}


def training_of(run: Path) -> TrainingConfig:
    """Read what a run trained and from which model; other settings keep their defaults.

    Raises:
        UserError: the folder is not that of a run that trains.
    """
    path = run / "config.json"
    if not path.is_file():
        raise UserError(f"{run} is not the folder of a run (no config.json); give the --out of sft or grpo")
    tree = read_json(path, BEGIN_AGAIN)
    command = tree.get("command", "no known command")
    if command not in KINDS:
        where = f"; give {run / 'sft'} or {run / 'grpo'}" if command == "run" else ""
        raise UserError(f"{run} is a run of {command}, which has no checkpoints{where}")
    kept = (*TrainingConfig.model_fields, *OF_STEPS)
    return validated(KINDS[command], {name: tree[name] for name in kept if name in tree})


def checkpoint_of(run: Path, step: int | None, updates_per_step: int) -> tuple[int, Path]:
    """Find the checkpoint of a step, or the newest one that is whole; return its step and its folder.

    Raises:
        UserError: there is none, with the steps that there are, or it is damaged, with the file.
    """
    root = run / CHECKPOINTS
    if step is None:
        newest = latest(root)
        if newest.path is None:
            models = " and ".join(str(run / name) for name in (MODEL, BEST) if (run / name).exists())
            there = f"; {models} can be used as they are" if models else "; wait until its first one is written"
            raise UserError(f"{run} has no finished checkpoint (with {MANIFEST}){there}")
        if newest.message:
            print(newest.message.replace("resuming from", "taking optimizer"), flush=True)
        return newest.step // updates_per_step, newest.path
    paths = {done // updates_per_step: path for done, path in finished(root)}
    if step not in paths:
        there = ", ".join(map(str, sorted(paths))) or "none"
        raise UserError(f"{run} has no checkpoint of step {step} (there are: {there}); give one of these")
    if fault := verify(paths[step], this_process(torch.device("cpu"))):
        raise UserError(f"checkpoint {paths[step]} is damaged: {fault}; give another --step")
    return step, paths[step]


def tell(result: Mapping[str, Any]) -> None:
    """Print where the model is."""
    print(f"the model after step {result['step']} is in {result['model']}")
