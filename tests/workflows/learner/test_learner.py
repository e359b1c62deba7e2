"""What a step costs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from temporay.models.collate import Batch
from temporay.models.families._base import family_of
from temporay.models.parallel import Hardware
from temporay.models.policy import OptimizerConfig, Policy, PolicySettings
from temporay.models.tiny import TinyShape, build
from temporay.operators.errors import UserError
from temporay.workflows.learner.learner import backend_of
from temporay.workflows.learner.scaling import check_cuda
from temporay.workflows.learner.step_cost import StepCost


def make_cost(model: Path, hardware: Hardware) -> StepCost:
    family = family_of(model)
    loaded = family.load_model(model, torch.float32)
    policy = Policy(loaded, family, PolicySettings(optimizer=OptimizerConfig(), total_steps=1, hardware=hardware))
    return StepCost(policy, model, ranks_on_host=1, reference=False)


def text_batch(num_rows: int) -> Batch:
    ones = torch.ones((num_rows, 16), dtype=torch.long)
    return Batch(
        input_ids_RL=ones,
        completion_ids_BT=ones[:, 1:],
        completion_mask_BT=ones[:, 1:].float(),
        predictors_BT=torch.arange(ones.numel()).view_as(ones)[:, :-1],
        model_inputs={},
        lengths_R=(16,) * num_rows,
    )


def test_a_step_is_forecast_and_rated(tmp_path: Path) -> None:
    build(tmp_path / "model", ["Which way?"], TinyShape(hidden_size=64, num_layers=2, num_heads=2), seed=0)
    cost = make_cost(tmp_path / "model", Hardware(peak_tflops=0.5))
    assert 0 < cost.forecast_bytes < cost.available
    rates = cost.rates([cost.count(text_batch(2)), cost.count(text_batch(1))], num_tokens=45.0, seconds=2.0)
    assert rates["tokens_per_s"] == 22.5
    assert rates["mfu"] == pytest.approx(rates["flops_per_s"] / 0.5e12)
    assert rates["text_flops_per_s"] == rates["flops_per_s"]
    (forecast,) = cost.check([text_batch(1), text_batch(4)])[1:]
    assert forecast["num_rows"] == 4 and cost.forecast_bytes < forecast["forecast_bytes"] < cost.available
    cost.available = forecast["forecast_bytes"] * 2
    cost.hold(int(cost.available))  # the copy of a checkpoint
    with pytest.raises(UserError, match=r"a micro-batch of 5 x 16 tokens needs .*, but 0\.00 GiB are there"):
        cost.check([text_batch(5)])
    cost.hold(0)
    cost.available = cost.forecast_bytes + 1000
    assert not cost.check([text_batch(2)])  # no larger than what was checked
    with pytest.raises(UserError, match="a micro-batch of 5 x 16 tokens needs"):
        cost.check([text_batch(5)])
    reporting = make_cost(tmp_path / "model", Hardware(memory_forecast="report"))
    reporting.available = 0.0
    assert reporting.check([text_batch(5)])[0]["forecast_bytes"] > forecast["forecast_bytes"]
    assert "mfu" not in reporting.rates([reporting.count(text_batch(1))], num_tokens=15.0, seconds=1.0)


@pytest.mark.skipif(dist.is_nccl_available(), reason="this torch can use GPUs")
def test_gpus_for_a_torch_without_cuda_are_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as raised:
        dist.init_process_group(backend_of(use_gpu=True), init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    with pytest.raises(UserError, match="gpus-per-worker 0"):
        check_cuda(raised.value)
    check_cuda(RuntimeError("CUDA out of memory"))
