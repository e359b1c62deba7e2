"""Stand-ins for wandb 0.31 and mlflow 3.17 with their public signatures: a call they refuse fails here too."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

WANDB_INIT = {
    *("entity", "project", "dir", "id"),
    *("name", "notes", "tags", "config"),
    *("config_exclude_keys", "config_include_keys", "allow_val_change", "group"),
    *("job_type", "mode", "force", "reinit"),
    *("resume", "resume_from", "fork_from", "save_code"),
    *("tensorboard", "sync_tensorboard", "monitor_gym", "settings"),
}


@dataclass
class FakeWandbRun:
    id: str
    options: dict[str, Any]
    logged: list[dict[str, Any]] = field(default_factory=list)
    axes: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None

    def log(self, data: dict[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        assert step is None and all(isinstance(name, str) for name in data)
        self.logged.append(data)

    def define_metric(
        self,
        name: str,
        step_metric: str | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        overwrite: bool | None = None,
    ) -> None:
        assert "*" not in name or name.endswith("*")  # a glob only at the end
        self.axes[name] = step_metric

    def finish(self, exit_code: int | None = None) -> None:
        self.exit_code = exit_code


class FakeWandb:
    def __init__(self) -> None:
        self.runs: list[FakeWandbRun] = []

    def init(self, **settings: Any) -> FakeWandbRun:
        assert settings.keys() <= WANDB_INIT, f"wandb.init takes no {settings.keys() - WANDB_INIT}"
        mode = settings.get("mode")
        assert mode in (None, "online", "offline", "disabled", "shared")
        assert settings.get("resume") in (None, "allow", "never", "must", "auto")
        options = {"mode": mode, "resume": settings.get("resume"), "dir": settings.get("dir")}
        run = FakeWandbRun(id=settings.get("id") or f"made{len(self.runs)}", options=options)
        self.runs.append(run)
        return run


@dataclass
class FakeMetric:
    key: str
    value: float
    timestamp: int
    step: int
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


class FakeMlflow:
    """The module; its client's store is shared by all clients, as a server's is."""

    def __init__(self) -> None:
        self.uris: list[str | None] = []
        self.experiments: dict[str, str] = {}
        self.status: dict[str, str | None] = {}
        self.metrics: list[FakeMetric] = []
        store = self

        class MlflowClient:
            def __init__(
                self,
                tracking_uri: str | None = None,
                registry_uri: str | None = None,
                workspace_store_uri: str | None = None,
            ) -> None:
                store.uris.append(tracking_uri)

            def get_experiment_by_name(self, name: str) -> Any:
                found = store.experiments.get(name)
                return None if found is None else SimpleNamespace(experiment_id=found)

            def create_experiment(
                self, name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None
            ) -> str:
                assert name not in store.experiments
                store.experiments[name] = str(len(store.experiments))
                return store.experiments[name]

            def create_run(
                self,
                experiment_id: str,
                start_time: int | None = None,
                tags: dict[str, Any] | None = None,
                run_name: str | None = None,
            ) -> Any:
                assert experiment_id in store.experiments.values()
                run_id = f"run{len(store.status)}"
                store.status[run_id] = "RUNNING"
                return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

            def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
                assert run_id in store.status
                store.status[run_id] = status

            def log_batch(
                self, run_id: str, metrics: Any = (), params: Any = (), tags: Any = (), synchronous: bool | None = None
            ) -> None:
                assert run_id in store.status and len(metrics) <= 1000
                assert all(isinstance(metric, FakeMetric) for metric in metrics)
                store.metrics.extend(metrics)

            def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
                assert status in ("FINISHED", "FAILED", "KILLED")
                store.status[run_id] = status

        self.MlflowClient = MlflowClient
