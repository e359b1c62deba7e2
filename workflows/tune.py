"""Search over fine-tuning settings by their dotted names: Ray Tune over Ray Train, unpromising trials stopped early.

Every trial is an ordinary ``temporay sft`` run in OUT/trials. Stopping rule: ASHA by training loss, arXiv 1810.05934.
Of the trials that finish, the best is the one with the best validation; without validation, with the lowest loss.
"""

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import Field
from ray import tune
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import ASHAScheduler
from temporay.operators.errors import UserError, error_behind
from temporay.operators.own_data.sources import absolute_source
from temporay.operators.seeding import rng_at
from temporay.operators.settings import Settings
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.config import converted, json_or_word, replaced
from temporay.workflows.data.own_data import at_hand
from temporay.workflows.learner.best import BEST, goodness
from temporay.workflows.learner.learner import MODEL
from temporay.workflows.learner.scaling import DATA_TASK, worker_need
from temporay.workflows.placement import ClusterState, RoleNeed, most_at_once
from temporay.workflows.room import await_room, read_cluster
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session
from temporay.workflows.sft.inputs import check_model, held_out_part
from temporay.workflows.sft.loop import check
from temporay.workflows.sft.loop import run as fine_tune
from temporay.workflows.sft.mixture import parts_of
from temporay.workflows.sft.settings import SftConfig, SftSettings

TRIAL_CPU = 0.01  # of the process that only waits for a trial's workers
STOPPED_TRIAL_KILL_S = 10  # Tune's default is 600
COMPARED_BY = frozenset({"best_metric", "validation_arms", "validation_samples"})
REDUCTION_FACTOR = 3  # of the trials that reach a rung, one in three goes on


class TuneSettings(Settings):
    """What is tried, wherever the model and the samples are."""

    sft: SftSettings = SftSettings()  # what every trial has in common
    search: tuple[str, ...] = ("optimizer.lr=1e-4..1e-2",)  # NAME=A,B,C tries each, NAME=LOW..HIGH draws log-uniformly
    num_samples: int = Field(default=4, ge=1)  # draws from the ranges, for every combination of the listed values
    seed: int = 0  # of the draws


class TuneConfig(TuneSettings):
    """Settings of ``temporay tune``."""

    data: Path
    model: Path
    out: Path
    video_reading: VideoReading = VideoReading()  # how videos of own data are read
    validation: Path | None = None  # held out; the best trial is the one with the best ``sft.best_metric`` on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One setting and what came of it."""

    settings: Mapping[str, Any]
    loss: float | None  # mean training loss up to its last report
    steps: int
    status: str  # finished, stopped (by ASHA), or failed
    error: str = ""
    validated: float | None = None  # the best value of ``sft.best_metric``; None without validation


