"""What fine-tuning refuses before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.errors import UserError
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.config import validated
from temporay.workflows.sft.inputs import held_out_part
from temporay.workflows.sft.loop import check, run
from temporay.workflows.sft.mixture import parts_of
from temporay.workflows.sft.settings import SftConfig

from tests.small_data import write_dataset


def config(data: Path, model: Path, out: Path, **changes: Any) -> SftConfig:
    return validated(SftConfig, {"data": data, "model": model, "out": out, **changes})


def test_samples_that_are_trained_on_are_not_held_out(data: Path, model: Path, tmp_path: Path) -> None:
    parts = parts_of(data, (), VideoReading())
    assert held_out_part(config(data, model, tmp_path), parts) is None
    part = held_out_part(config(data, model, tmp_path, validation=data.with_name("held_out")), parts)
    assert part is not None and part.num_rows == 10
    with pytest.raises(UserError, match=r"10 of 10 samples of validation .* are in .*trained_on too"):
        held_out_part(config(data, model, tmp_path, validation=data), parts)
    other = write_dataset(tmp_path / "other", num_samples=2)
    mixed = parts_of(other, (f"{data.with_name('held_out')}=0.5",), VideoReading())
    with pytest.raises(UserError, match=r"are in .*held_out too"):
        held_out_part(config(data, model, tmp_path, validation=data.with_name("held_out")), mixed)


def test_a_metric_without_validation_is_refused(data: Path, model: Path, tmp_path: Path) -> None:
    check(config(data, model, tmp_path))
    with pytest.raises(UserError, match="best_metric is shuffled_gap, but nothing is validated"):
        check(config(data, model, tmp_path, best_metric="shuffled_gap"))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("model.safetensors", "cut short", "cannot be read"),
        ("chat_template.jinja", "hello", "writes 0 video markers"),
        ("chat_template.jinja", "{{ nothing.at_all }}", "makes no prompt"),
    ],
)
def test_a_model_that_cannot_learn_takes_no_folder(
    data: Path, model: Path, tmp_path: Path, file: str, text: str, message: str
) -> None:
    """A corrected command may then use the same OUT."""
    broken = shutil.copytree(model, tmp_path / "model")
    (broken / file).write_text(text)
    with pytest.raises(UserError, match=message):
        run(config(data, broken, tmp_path / "run"))
    assert not (tmp_path / "run").exists()
