"""The policy: its log-probabilities, its schedule, and two ranks that take the step of one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from temporay.models.checkpoint import load, save
from temporay.models.checkpoint_folder import MANIFEST, latest
from temporay.models.export import export
from temporay.models.families._base import family_of
from temporay.models.losses._supervised import supervised
from temporay.models.parallel import Hardware
from temporay.models.policy import OptimizerConfig, Policy, lr_factor
from temporay.operators.errors import UserError
from torch import Tensor

from tests.models.ranks import NUM_STEPS
from tests.models.small_policies import Curve, assert_same, batch_of, first_square, make_policy, rows, train

Trained = tuple[dict[str, Tensor], Curve]


def score(policy: Policy, model: Path) -> Tensor:
    """Return log-probabilities of one global batch."""
    return policy.logprobs(batch_of(model, rows(0)))


@pytest.fixture(scope="module")
def trained(tiny_model: Path) -> Trained:
    """Weights and losses after four steps in one process."""
    policy = make_policy(tiny_model)
    curve = train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    return {name: tensor.clone() for name, tensor in policy.state_dict().items()}, curve


def test_logprobs_are_the_models_own(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make_policy(tiny_model)
    policy.settings = dataclasses.replace(policy.settings, temperature=0.7)
    batch = batch_of(tiny_model, rows(0))
    logits = policy.model(input_ids=batch.input_ids_RL, **batch.model_inputs).logits
    logits_BTV = logits.flatten(0, 1)[batch.predictors_BT] / 0.7
    expected = logits_BTV.log_softmax(-1).gather(-1, batch.completion_ids_BT[..., None])[..., 0]
    expected = expected * batch.completion_mask_BT
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


@pytest.fixture(params=["parameters", "optimizer"])
def sharded(request: pytest.FixtureRequest, two_ranks: Path) -> Path:
    """Return the folder of a run on two ranks that share one of these."""
    folder: Path = two_ranks / request.param
    return folder


def test_two_ranks_equal_one(tiny_model: Path, sharded: Path, trained: Trained) -> None:
    alone = make_policy(sharded / "model")
    expected_BT = score(alone, tiny_model)
    whole_bytes = sum(parameter.nbytes for parameter in alone.model.parameters())
    exported = family_of(tiny_model).load_model(sharded / "model", torch.float32).state_dict()
    assert_same({name: exported[name] for name in trained[0]}, trained[0], atol=1e-5)
    for rank in (0, 1):
        found = json.loads((sharded / f"rank_{rank}.json").read_text())
        curve = torch.tensor(found["curve"])
        torch.testing.assert_close(curve, torch.tensor(trained[1][NUM_STEPS // 2 :]), atol=1e-4, rtol=0)
        part_bytes = pytest.approx(whole_bytes / 2, rel=0.01)
        assert found["weights"] == part_bytes and found["forecast"] == part_bytes
        torch.testing.assert_close(torch.tensor(found["scores"]), expected_BT, atol=1e-4, rtol=0)
        # Gradients are exchanged for every block in both micro-batches, or once for the whole model.
        assert found["exchanges"] == (1 if sharded.name == "optimizer" else 2 * found["units"])


def test_the_gradient_of_the_first_passes_is_measured(tiny_model: Path, two_ranks: Path) -> None:
    """By one rank, by two that share it, and by two groups of two that hold it twice."""
    policy = make_policy(tiny_model)
    batches = [batch_of(tiny_model, [row]) for row in (*rows(0), *rows(1))]
    policy.forward_backward(batches[:4], supervised)
    alone = sum(float(p.grad.square().sum()) for p in policy.model.parameters() if p.grad is not None)
    num_tokens = [sum(float(batch.completion_mask_BT.sum()) for batch in some) for some in (batches[:4], batches)]
    expected = alone * (num_tokens[0] / num_tokens[1]) ** 2  # both are means over tokens
    policy.skip_step()
    assert first_square(policy, tiny_model) == pytest.approx(expected, rel=1e-4)
    for folder, num_ranks in (("first_passes", 2), ("first_passes_replicas", 4)):
        for rank in range(num_ranks):
            found = json.loads((two_ranks / folder / f"rank_{rank}.json").read_text())
            assert found["grad_square_first"] == pytest.approx(expected, rel=1e-4)


def test_one_rank_resumes_from_the_checkpoint_of_two(tiny_model: Path, sharded: Path, trained: Trained) -> None:
    policy = make_policy(tiny_model)
    found = latest(sharded / "checkpoints")
    assert found.path is not None and found.step == NUM_STEPS // 2
    load(policy, found.path)
    train(policy, tiny_model, NUM_STEPS - NUM_STEPS // 2, rows_per_pass=4)
    assert_same(policy.state_dict(), trained[0], atol=1e-5)


def test_a_rank_killed_while_saving_leaves_the_checkpoint_before(two_ranks: Path) -> None:
    folder = two_ranks / "killed"
    assert json.loads((folder / "rank_0.json").read_text())["error"]
    started = {file.name for file in (folder / "checkpoints" / "step-00000001").iterdir()}
    assert started == {"__0_0.distcp", "__1_0.distcp", ".metadata"}
    found = latest(folder / "checkpoints")
    assert (found.step, found.message) == (0, "")
    assert found.path == folder / "checkpoints" / "step-00000000"


def test_resumed_run_is_bit_equal(tiny_model: Path, tmp_path: Path, trained: Trained) -> None:
    first = make_policy(tiny_model)
    train(first, tiny_model, 2, rows_per_pass=4)
    path = save(first, tmp_path, keep=2)
    chosen = torch.rand(3)
    second = make_policy(tiny_model)
    load(second, path)
    assert torch.equal(torch.rand(3), chosen)
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
    export(policy, tiny_model, tmp_path / "model", max_file_bytes=200_000)
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "model", dtype=torch.float32).state_dict()
    assert_same({name: loaded[name] for name in trained[0]}, trained[0], atol=0)
    assert AutoProcessor.from_pretrained(tmp_path / "model").tokenizer.eos_token == "<|im_end|>"
    assert {f.name for f in tiny_model.iterdir()} - {f.name for f in (tmp_path / "model").iterdir()} == {
        "model.safetensors"
    }


@pytest.mark.parametrize("world_size", [1, 2])
def test_bfloat16_passes_learn_what_float32_passes_do(two_ranks: Path, trained: Trained, world_size: int) -> None:
    """Within the few digits that the type has, with float32 weights, and not the same."""
    found = json.loads((two_ranks / f"bfloat16_{world_size}" / "rank_0.json").read_text())
    assert found["types"] == ["torch.float32"]
    curve, expected = torch.tensor(found["curve"]), torch.tensor(trained[1])
    torch.testing.assert_close(curve, expected, atol=0.02, rtol=0.02)
    assert not torch.allclose(curve, expected, atol=1e-5, rtol=0)


def test_bfloat16_needs_a_process_group(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="needs a process group"):
        make_policy(tiny_model, hardware=Hardware(precision="bfloat16"))


def test_offload_that_would_do_nothing_is_refused(tiny_model: Path) -> None:
    with pytest.raises(UserError, match=r"hardware\.offload is cpu.*leave it out"):
        make_policy(tiny_model, hardware=Hardware(offload="cpu"))