def trial_settings(search: Sequence[str], num_samples: int, seed: int) -> list[dict[str, Any]]:
    """Return the settings to try: every combination of listed values, times the values chosen from ranges.

    Raises:
        UserError: an entry is not ``NAME=A,B`` or ``NAME=LOW..HIGH``.
    """
    listed: dict[str, list[Any]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for entry in search:
        name, equals, text = entry.partition("=")
        try:
            if not equals:
                raise ValueError("it has no =")
            if ".." in text:
                low, high = map(float, text.split(".."))
                if not 0 < low < high:
                    raise ValueError("a range needs 0 < LOW < HIGH")
                ranges[name] = (low, high)
            else:
                listed[name] = [json_or_word(part) for part in text.split(",")]
        except ValueError as error:
            raise UserError(
                f"search entry {entry!r} cannot be read ({error}); give NAME=A,B,C or NAME=LOW..HIGH"
            ) from error
    combinations = [dict(zip(listed, values, strict=True)) for values in itertools.product(*listed.values())]
    draws = [
        {
            name: low * (high / low) ** float(rng_at("tune", seed, i, name).random())
            for name, (low, high) in ranges.items()
        }
        for i in range(num_samples if ranges else 1)
    ]
    return [combination | chosen for combination in combinations for chosen in draws]


def trial_needs(sft: SftSettings, cluster: ClusterState) -> list[RoleNeed]:
    """Return what one trial needs: workers, what makes their data, and a process that waits for them."""
    own = RoleNeed(role="trial", count=1, each={"CPU": TRIAL_CPU}, change="num_workers")
    return [worker_need(sft, cluster), DATA_TASK, own]


def run_trial(parameters: Mapping[str, Any]) -> None:
    """Run one trial in a Tune process: an SFT run that reports at its checkpoints and resumes from them."""
    candidate = parameters["candidate"]
    config: TuneConfig = candidate["config"]
    out = config.out / "trials" / f"{candidate['index']:03d}"
    summary = fine_tune(trial_config(config, candidate["settings"], out), callbacks=(TuneReportCallback(),))
    best = {"validated": summary["best"]["value"]} if "best" in summary else {}
    tune.report({"loss": summary["loss"], "step": summary["num_steps"], **best})


def trial_config(config: TuneConfig, chosen: Mapping[str, Any], out: Path) -> SftConfig:
    """Return the settings of one trial.

    Raises:
        UserError: a name or value is not valid.
    """
    where = {
        "data": config.data,
        "model": config.model,
        "validation": config.validation,
        "out": out,
        "video_reading": config.video_reading,
    }
    return converted(SftConfig, replaced(config.sft, chosen), **where)


def search(config: TuneConfig, settings: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """Run all trials and return them in the order of the settings."""
    # A stopped trial's process waits in Ray Train; until it is killed, its workers hold CPUs that the next one needs.
    os.environ.setdefault("TUNE_FORCE_TRIAL_CLEANUP_S", str(STOPPED_TRIAL_KILL_S))
    cluster = read_cluster()
    needs = trial_needs(config.sft, cluster)
    await_room(needs)  # for the first; what trials say is not seen here
    concurrent = most_at_once(needs, cluster, len(settings))
    print(f"{len(settings)} trials, {concurrent} at a time", flush=True)
    candidates = [{"index": i, "settings": dict(chosen), "config": config} for i, chosen in enumerate(settings)]
    tuner = tune.Tuner(
        tune.with_resources(run_trial, {"CPU": TRIAL_CPU}),
        param_space={"candidate": tune.grid_search(candidates)},
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            max_concurrent_trials=concurrent,
            scheduler=ASHAScheduler(
                time_attr="step",
                max_t=config.sft.num_steps + 1,  # a trial that reaches its last step still has its model to write
                grace_period=min(config.sft.checkpoint_every, config.sft.num_steps),
                reduction_factor=REDUCTION_FACTOR,
            ),
        ),
        run_config=tune.RunConfig(name="search", storage_path=str(config.out / "ray_tune"), verbose=0),
    )
    results = {result.config["candidate"]["index"]: result for result in tuner.fit() if result.config}
    return [_trial(config, chosen, results.get(i)) for i, chosen in enumerate(settings)]


def _trial(config: TuneConfig, settings: Mapping[str, Any], result: Any) -> Trial:
    if result is None:
        return Trial(settings=settings, loss=None, steps=0, status="failed", error="Ray Tune returned no result")
    metrics = result.metrics or {}
    steps = int(metrics.get("step", 0))
    if result.error is not None:
        cause = error_behind(result.error, UserError) or result.error
        return Trial(settings=settings, loss=metrics.get("loss"), steps=steps, status="failed", error=str(cause))
    status = "finished" if steps >= config.sft.num_steps else "stopped"
    return Trial(
        settings=settings, loss=metrics["loss"], steps=steps, status=status, validated=metrics.get("validated")
    )


def table(trials: Sequence[Trial], metric: str = "") -> str:
    """Return the trials as plain text, best first; ``metric`` is what validation measured, "" without one."""
    names = sorted({name for trial in trials for name in trial.settings})
    lines = [[*names, *([metric] if metric else []), "loss", "steps", "status"]]
    for trial in sorted(trials, key=lambda trial: _rank(trial, metric)):
        chosen = [trial.settings.get(name) for name in names]
        shown = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in chosen]
        measured = [trial.validated, trial.loss] if metric else [trial.loss]
        shown += ["-" if value is None else f"{value:.4f}" for value in measured]
        lines.append([*shown, str(trial.steps), trial.status])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _rank(trial: Trial, metric: str) -> tuple[bool, float, float]:
    badness = _finite(-goodness(metric, trial.validated) if trial.validated is not None else None)
    return trial.status != "finished", badness if metric else 0.0, _finite(trial.loss)


def _finite(value: float | None) -> float:
    """Return a value that sorts behind all others where there is none, or it is not a number."""
    return math.inf if value is None or math.isnan(value) else value


def run(config: TuneConfig) -> dict[str, Any]:
    """Search; return what summary.json holds.

    Raises:
        UserError: a name or value of ``search``, the data or the model is not valid, the cluster is too small, or no
            trial finished.
    """
    paths = {name: getattr(config, name) for name in ("data", "model", "out", "validation")}
    config = replaced(config, {name: absolute_source(path) for name, path in paths.items() if path is not None})
    config = config.model_copy(update={"data": at_hand(config.data, config.out)})
    if config.validation is not None:
        config = config.model_copy(update={"validation": at_hand(config.validation, config.out)})
    settings = trial_settings(config.search, config.num_samples, config.seed)
    if fixed := COMPARED_BY.intersection(*settings[:1]):
        raise UserError(f"search names {', '.join(sorted(fixed))}, by which trials are compared; give --sft.… instead")
    for chosen in settings:
        check(trial_config(config, chosen, config.out / "trials"))
    first, parts = trial_config(config, settings[0], config.out), parts_of(config.data, (), config.video_reading)
    held_out_part(first, parts)
    check_model(first, parts)
    run_dir = RunDir.open(config.out, config, kind="tune")
    finished = run_dir.summary()
    if finished is not None:
        print(finished["table"])
        return finished
    with ray_session(), run_dir.stage("tune"):
        trials = search(config, settings)
    metric = config.sft.best_metric if config.validation is not None else ""
    best = min(trials, key=lambda trial: _rank(trial, metric))
    if best.status != "finished":
        raise UserError(f"no trial finished; the first error: {next((t.error for t in trials if t.error), 'none')}")
    rows = [asdict(trial) for trial in trials]
    index = trials.index(best)
    model = config.out / "trials" / f"{index:03d}" / (BEST if metric else MODEL)
    summary = run_dir.finish({"best": rows[index], "model": str(model), "trials": rows, "table": table(trials, metric)})
    print(summary["table"])
    return summary
