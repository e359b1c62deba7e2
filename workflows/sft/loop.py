"""Supervised fine-tuning on one or several datasets: Ray tasks decode, Ray Train's workers learn (FSDP2).

samples → token counts → schedule of steps → clips (Ray tasks) → micro-batches (prefetch thread) → updates →
validation now and then → OUT/model, OUT/best
"""

import shutil
from collections.abc import Mapping
from functools import partial
from typing import Any

import ray
from temporay.models.families._base import family_of
from temporay.operators.dataset.opening import check_dropped
from temporay.operators.videos.reading import KEPT_WHERE
from temporay.workflows.data.own_data import tell_dropped
from temporay.workflows.learner.best import best_phrase, best_summary, check_metric, check_no_metric
from temporay.workflows.learner.learner import RAY_STORAGE, fit, make_trainer, steps_done
from temporay.workflows.learner.scaling import DATA_TASK, worker_need
from temporay.workflows.learner.scaling import tell as tell_need
from temporay.workflows.learner.settings import MAY_CHANGE, rate_change
from temporay.workflows.learner.stopping import stop_on_sigterm
from temporay.workflows.placement import RoleNeed
from temporay.workflows.room import read_cluster, refuse_what_never_fits
from temporay.workflows.runs.progress import follow_metrics
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.runs.trackers import check_trackers, mirrored
from temporay.workflows.session import ray_session
from temporay.workflows.sft.begun_lines import as_begun
from temporay.workflows.sft.inputs import Inputs, check_model, held_out_part, prepare, questions_to_ask
from temporay.workflows.sft.learner import STAGE, train_loop
from temporay.workflows.sft.log import summarize
from temporay.workflows.sft.mixture import parts_of
from temporay.workflows.sft.settings import SftConfig

MAY_CHANGE_OF_SFT = (*MAY_CHANGE, *(f"video_reading.{name}" for name in KEPT_WHERE))


def run(config: SftConfig, *, callbacks: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Fine-tune a model into OUT/model and return what summary.json holds.

    Args:
        callbacks: Ray Train's, e.g. those of Tune.

    Raises:
        UserError: data, model or settings are not valid, or the data changed since the run began.
        KeyboardInterrupt: SIGTERM came; a checkpoint of the last step is written.
    """
    config = config.absolute()
    parts = parts_of(config.data, config.mixture, config.video_reading, config.out)
    check(config)
    for part in parts:
        check_dropped(part.path, part.num_rows, part.dropped, config.max_dropped_share)
    held_out = held_out_part(config, parts)
    check_model(config, parts)
    asked = questions_to_ask(config)
    run_dir = RunDir.open(config.out, config, kind=STAGE, may_change=MAY_CHANGE_OF_SFT)
    tell_dropped(STAGE, config.out, {part.path: part.dropped for part in parts})
    finished = run_dir.summary()
    if finished is not None:
        return finished
    parts = as_begun(parts, config.out)
    if change := rate_change(config, run_dir.earlier, steps_done(config)):
        print(f"{STAGE}: {change}", flush=True)
    with (
        ray_session(),
        run_dir.stage(STAGE),
        mirrored(config.out, config.trackers),
        follow_metrics(config.out, STAGE, config.num_steps),
    ):
        need = worker_need(config, read_cluster())
        tell_need(need, read_cluster())
        refuse_what_never_fits([need, DATA_TASK])  # before tokens are counted
        with run_dir.timed("counting tokens"):
            inputs = prepare(config, parts, None if asked else held_out, asked)
        with stop_on_sigterm(config.out, config.stop_grace_s):
            learn(config, inputs, need, callbacks)
    shutil.rmtree(config.out / RAY_STORAGE, ignore_errors=True)
    summary = summarize(config, inputs, run_dir.rows(STAGE))
    if summary["num_steps"] < config.num_steps:
        print(
            f"{STAGE}: stopped after {summary['num_steps']} of {config.num_steps} steps: at least "
            f"{config.stop_when_exact} of every kind of held-out target is right to the last token (stop_when_exact)",
            flush=True,
        )
    return run_dir.finish(summary | best_summary(config.out))


def check(config: SftConfig) -> None:
    """Refuse what cannot work, before anything starts.

    Raises:
        UserError: there is no such model, the arms do not give the metric, a metric was chosen and there is nothing to
            validate on, or the package of a tracker is missing.
    """
    family_of(config.model)
    if config.validation is not None:
        check_metric(config.best_metric, config.validation_arms)
    else:
        check_no_metric(config.best_metric, SftConfig)
    check_trackers(config.trackers)


def learn(config: SftConfig, inputs: Inputs, need: RoleNeed, callbacks: tuple[Any, ...]) -> None:
    """Run the workers to the end; when one dies, all start again from the newest checkpoint."""
    make = partial(make_trainer, train_loop, {"inputs": [ray.put(inputs)]}, config, need=need, callbacks=callbacks)
    fit(make, [need, DATA_TASK], config.max_failures)


def tell(summary: Mapping[str, Any]) -> None:
    """Print the loss, the share of time spent waiting for data, and where the models are."""
    last = f"the model is in {summary['model']}{best_phrase(summary)}"
    if summary["unread"]:
        print(
            f"{summary['unread']} samples could not be read and were left out; summary.json names them (unread_samples)"
        )
    print(f"loss {summary['loss']:.4f}; waited for data {summary['wait']:.1%} of the time; {last}")
