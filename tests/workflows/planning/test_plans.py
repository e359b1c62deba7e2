"""Plans of runs on machines that nobody has to have."""

from __future__ import annotations

from pathlib import Path

import pytest
from temporay.workflows.__main__ import main
from temporay.workflows.planning.grpo import EnginePlan, GrpoPlanConfig, engine_lines
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
        "mfu 0.35 is assumed and covers recomputation by gradient checkpointing, which is not counted;",
        "unused: 6 of 8 devices; --num-workers would use them",
    ):
        assert said in text
    code, text = planned(capsys, *given, "--machine", "8xH100-80GB", "--trained.weights", "lora")
    assert code == 0 and "of 79.0 GB: fits" in text
    code, text = planned(capsys, *given, "--machine", "2xA100-1GB")
    assert code == 2 and "of 0.0 GB: does not fit" in text and "600 steps: " in text
    assert "temporay: the run does not fit 2xA100-1GB; " in text
    assert "  give --num-workers above 2, or --gradient-checkpointing True, or --micro-batch-size below" in text
    code, text = planned(capsys, *given, "--machine", "1xH100-80GB")
    assert code == 2 and "num_workers is 2, but 1xH100-80GB has 1 devices" in text
    code, text = planned(capsys, *given, "--machine", "8xAbacus-80GB")
    assert code == 2 and "8xH100-80GB" in text and "RTX-4090" in text


def test_what_is_offloaded_is_told(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("sft", "tiny", "--model", config_only, *CLIP, "--num-workers", 2)
    code, text = planned(capsys, *given)
    assert code == 0 and "host memory" not in text
    code, text = planned(capsys, *given, "--hardware.offload", "cpu")
    assert code == 0 and "host memory, each of 2 ranks: weights 0.0 + gradients 0.0 + AdamW 0.0 = 0.0 GB; " in text


def test_grpo_is_planned_by_role(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("grpo", "tiny", "--model", config_only, *CLIP)
    code, text = planned(capsys, *given, "--machine", "2xA100-1GB", "--loss.beta", "0.1")
    assert code == 2 and "temporay: the run does not fit 2xA100-1GB; " in text
    for said in (
        "reference",
        "of 0.0 GB: does not fit",
        "--micro-batch-size below 64 (it counts rollouts)",
        "--gradient-checkpointing True, or",
        "--trained.weights lora\n",
        "engines, each of 1 on 1 device(s)",
        "micro-batch: 64 rollouts in 1 x ",
        "128 rollouts",
        "sampling 6,144 tokens / (1 engines x 1,800 tokens/s) = 3.4 s; one after the other",
        "mfu 0.35 is assumed and covers recomputation",
        "sampling_tokens_per_s 1,800 is assumed for any size of model",
    ):
        assert said in text
    code, text = planned(capsys, *given, "--machine", "2xH100-80GB")
    assert code == 0 and "does not fit" not in text and "unused" not in text


def test_an_engine_that_does_not_fit_names_flags(config_only: Path) -> None:
    engine = EnginePlan(weight_bytes=9e9, token_bytes=1e3, longest=100, num_at_once=0)
    lines = engine_lines(GrpoPlanConfig(model=config_only), engine, machine_of("2xA100-1GB"))
    assert "--pool.settings.tensor-parallel above 1, --max-tokens below " in lines[-1]


def test_unused_devices_are_told(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("grpo", "tiny", "--model", config_only, *CLIP, "--machine", "8xH100-80GB")
    code, text = planned(capsys, *given)
    assert code == 0 and "unused: 6 of 8 devices; --pool.num-engines or --num-workers would use them" in text
    code, text = planned(capsys, *given, "--pool.max-engines", 7)
    assert code == 0 and "unused" not in text


def test_engines_without_devices_are_refused(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("grpo", "tiny", "--model", config_only, *CLIP)
    code, text = planned(capsys, *given, "--machine", "1xH100-80GB")
    assert code == 2 and "devices: 1 for the trainer and 1 for engines, but 1xH100-80GB has 1; " in text
    code, text = planned(capsys, *given, "--pool.settings.tensor-parallel", 3)
    assert code == 2 and "tensor_parallel is 3, but" in text and "give 1, 2" in text


def test_a_request_that_no_engine_takes_is_refused(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("grpo", "tiny", "--model", config_only, *CLIP, "--machine", "8xH100-80GB")
    code, text = planned(capsys, *given, "--pool.settings.max-model-len", 50)
    assert code == 2 and "guards.canary_tokens is 256, but max_model_len is 50; set it to at least " in text


def test_machines_have_a_form() -> None:
    machine = machine_of("16xRTX-4090-24GB")
    assert (machine.num_devices, machine.device_bytes, machine.peak_flops) == (16, 24e9, 165.2e12)
    for wrong in ("H100-80GB", "0xH100-80GB", "8xH100"):
        with pytest.raises(ValueError, match="give COUNTxNAME-MEMORYGB"):
            machine_of(wrong)


def test_what_a_plan_does_not_count_is_refused(config_only: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for stage in ("sft", "grpo"):
        code, text = planned(capsys, stage, "tiny", "--model", config_only, *CLIP, "--micro-batch-tokens", 500)
        assert code == 2 and "micro_batch_tokens is 500" in text and "give --micro-batch-size alone" in text
    code, text = planned(capsys, "grpo", "tiny", "--model", config_only, *CLIP, "--pool.placement", "together")
    assert code == 2 and "pool.placement is together" in text and "give --pool.placement apart" in text
    for stage in ("sft", "grpo"):
        code, text = planned(capsys, stage, "tiny", "--model", config_only, *CLIP, "--gpus-per-worker", 0.5)
        assert code == 2 and "gpus_per_worker is 0.5" in text and "leave --gpus-per-worker out" in text
    code, text = planned(capsys, "grpo", "tiny", "--model", config_only, *CLIP, "--pool.num-gpus", 2)
    assert code == 2 and "pool.num_gpus is 2" in text and "leave --pool.num-gpus out" in text
