"""Prompts computed once against prompts repeated for every completion: the same log-probs, loss and gradients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from temporay.models.collate import collate_groups
from temporay.models.families import _shared_prompt
from temporay.models.families._base import FAMILIES
from temporay.models.lora import EVERYTHING, Lora, Trained
from temporay.operators.components import available
from torch import Tensor

from tests.models.repeated_rows import collate_repeated
from tests.models.small_groups import gradients, make_groups
from tests.models.small_policies import make_policy, processor_of


def assert_same_step(found: tuple[float, dict[str, Tensor]], expected: tuple[float, dict[str, Tensor]]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).abs().max() <= 1e-5 * gradient.abs().max() + 1e-9, name


def test_two_ranks_that_share_every_group_equal_one(tiny_model: Path, two_ranks: Path) -> None:
    policy, processor = make_policy(tiny_model), processor_of(tiny_model)
    whole = collate_groups(policy.family, processor, *make_groups(policy.family, processor))
    loss, expected = gradients(policy, [whole])
    found = torch.load(two_ranks / "groups.pt", weights_only=True)
    assert_same_step((found.pop("loss"), found), (loss, expected))


@pytest.mark.parametrize("chunk_tokens", [512, 8])  # all completions of a group in one call, or a few
@pytest.mark.parametrize("trained", [EVERYTHING, Trained(weights="lora", lora=Lora(rank=4))], ids=["all", "lora"])
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
@pytest.mark.parametrize("family", available(FAMILIES))
def test_a_row_of_groups_equals_repeated_rows(
    family: str,
    gradient_checkpointing: bool,
    trained: Trained,
    chunk_tokens: int,
    tiny_models: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_shared_prompt, "CHUNK_TOKENS", chunk_tokens)
    model = tiny_models(family)
    policy = make_policy(model, gradient_checkpointing=gradient_checkpointing, trained=trained)
    processor = processor_of(model)
    with torch.no_grad():  # fresh adapters multiply by 0, and nothing would reach their first factor
        for name, parameter in policy.model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    prompts, groups, advantages = make_groups(policy.family, processor)
    shared = collate_groups(policy.family, processor, prompts, groups, advantages)
    repeated = collate_repeated(policy.family, processor, prompts, groups, advantages)
    assert shared.input_ids_RL.numel() < 0.6 * repeated.input_ids_RL.numel()
    torch.testing.assert_close(policy.logprobs(shared), policy.logprobs(repeated), atol=1e-5, rtol=0)
    expected = gradients(policy, [repeated])
    assert_same_step(gradients(policy, [shared]), expected)
    one_by_one = [collate_groups(policy.family, processor, [prompts[i]], [groups[i]], [advantages[i]]) for i in (1, 3)]
    both = collate_groups(policy.family, processor, prompts[1::2], groups[1::2], advantages[1::2])
    assert_same_step(gradients(policy, one_by_one), gradients(policy, [both]))  # layouts differ between the two


@pytest.mark.parametrize(
    ("prompt", "chunks"),
    [(10, [(30, 30), (40,), (70,), (5, 50)]), (300, [(30, 30, 40), (70, 5, 50)])],  # at most 64 tokens, then 150
)
def test_completions_share_a_call_up_to_its_bound(
    prompt: int, chunks: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shared_prompt, "CHUNK_TOKENS", 64)
    span = _shared_prompt.GroupSpan(prompt=prompt, completions=(30, 30, 40, 70, 5, 50))
    assert list(span.chunks()) == chunks
