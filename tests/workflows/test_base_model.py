"""The base model reads the texts of the tasks that it is told to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from temporay.models.tiny import TinyShape
from temporay.operators.dataset.reader import Dataset
from temporay.workflows import base_model
from temporay.workflows.base_model import BaseModelSettings, make_base_model
from temporay.workflows.runs.run_dir import RunDir

from tests.small_data import write_dataset


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [((), {"motion_direction", "event_order"}), (("event_order",), {"event_order"})],
)
def test_only_some_tasks_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: tuple[str, ...], expected: set[str]
) -> None:
    read: set[str] = set()

    def note(_policy: Any, _processor: Any, _settings: Any, samples: Any, _run_dir: Any) -> None:
        read.update(sample.address.task for sample in samples)

    monkeypatch.setattr(base_model, "teach_to_read", note)
    dataset = Dataset.open(write_dataset(tmp_path / "data", tasks=("motion_direction", "event_order"), num_samples=40))
    shape = TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1)
    settings = BaseModelSettings(shape=shape, tasks=tasks, num_steps=1, threads=1)
    samples = [dataset.sample(i) for i in range(len(dataset))]
    make_base_model(settings, samples, RunDir(path=tmp_path, resumed=False), tmp_path / "base")
    assert read == expected and (tmp_path / "base" / "model.safetensors").is_file()
