"""The policy: its log-probabilities, its schedule, and that two ranks take the step of one."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.distributed as dist
from temporay.models.checkpoint import MANIFEST, latest, load, save
from temporay.models.collate import collate_samples
from temporay.models.cost.memory_forecast import MemoryForecast
from temporay.models.export import export
from temporay.models.families.qwen3_vl import Qwen3Vl
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import Hardware, Sharding, this_process
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings, lr_factor
from temporay.operators.errors import UserError
from temporay.operators.records import Prompt
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.multiprocessing.spawn import spawn

VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"
TARGETS = ("It moves left.", "(B)", "<think>The red circle moves right.</think>(A)", "right")
NUM_STEPS = 4
Curve = list[tuple[float, float]]  # loss and gradient norm by step
Trained = tuple[dict[str, Tensor], Curve]


def rows(step: int) -> list[tuple[Prompt, str]]:
    """The global batch of a step: four rows with clips of two lengths and targets of four."""
    rng = np.random.default_rng(step)
    return [
        (
            Prompt(
                key=str(i),
                text=f"<|im_start|>user\n{VIDEO}Which way?<|im_end|>\n<|im_start|>assistant\n",
                frames_THWC=rng.integers(0, 256, (4 + 2 * (i % 2), 32, 32, 3), dtype=np.uint8),
                fps=4.0,
            ),
            target,
        )
        for i, target in enumerate(TARGETS)
    ]


def make_policy(model: Path, *, gradient_checkpointing: bool = False, sharding: Sharding = "parameters") -> Policy:
    family = Qwen3Vl()
    return Policy(
        family.load_model(model, torch.float32),
        family,
        PolicySettings(
            optimizer=OptimizerConfig(lr=5e-4, weight_decay=0.1, warmup_steps=2),
            total_steps=8,
            gradient_checkpointing=gradient_checkpointing,
            hardware=Hardware(sharding=sharding),
        ),
    )


def train(policy: Policy, model: Path, num_steps: int, *, rows_per_pass: int) -> Curve:
    """Trains this rank's rows of every global batch, in micro-batches; returns loss and gradient norm by step.

    The norm is compared because AdamW would hide a gradient that is too large by a factor.
    """
    family = Qwen3Vl()
    processor = family.load_processor(model)
    curve = []
    for _ in range(num_steps):
        mine = rows(policy.step_index)[policy.parallel.rank :: policy.parallel.world_size]
        batches = []
        for start in range(0, len(mine), rows_per_pass):
            prompts, targets = zip(*mine[start : start + rows_per_pass], strict=True)
            batches.append(collate_samples(family, processor, prompts, targets))
        value = policy.forward_backward(batches, supervised)["loss"]
        curve.append((value, policy.step()["grad_norm"]))
    return curve


def score(policy: Policy, model: Path) -> Tensor:
    """Log-probabilities of one global batch."""
    prompts, targets = zip(*rows(0), strict=True)
    return policy.logprobs(collate_samples(Qwen3Vl(), Qwen3Vl().load_processor(model), prompts, targets))


@pytest.fixture(scope="module")
def trained(tiny_model: Path) -> Trained:
    """Weights and losses after four steps in one process."""
    policy = make_policy(tiny_model)
    curve = train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    return {name: tensor.clone() for name, tensor in policy.state_dict().items()}, curve


def assert_same(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, atol: float) -> None:
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (state[name] - tensor).abs().max() <= atol, name


def test_logprobs_are_the_models_own(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(tiny_model)
    policy.settings = dataclasses.replace(policy.settings, temperature=0.7)
    family = Qwen3Vl()
    prompts, targets = zip(*rows(0), strict=True)
    batch = collate_samples(family, family.load_processor(tiny_model), prompts, targets)
    logits = policy.model(
        input_ids=batch.input_ids_BL, attention_mask=batch.attention_mask_BL, **batch.model_inputs
    ).logits
    expected = (logits[:, :-1] / 0.7).log_softmax(-1).gather(-1, batch.input_ids_BL[:, 1:, None])[..., 0]
    expected = torch.nn.functional.pad(expected, (1, 0)) * batch.completion_mask_BL
    torch.testing.assert_close(policy.logprobs(batch), expected.detach(), atol=1e-5, rtol=0)
    monkeypatch.setattr("temporay.models.scoring_head.MAX_LOGITS", 2000)  # a few rows at a time
    torch.testing.assert_close(policy.logprobs(batch), expected.detach(), atol=1e-5, rtol=0)


def test_loss_falls_and_every_weight_moves(tiny_model: Path, trained: Trained) -> None:
    state, curve = trained
    assert curve[-1][0] < curve[0][0] - 0.1
    start = make_policy(tiny_model).state_dict()
    still = [name for name, tensor in state.items() if torch.equal(tensor, start[name])]
    assert still == []


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_micro_batches_take_the_same_step(tiny_model: Path, trained: Trained, gradient_checkpointing: bool) -> None:
    policy = make_policy(tiny_model, gradient_checkpointing=gradient_checkpointing)
    curve = train(policy, tiny_model, NUM_STEPS, rows_per_pass=1)
    torch.testing.assert_close(torch.tensor(curve), torch.tensor(trained[1]), atol=1e-4, rtol=0)
    assert_same(policy.state_dict(), trained[0], atol=1e-5)


def test_learning_rate_by_step() -> None:
    config = OptimizerConfig(warmup_steps=2, schedule="linear", decay_start=0.5, final_lr_ratio=0.1)
    factors = [round(lr_factor(config, step, 10), 3) for step in range(10)]
    assert factors == [0.5, 1.0, 1.0, 1.0, 1.0, 0.82, 0.64, 0.46, 0.28, 0.1]
    cosine = [lr_factor(OptimizerConfig(schedule="cosine"), step, 4) for step in range(4)]
    assert cosine == pytest.approx([0.853553, 0.5, 0.146447, 0.0], abs=1e-6)
    assert {lr_factor(OptimizerConfig(schedule="constant"), step, 4) for step in range(4)} == {1.0}
    with pytest.raises(ValueError, match="constant"):
        OptimizerConfig(schedule="constant", final_lr_ratio=0.5)


def _rank(rank: int, rendezvous: Path, model: Path, out: Path, sharding: Sharding) -> None:
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    policy = make_policy(model, sharding=sharding)
    states = MemoryForecast(policy, Qwen3Vl().load_processor(model)).bytes(None)
    train(policy, model, NUM_STEPS // 2, rows_per_pass=1)
    score(policy, model)  # as validation does, with weights that FSDP2 does not cut again after it
    save(policy, out / "checkpoints", keep=1)
    with patch("torch.distributed.reduce_scatter_single", wraps=dist.reduce_scatter_single) as exchange:
        curve = train(policy, model, NUM_STEPS - NUM_STEPS // 2, rows_per_pass=1)
    scores_BL = score(policy, model)
    export(policy, model, out / "model")
    units = sum(isinstance(module, FSDPModule) for module in policy.model.modules())
    found = {
        "curve": curve,
        "exchanges": exchange.call_count / len(curve),
        "units": units,
        "scores": scores_BL.tolist(),
        "weights": states["weights"],
        "sharding": sharding,
    }
    (out / f"rank_{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # all is written; gloo's threads now and then abort an interpreter that is taken apart around them


@pytest.fixture(scope="module", params=["parameters", "optimizer"])
def two_ranks(request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two FSDP2 ranks leave: a checkpoint after half of the steps, and the model after all."""
    out = tmp_path_factory.mktemp("two_ranks")
    spawn(_rank, (out / "rendezvous", tiny_model, out, request.param), nprocs=2)  # type: ignore[no-untyped-call]
    return out


