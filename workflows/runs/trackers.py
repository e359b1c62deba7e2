"""Curves for TensorBoard, W&B and MLflow, mirrored from metrics.jsonl while a run writes it.

    workers and driver → RUN/metrics.jsonl → one follower in the driver → every tracker

metrics.jsonl is the truth. TensorBoard's files are written anew from it whenever lines were taken back (a resumed run
takes steps again), so its curves are exactly the file's. W&B and MLflow cannot forget: they get every step of a stage
once, the one that came first, and RUN/trackers.json holds how far they are. No request leaves the machine unless the
environment asks for it: W&B is offline without WANDB_MODE, MLflow writes to RUN/mlflow without MLFLOW_TRACKING_URI.
"""

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

from temporay.operators.errors import UserError
from temporay.operators.files import write_json
from temporay.workflows.runs.metrics_tail import MetricsTail, StepRow
from temporay.workflows.runs.run_dir import METRICS

TrackerName = Literal["tensorboard", "wandb", "mlflow"]
Trackers = tuple[TrackerName, ...]
PACKAGES: dict[TrackerName, str] = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}
STATE = "trackers.json"
PROJECT = "temporay"  # of W&B without WANDB_PROJECT; MLflow's experiment without MLFLOW_EXPERIMENT_NAME
POLL_S = 2.0
QUIET = {"WANDB_ERROR_REPORTING": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}  # requests that packages make unasked


class Tracker(Protocol):
    """Where curves go. Called by one thread."""

    def forget(self) -> None:
        """Forget all rows: lines were taken back, and every row comes again from the first one on."""

    def send(self, rows: Sequence[StepRow]) -> None:
        """Take rows in the order of the file."""

    def close(self, *, failed: bool) -> None:
        """Take note that the run has ended."""


class TensorBoard:
    """RUN/tensorboard, a folder per stage, so that every stage counts its own steps."""

    def __init__(self, run: Path) -> None:
        self._folder = run / "tensorboard"
        self._writers: dict[str, Any] = {}

    def forget(self) -> None:
        self.close(failed=False)
        for path in self._folder.glob("*/events.out.tfevents.*"):
            path.unlink()

    def send(self, rows: Sequence[StepRow]) -> None:
        from tensorboardX import SummaryWriter  # loads protobuf

        for row in rows:
            if row.stage not in self._writers:  # purge_step: one that is watching drops what it read before
                folder = str(self._folder / row.stage)
                self._writers[row.stage] = SummaryWriter(folder, purge_step=row.step)
            for name, value in row.values.items():
                self._writers[row.stage].add_scalar(name, value, row.step)
        for writer in self._writers.values():
            writer.flush()

    def close(self, *, failed: bool) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


class OnceEach:
    """Passes every step of a stage on once. What is on its way is noted first: a kill leaves a gap, never a double."""

    def __init__(self, run: Path, name: TrackerName) -> None:
        self._path, self._name = run / STATE, name
        known = self._all().get(name, {})
        self._sent: dict[str, int] = known.get("sent", {})  # the last step of every stage
        self._inner = (Wandb if name == "wandb" else Mlflow)(run, known.get("id"))
        self._note()

    def forget(self) -> None:
        """Do nothing: what was sent cannot be taken back."""

    def send(self, rows: Sequence[StepRow]) -> None:
        fresh = []
        for row in rows:
            if row.step > self._sent.get(row.stage, -1):
                self._sent[row.stage] = row.step
                fresh.append(row)
        if fresh:
            self._note()
            self._inner.send(fresh)

    def close(self, *, failed: bool) -> None:
        self._inner.close(failed=failed)

    def _note(self) -> None:
        write_json(self._path, {**self._all(), self._name: {"id": self._inner.id, "sent": self._sent}})

    def _all(self) -> dict[str, Any]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}


