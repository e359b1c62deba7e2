"""Plans of runs on machines that nobody has to have."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporay.workflows.__main__ import main
from temporay.workflows.planning.machine import machine_of

from tests.models.tiny_models import build_tiny_model

CLIP = ("--num-frames", "8", "--side-px", "32", "--question-tokens", "10")


@pytest.fixture(scope="module")
def config_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model's folder without its weights."""
    folder = tmp_path_factory.mktemp("planned") / "model"
    build_tiny_model("qwen3_vl", folder)
    (folder / "model.safetensors").unlink()
    return folder


def planned(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["plan", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_fine_tuning_is_planned_by_memory_and_hours(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("sft", "tiny", "--model", config_only, *CLIP, "--num-workers", 2)
    code, text = planned(capsys, *given, "--machine", "8xH100-80GB")
    assert code == 0
    for said in (
        "trainer, each of 2 ranks: weights",
        "gathered",
        "activations",
        "of 79.0 GB: fits",
        "2 x 989 TFLOP/s x 0.35",
        "600 steps: ",
    ):
        assert said in text
    code, text = planned(capsys, *given, "--machine", "8xH100-80GB", "--trained.weights", "lora")
    assert code == 0 and "of 79.0 GB: fits" in text
    code, text = planned(capsys, *given, "--machine", "2xA100-1GB")
    assert code == 2 and "of 0.0 GB: does not fit" in text and "600 steps: " in text
    assert "temporay: the run does not fit 2xA100-1GB; " in text
    code, text = planned(capsys, *given, "--machine", "1xH100-80GB")
    assert code == 2 and "num_workers is 2, but 1xH100-80GB has 1 devices" in text
    code, text = planned(capsys, *given, "--machine", "8xAbacus-80GB")
    assert code == 2 and "8xH100-80GB" in text and "RTX-4090" in text


def test_grpo_is_planned_by_role(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("grpo", "tiny", "--model", config_only, *CLIP)
    code, text = planned(capsys, *given, "--machine", "2xA100-1GB", "--loss.beta", "0.1")
    assert code == 2 and "temporay: the run does not fit 2xA100-1GB; " in text
    for said in (
        "reference",
        "of 0.0 GB: does not fit",
        "set micro_batch_size below 64",
        "engines, each of 1 on 1 device(s)",
        "128 rollouts",
        "sampling 6,144 tokens / (1 engines x 1,800 tokens/s) = 3.4 s; one after the other",
    ):
        assert said in text
    code, text = planned(capsys, *given, "--machine", "2xH100-80GB")
    assert code == 0 and "does not fit" not in text


def test_engines_without_devices_are_refused(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("grpo", "tiny", "--model", config_only, *CLIP)
    code, text = planned(capsys, *given, "--machine", "1xH100-80GB")
    assert code == 2 and "devices: 1 for the trainer and 1 for engines, but 1xH100-80GB has 1; " in text
    code, text = planned(capsys, *given, "--pool.settings.tensor-parallel", 3)
    assert code == 2 and "tensor_parallel is 3, but" in text and "give 1, 2" in text


def test_machines_have_a_form() -> None:
    machine = machine_of("16xRTX-4090-24GB")
    assert (machine.num_devices, machine.device_bytes, machine.peak_flops) == (16, 24e9, 165.2e12)
    for wrong in ("H100-80GB", "0xH100-80GB", "8xH100"):
        with pytest.raises(ValueError, match="give COUNTxNAME-MEMORYGB"):
            machine_of(wrong)


def test_what_a_plan_does_not_count_is_refused(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("sft", "grpo"):
        code, text = planned(capsys, stage, "tiny", "--model", config_only, *CLIP, "--micro-batch-tokens", 500)
        assert code == 2 and "micro_batch_tokens is 500" in text and "give that alone" in text
    code, text = planned(capsys, "grpo", "tiny", "--model", config_only, *CLIP, "--pool.placement", "together")
    assert code == 2 and "pool.placement is together" in text and "give apart" in text