def test_two_ranks_equal_one(tiny_model: Path, two_ranks: Path, trained: Trained) -> None:
    alone = make_policy(two_ranks / "model")
    expected_BL = score(alone, tiny_model)
    whole_bytes = sum(parameter.nbytes for parameter in alone.model.parameters())
    exported = Qwen3Vl().load_model(two_ranks / "model", torch.float32).state_dict()
    assert_same({name: exported[name] for name in trained[0]}, trained[0], atol=1e-5)
    for rank in (0, 1):
        found = json.loads((two_ranks / f"rank_{rank}.json").read_text())
        curve = torch.tensor(found["curve"])
        torch.testing.assert_close(curve, torch.tensor(trained[1][NUM_STEPS // 2 :]), atol=1e-4, rtol=0)
        part_bytes = pytest.approx(whole_bytes / 2, rel=0.01)  # also after the forecast's passes
        assert found["weights"] == part_bytes
        torch.testing.assert_close(torch.tensor(found["scores"]), expected_BL, atol=1e-4, rtol=0)
        # Of every block in both micro-batches, or of the whole once.
        assert found["exchanges"] == (1 if found["sharding"] == "optimizer" else 2 * found["units"])


def test_one_rank_goes_on_from_the_checkpoint_of_two(tiny_model: Path, two_ranks: Path, trained: Trained) -> None:
    policy = make_policy(tiny_model)
    found = latest(two_ranks / "checkpoints")
    assert found.path is not None and found.step == NUM_STEPS // 2
    load(policy, found.path)
    train(policy, tiny_model, NUM_STEPS - NUM_STEPS // 2, rows_per_pass=4)
    assert_same(policy.state_dict(), trained[0], atol=1e-5)


def test_resumed_run_is_bit_equal(tiny_model: Path, tmp_path: Path, trained: Trained) -> None:
    first = make_policy(tiny_model)
    train(first, tiny_model, 2, rows_per_pass=4)
    path = save(first, tmp_path, keep=2)
    drawn = torch.rand(3)
    second = make_policy(tiny_model)
    load(second, path)
    assert torch.equal(torch.rand(3), drawn)
    train(second, tiny_model, NUM_STEPS - 2, rows_per_pass=4)
    assert_same(second.state_dict(), trained[0], atol=0)


def test_broken_checkpoints_are_found(tiny_model: Path, tmp_path: Path) -> None:
    policy = make_policy(tiny_model)
    assert latest(tmp_path).path is None
    for step in (1, 2, 3):
        policy.step_index = step
        save(policy, tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]
    (tmp_path / "step-00000004").mkdir()  # a save that was killed
    assert latest(tmp_path).step == 3
    newest = tmp_path / "step-00000003" / "__0_0.distcp"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    found = latest(tmp_path)
    assert found.step == 2
    assert found.rejected == ("step-00000003: __0_0.distcp is not what was written",)
    (tmp_path / "step-00000002" / "__0_0.distcp").unlink()
    with pytest.raises(UserError, match=r"no checkpoint in .* is whole.*step-00000002: __0_0.distcp is missing"):
        latest(tmp_path)
    (tmp_path / "step-00000002" / MANIFEST).write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        latest(tmp_path)


def test_export_loads_with_transformers(tiny_model: Path, tmp_path: Path, trained: Trained) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    policy = make_policy(tiny_model)
    train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    export(policy, tiny_model, tmp_path / "model", max_shard_bytes=200_000)
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "model", dtype=torch.float32).state_dict()
    assert_same({name: loaded[name] for name in trained[0]}, trained[0], atol=0)
    assert AutoProcessor.from_pretrained(tmp_path / "model").tokenizer.eos_token == "<|im_end|>"
    assert {f.name for f in tiny_model.iterdir()} - {f.name for f in (tmp_path / "model").iterdir()} == {
        "model.safetensors"
    }


def _bfloat16_rank(rank: int, rendezvous: Path, model: Path, out: Path, world_size: int) -> None:
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world_size)
    torch.set_num_threads(1)
    family = Qwen3Vl()
    policy = Policy(
        family.load_model(model, torch.float32),
        family,
        PolicySettings(
            optimizer=OptimizerConfig(lr=5e-4, weight_decay=0.1, warmup_steps=2),
            total_steps=8,
            hardware=Hardware(precision="bfloat16"),
        ),
        this_process(torch.device("cpu"), "bfloat16"),
    )
    curve = train(policy, model, NUM_STEPS, rows_per_pass=1)
    types = {str(parameter.dtype) for parameter in policy.model.parameters()}
    (out / f"curve_{world_size}_{rank}.json").write_text(json.dumps({"curve": curve, "types": sorted(types)}))
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # as above


@pytest.mark.parametrize("world_size", [1, 2])
def test_bfloat16_passes_learn_what_float32_passes_do(
    tiny_model: Path, tmp_path: Path, trained: Trained, world_size: int
) -> None:
    """Within the few digits that the type has, with float32 weights, and not the same."""
    arguments = (tmp_path / "rendezvous", tiny_model, tmp_path, world_size)
    spawn(_bfloat16_rank, arguments, nprocs=world_size)  # type: ignore[no-untyped-call]
    found = json.loads((tmp_path / f"curve_{world_size}_0.json").read_text())
    assert found["types"] == ["torch.float32"]
    curve, expected = torch.tensor(found["curve"]), torch.tensor(trained[1])
    torch.testing.assert_close(curve, expected, atol=0.02, rtol=0.02)
    assert not torch.allclose(curve, expected, atol=1e-5, rtol=0)


def test_bfloat16_needs_a_process_group(tiny_model: Path) -> None:
    family = Qwen3Vl()
    model = family.load_model(tiny_model, torch.float32)
    with pytest.raises(ValueError, match="needs a process group"):
        hardware = Hardware(precision="bfloat16")
        Policy(model, family, PolicySettings(optimizer=OptimizerConfig(), total_steps=1, hardware=hardware))