class Wandb:
    """One W&B run, in RUN/wandb until it is sent; ``wandb sync RUN/wandb/offline-run-*`` sends an offline one.

    Source: https://docs.wandb.ai/ref/python/init
    """

    def __init__(self, run: Path, known_id: str | None) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=str(run),
            name=run.absolute().name,
            id=known_id,
            resume="allow" if known_id else None,
            mode=None if "WANDB_MODE" in os.environ else "offline",
            config=json.loads((run / "config.json").read_text()),
        )
        self.id = str(self._run.id)
        self._stages: set[str] = set()

    def send(self, rows: Sequence[StepRow]) -> None:
        for row in rows:
            axis = f"{row.stage}/step"  # an axis per stage: W&B's own step must not go back
            if row.stage not in self._stages:
                self._run.define_metric(f"{row.stage}/*", step_metric=axis)
                self._stages.add(row.stage)
            self._run.log({axis: row.step, **{f"{row.stage}/{name}": value for name, value in row.values.items()}})

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class Mlflow:
    """One MLflow run; in a database in RUN/mlflow unless MLFLOW_TRACKING_URI names another place.

    Source: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html
    """

    def __init__(self, run: Path, known_id: str | None) -> None:
        from mlflow import MlflowClient

        folder = (run / "mlflow").absolute()
        local = "MLFLOW_TRACKING_URI" not in os.environ
        if local:
            folder.mkdir(exist_ok=True)
        self._client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db" if local else None)
        if known_id:
            self._client.update_run(known_id, status="RUNNING")
            self.id = known_id
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        artifacts = (folder / "artifacts").as_uri() if local else None
        experiment = found.experiment_id if found else self._client.create_experiment(name, artifact_location=artifacts)
        self.id = str(self._client.create_run(experiment, run_name=run.absolute().name).info.run_id)

    def send(self, rows: Sequence[StepRow]) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        for row in rows:
            metrics = [Metric(f"{row.stage}/{name}", value, now_ms, row.step) for name, value in row.values.items()]
            self._client.log_batch(self.id, metrics=metrics)

    def close(self, *, failed: bool) -> None:
        self._client.set_terminated(self.id, status="FAILED" if failed else "FINISHED")


def check_trackers(names: Trackers) -> None:
    """Refuse trackers whose packages are not installed, before anything starts.

    Raises:
        UserError: a package is missing.
    """
    for name in names:
        if importlib.util.find_spec(PACKAGES[name]) is None:
            left = " ".join(other for other in names if other != name)
            raise UserError(
                f"trackers has {name}, whose package is not installed; run `pip install {PACKAGES[name]}`, "
                f"or leave it out: --trackers {left}".rstrip()
            )


def opened(run: Path, name: TrackerName) -> Tracker:
    """Start a tracker.

    Raises:
        UserError: it cannot start, e.g. because its server does not answer.
    """
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    try:
        if name == "tensorboard":
            return TensorBoard(run)
        return OnceEach(run, name)
    except Exception as error:  # of somebody else's package: whatever it is, the user can leave the tracker out
        raise UserError(
            f"the tracker {name} does not start ({type(error).__name__}: {error}); correct the cause or leave it out"
        ) from error


@contextmanager
def mirrored(run: Path, names: Trackers) -> Iterator[None]:
    """Send every step that the run logs inside the block to the trackers, the last steps before the block ends.

    A tracker that fails later is given up with a message, and the run goes on: its curves are still in metrics.jsonl.

    Raises:
        UserError: a tracker does not start.
    """
    trackers = {name: opened(run, name) for name in names}
    ended = threading.Event()
    failed = True
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="trackers") as executor:
        follower = executor.submit(_follow, MetricsTail(run / METRICS), trackers, ended)
        try:
            yield
            failed = False
        finally:
            ended.set()
            follower.result()
            for name in list(trackers):
                _call(trackers, name, "close", failed=failed)


def _follow(tail: MetricsTail, trackers: dict[TrackerName, Tracker], ended: threading.Event) -> None:
    last = False
    while not last:
        last = ended.wait(POLL_S)
        anew, rows = tail.read()
        for name in list(trackers):
            if anew:
                _call(trackers, name, "forget")
            _call(trackers, name, "send", rows)
    tail.close()


def _call(trackers: dict[TrackerName, Tracker], name: TrackerName, what: str, *values: Any, **options: Any) -> None:
    """Call a tracker. One that fails is given up, because training must not end for lack of a curve."""
    if name not in trackers:
        return
    try:
        getattr(trackers[name], what)(*values, **options)
    except Exception as error:  # of somebody else's package, which may raise anything
        del trackers[name]
        said = f"{type(error).__name__}: {error}"
        print(f"tracker {name} failed and is given up: {said}; every step is in {METRICS}", file=sys.stderr, flush=True)
