"""Counted operations against torch's own counter, and what is known of devices."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from temporay.models.collate import Batch, collate_groups, collate_samples
from temporay.models.cost.footprint import FlopCounter, known_peak, peak_flops, utilization
from temporay.models.families._base import FAMILIES
from temporay.models.lora import Lora, Trained
from temporay.models.losses._supervised import supervised
from temporay.models.policy import Policy
from temporay.operators.components import available
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tests.models.repeated_rows import collate_repeated
from tests.models.small_groups import make_groups
from tests.models.small_policies import make_policy, processor_of

TOLERANCE = 0.03


def make_batch(policy: Policy, model: Path, *, blind: bool = False, num_rows: int = 2) -> Batch:
    """Return rows of one length: torch would count padding too."""
    processor = processor_of(model)
    content: list[dict[str, str]] = [] if blind else [{"type": "video"}]
    chat = [{"role": "user", "content": [*content, {"type": "text", "text": "Which way does it move? " * 4}]}]
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    frames_THWC = np.random.default_rng(0).integers(0, 256, (8, 64, 96, 3), dtype=np.uint8)
    media = () if blind else (ShownMedium(frames_THWC=frames_THWC, fps=4.0),)
    prompt = Prompt(key="p", text=text, media=media)
    return collate_samples(policy.family, processor, [prompt] * num_rows, ["It moves left."] * num_rows)


def measured(policy: Policy, batch: Batch, *, backward: bool) -> int:
    """Count by torch, which sees attention only where it consists of matrix products."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        if backward:
            policy.forward_backward([batch], supervised)
        else:
            policy.logprobs(batch)
    return counter.get_total_flops()


@pytest.fixture(params=available(FAMILIES))
def model(request: pytest.FixtureRequest, tiny_models: Callable[[str], Path]) -> Path:
    return tiny_models(request.param)


@pytest.mark.parametrize("blind", [False, True])
def test_forward_and_training_are_what_torch_counts(model: Path, blind: bool) -> None:
    policy = make_policy(model)
    batch = make_batch(policy, model, blind=blind)
    counted = FlopCounter(policy.model, policy.family).count(batch)
    assert counted.forward == pytest.approx(measured(policy, batch, backward=False), rel=TOLERANCE)
    assert counted.training == pytest.approx(measured(policy, batch, backward=True), rel=TOLERANCE)
    assert (counted.text_training == counted.training) is blind


def test_a_prompt_that_completions_share_counts_once(model: Path) -> None:
    policy, processor = make_policy(model), processor_of(model)
    prompts, groups, advantages = make_groups(policy.family, processor)
    batch = collate_groups(policy.family, processor, prompts, groups, advantages)
    counter = FlopCounter(policy.model, policy.family)
    counted = counter.count(batch)
    assert counted.forward == pytest.approx(measured(policy, batch, backward=False), rel=TOLERANCE)
    assert counted.training == pytest.approx(measured(policy, batch, backward=True), rel=TOLERANCE)
    lengths = [(len(g.prompt_ids), [len(r.completion_ids) for r in g.rollouts]) for g in groups]
    assert batch.attention_pairs == sum(p * p + sum(t * (p + t) for t in ts) for p, ts in lengths)
    repeated = collate_repeated(policy.family, processor, prompts, groups, advantages)
    assert counted.forward < 0.6 * counter.count(repeated).forward


@pytest.mark.parametrize(
    "trained",
    [
        Trained(vision_tower="frozen"),
        Trained(vision_tower="frozen", projector="frozen"),
        Trained(weights="lora", lora=Lora(rank=8)),
        Trained(weights="lora", vision_tower="frozen", projector="frozen"),
    ],
    ids=["frozen tower", "text only", "lora", "lora of text"],
)
def test_what_is_not_trained_is_not_counted(tiny_model: Path, trained: Trained) -> None:
    policy = make_policy(tiny_model, trained=trained)
    batch = make_batch(policy, tiny_model)
    counted = FlopCounter(policy.model, policy.family).count(batch)
    assert counted.training == pytest.approx(measured(policy, batch, backward=True), rel=TOLERANCE)
    assert counted.training < 0.9 * FlopCounter(make_policy(tiny_model).model, policy.family).count(batch).training


def test_padding_is_not_counted(tiny_model: Path) -> None:
    policy = make_policy(tiny_model)
    batch = make_batch(policy, tiny_model, num_rows=1)
    pad = ("input_ids_RL", "completion_ids_BT", "completion_mask_BT", "predictors_BT")
    wider = {name: torch.nn.functional.pad(getattr(batch, name), (0, 50)) for name in pad}
    counter = FlopCounter(policy.model, policy.family)
    assert counter.count(dataclasses.replace(batch, **wider)) == counter.count(batch)


def test_peaks_are_known_given_or_none() -> None:
    assert known_peak("NVIDIA H100 80GB HBM3") == 989.4e12
    assert known_peak("NVIDIA H100 PCIe") == 756.5e12
    assert known_peak("NVIDIA A100-SXM4-80GB") == 311.8e12
    assert known_peak("NVIDIA L40S") == 362.1e12 and known_peak("NVIDIA L4") == 121e12
    assert known_peak("NVIDIA H2000 Ada") is None
    cpu = torch.device("cpu")
    assert peak_flops(cpu, torch.float32, None) is None
    assert peak_flops(cpu, torch.float32, 2.0) == 2e12


def test_shares_of_the_peak() -> None:
    rates = utilization({"flops": 8e12, "text_flops": 6e12}, seconds=2.0, num_devices=4, peak=10e12)
    assert rates == {"flops_per_s": 4e12, "text_flops_per_s": 3e12, "mfu": 0.1, "text_mfu": 0.075}
    assert "mfu" not in utilization({"flops": 8e12}, seconds=2.0, num_devices=4, peak=None)
