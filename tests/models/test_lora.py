"""What is trained and what is not: adapters, frozen parts, their checkpoints, and whole weights for the engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from temporay.models.checkpoint import load, save
from temporay.models.checkpoint_folder import MANIFEST
from temporay.models.collate import Batch, collate_groups
from temporay.models.export import ADAPTER, export
from temporay.models.families._base import family_of
from temporay.models.lora import Lora, Trained
from temporay.models.losses._supervised import supervised
from temporay.models.policy import Policy
from temporay.operators.errors import UserError
from temporay.operators.records import Sampling

from tests.models import small_policies
from tests.models.ranks import FROZEN_TOWER, LORA, PARTLY_OPTIMIZER, PARTLY_STEPS, PARTLY_TRAINED
from tests.models.small_policies import assert_same, batch_of, processor_of, rows, train

TEXT_LORA = Trained(weights="lora", vision_tower="frozen", projector="frozen", lora=Lora(rank=4, modules=("q_proj",)))
NUM_STEPS = PARTLY_STEPS


def make_policy(model: Path, trained: Trained, *, gradient_checkpointing: bool = False) -> Policy:
    settings = {"trained": trained, "gradient_checkpointing": gradient_checkpointing}
    return small_policies.make_policy(model, optimizer=PARTLY_OPTIMIZER, **settings)


def batch(model: Path) -> Batch:
    """Return a batch that no step is trained on."""
    return batch_of(model, rows(9))


def moved(policy: Policy, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in policy.gathered().items() if not torch.equal(tensor, before[name])}


def copied(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in policy.gathered().items()}


def test_adapters_start_at_zero_and_only_they_change(tiny_model: Path) -> None:
    policy = make_policy(tiny_model, LORA)
    expected = make_policy(tiny_model, Trained()).logprobs(batch(tiny_model))
    torch.testing.assert_close(policy.logprobs(batch(tiny_model)), expected, atol=1e-6, rtol=0)
    before = copied(policy)
    train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    adapters = {name for name in before if ".lora_" in name}
    assert moved(policy, before) == adapters
    assert any("visual.blocks" in name for name in adapters) and any("visual.merger" in name for name in adapters)
    assert not any("lm_head" in name for name in adapters)
    in_optimizer = sum(p.numel() for group in policy.optimizer.param_groups for p in group["params"])
    assert in_optimizer == sum(before[name].numel() for name in adapters)


@pytest.mark.parametrize("trained", [LORA, TEXT_LORA], ids=["everywhere", "q_proj of text"])
def test_merged_weights_are_the_adapted_model(tiny_model: Path, trained: Trained) -> None:
    policy = make_policy(tiny_model, trained)
    train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    adapted = policy.logprobs(batch(tiny_model))
    start = make_policy(tiny_model, Trained())
    assert (adapted - start.logprobs(batch(tiny_model))).abs().max() > 1e-2
    before, state = copied(policy), policy.state_dict()
    assert state.keys() == start.state_dict().keys()
    start.model.load_state_dict(state, strict=False)
    torch.testing.assert_close(start.logprobs(batch(tiny_model)), adapted, atol=1e-5, rtol=0)
    assert moved(policy, before) == set()  # nothing was merged into the trained weights


def test_frozen_parts_do_not_change(tiny_model: Path) -> None:
    policy = make_policy(tiny_model, FROZEN_TOWER)
    before = copied(policy)
    train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    still = before.keys() - moved(policy, before)
    assert still == {name for name in before if policy.family.part_of(name) == "vision_tower"} != set()
    policy = make_policy(tiny_model, Trained(vision_tower="frozen", projector="frozen"))
    train(policy, tiny_model, 1, rows_per_pass=4)
    still = before.keys() - moved(policy, before)
    assert still == {name for name in before if name.startswith("model.visual.")}


def test_text_adapters_are_in_text_layers_only(tiny_model: Path) -> None:
    names = {name.split(".lora_")[0] for name in make_policy(tiny_model, TEXT_LORA).gathered() if ".lora_" in name}
    assert names == {f"model.language_model.layers.{i}.self_attn.q_proj" for i in range(2)}


def test_checkpointed_passes_take_the_same_step(tiny_model: Path) -> None:
    curves = [
        train(make_policy(tiny_model, trained, gradient_checkpointing=on), tiny_model, NUM_STEPS, rows_per_pass=rows_)
        for trained in (LORA, FROZEN_TOWER)
        for on, rows_ in ((False, 4), (True, 2))
    ]
    torch.testing.assert_close(torch.tensor(curves[::2]), torch.tensor(curves[1::2]), atol=1e-4, rtol=0)


def test_dropout_applies_in_training_only(tiny_model: Path) -> None:
    policy = make_policy(tiny_model, Trained(weights="lora", lora=Lora(rank=4, dropout=0.5)))
    train(policy, tiny_model, 2, rows_per_pass=4)
    assert torch.equal(policy.logprobs(batch(tiny_model)), policy.logprobs(batch(tiny_model)))
    losses = [policy.forward_backward([batch(tiny_model)], supervised)["loss"] for _ in range(2)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("trained", [LORA, FROZEN_TOWER], ids=["lora", "frozen tower"])
def test_resumed_run_is_bit_equal_and_its_checkpoint_small(tiny_model: Path, tmp_path: Path, trained: Trained) -> None:
    undisturbed = make_policy(tiny_model, trained)
    curve = train(undisturbed, tiny_model, NUM_STEPS, rows_per_pass=4)
    first = make_policy(tiny_model, trained)
    before = train(first, tiny_model, 2, rows_per_pass=4)
    path = save(first, tmp_path, keep=1)
    second = make_policy(tiny_model, trained)
    load(second, path)
    assert before + train(second, tiny_model, NUM_STEPS - 2, rows_per_pass=4) == curve
    assert_same(second.gathered(), undisturbed.gathered(), atol=0)
    from torch.distributed.checkpoint import FileSystemReader

    saved = {n.removeprefix("model.") for n in FileSystemReader(path).read_metadata().state_dict_metadata}
    assert not saved & {n for n, p in second.model.named_parameters() if not p.requires_grad}


def test_a_checkpoint_of_other_weights_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    path = save(make_policy(tiny_model, LORA), tmp_path, keep=1)
    other = make_policy(tiny_model, LORA)
    with torch.no_grad():
        next(p for p in other.model.parameters() if not p.requires_grad)[0].add_(1e-3)
    with pytest.raises(UserError, match="belongs to a model whose others are"):
        load(other, path)
    with pytest.raises(UserError, match="other trained weights"):
        load(make_policy(tiny_model, Trained()), path)
    assert json.loads((path / MANIFEST).read_text())["schedule"]["trained"]["weights"] == "lora"


@pytest.mark.filterwarnings("ignore::UserWarning")  # peft warns about a config it did not write
def test_export_is_merged_and_peft_loads_the_adapter(tiny_model: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    policy = make_policy(tiny_model, LORA)
    train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    export(policy, tiny_model, tmp_path / "model")
    expected = policy.logprobs(batch(tiny_model))
    exported = make_policy(tmp_path / "model", Trained())
    torch.testing.assert_close(exported.logprobs(batch(tiny_model)), expected, atol=1e-5, rtol=0)
    base: Any = family_of(tiny_model).load_model(tiny_model, torch.float32)
    adapted = PeftModel.from_pretrained(base, tmp_path / "model" / ADAPTER).merge_and_unload()
    assert_same(
        {n: t for n, t in adapted.state_dict().items() if n != "lm_head.weight"}, policy.state_dict(), atol=1e-6
    )
    assert load_file(tmp_path / "model" / ADAPTER / "adapter_model.safetensors").keys() == {
        f"base_model.model.{name.replace('.default', '')}" for name in policy.gathered() if ".lora_" in name
    }


def test_engines_get_whole_weights(tiny_model: Path, engines: Callable[[str, str], Any]) -> None:
    """The local engine, before and after an update of adapters alone."""
    policy = make_policy(tiny_model, LORA)
    processor = processor_of(tiny_model)
    engine = engines("local", "qwen3_vl")
    engine.load_weights([policy.state_dict()], version=0)
    prompts = [prompt for prompt, _ in rows(0)][:2]
    sampling = Sampling(num_rollouts=2, temperature=1.0, max_tokens=8, seed=1)

    def gap() -> float:
        groups = engine.generate(prompts, sampling)
        advantages = [[1.0] * len(group.rollouts) for group in groups]
        made = collate_groups(policy.family, processor, prompts, groups, advantages)
        assert made.engine_logprobs_BT is not None
        return float((policy.logprobs(made) - made.engine_logprobs_BT).abs().max())

    assert gap() < 1e-4
    train(policy, tiny_model, NUM_STEPS, rows_per_pass=4)
    assert gap() > 1e-3
    engine.load_weights([policy.state_dict()], version=1)
    assert gap() < 1e-4


@pytest.mark.parametrize("name", PARTLY_TRAINED)
def test_two_ranks_equal_one(tiny_model: Path, two_ranks: Path, name: str) -> None:
    """Two ranks resume from their own checkpoint, and one from that of two: frozen weights have one fingerprint."""
    trained = PARTLY_TRAINED[name]
    alone = make_policy(tiny_model, trained)
    train(alone, tiny_model, NUM_STEPS, rows_per_pass=4)
    together = load_file(two_ranks / name / "model" / "model.safetensors")
    assert_same(together, alone.state_dict(), atol=2e-5)
    resumed = make_policy(tiny_model, trained)
    load(resumed, two_ranks / name / "checkpoints" / "step-00000001")
    train(resumed, tiny_model, NUM_STEPS - 1, rows_per_pass=4)
    assert_same(resumed.state_dict(), alone.state_dict(), atol=2e-5)


def test_settings_that_mean_nothing_are_refused(tiny_model: Path) -> None:
    with pytest.raises(ValidationError, match="weights is all"):
        Trained(lora=Lora(rank=8))
    with pytest.raises(UserError, match=r"lora\.modules has query, but the trained parts have: down_proj, gate_proj"):
        make_policy(tiny_model, Trained(weights="lora", vision_tower="frozen", lora=Lora(modules=("query",))))
