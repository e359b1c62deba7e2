"""The best weights of a run: a higher accuracy is better, a lower loss is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from temporay.models.parallel import this_process
from temporay.operators.errors import UserError
from temporay.workflows.learner import best
from temporay.workflows.learner.best import BEST, best_summary, check_metric, finish_best, keep_if_best, read_best

ALONE = this_process(torch.device("cpu"))


@pytest.mark.parametrize(("metric", "step"), [("ordered_accuracy", 4), ("ordered_loss", 8)])
def test_the_first_of_the_best_weights_is_kept(
    metric: str, step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(policy: Any, model: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "weights").write_text(str(learner.step))

    monkeypatch.setattr(best, "export", export)
    learner: Any = SimpleNamespace(
        config=SimpleNamespace(out=tmp_path, model=tmp_path), policy=SimpleNamespace(parallel=ALONE), step=0
    )
    values = {2: 0.5, 4: 0.7, 6: 0.7, 8: 0.3, 10: 0.4}
    for learner.step, value in values.items():
        keep_if_best(learner, metric, value)
    found = read_best(tmp_path)
    assert found is not None
    assert (found.step, found.value, found.metric) == (step, values[step], metric)
    assert len(list(tmp_path.glob("*/step-*"))) == 1
    assert finish_best(tmp_path) == finish_best(tmp_path) == found
    assert (tmp_path / BEST / "weights").read_text() == str(step)
    assert best_summary(tmp_path)["best"]["model"] == str(tmp_path / BEST)


def test_a_metric_needs_its_arms(tmp_path: Path) -> None:
    check_metric("shuffled_gap", ("ordered", "shuffled"))
    with pytest.raises(UserError, match="blind_gap needs the arms blind, ordered, and validation_arms lacks blind"):
        check_metric("blind_gap", ("ordered", "shuffled"))
    assert best_summary(tmp_path) == {}


@pytest.mark.parametrize("content", ['{"step": 4, "val', '{"step": 4}', "[1]"])
def test_a_damaged_record_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "best.json").write_text(content)
    with pytest.raises(UserError, match=r"best\.json is damaged .*; remove it"):
        read_best(tmp_path)
