"""Weights come from files a part at a time: the same bits as transformers', on one rank, on two and on four."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from temporay.models.families._base import FAMILIES, check_weights, family_of
from temporay.models.weight_files import INDEX, WeightFiles, stored_dtype
from temporay.operators.components import available
from temporay.operators.errors import UserError

from tests.models.ranks import LORA, NUM_STEPS, PARTLY_OPTIMIZER, PARTLY_STEPS, write_in_bfloat16
from tests.models.small_policies import Curve, batch_of, make_policy, rows, train


@pytest.mark.parametrize("name", available(FAMILIES))
def test_a_model_is_the_one_that_transformers_loads(name: str, tiny_models: Callable[[str], Path]) -> None:
    path = tiny_models(name)
    family: Any = family_of(path)
    own = family.load_model(path, torch.float32)
    theirs = family.model_class.from_pretrained(path, dtype=torch.float32)
    state, expected = own.state_dict(), theirs.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[weight], expected[weight]) for weight in expected)
    buffers = dict(own.named_buffers())
    assert all(torch.equal(buffers[buffer], tensor) for buffer, tensor in theirs.named_buffers())
    tied = [module.get_output_embeddings().weight is module.get_input_embeddings().weight for module in (own, theirs)]
    assert tied[0] == tied[1]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda state: state.pop("model.language_model.norm.weight"), r"1 missing \(model.language_model.norm.weight"),
        (lambda state: state.update(ear=torch.zeros(2)), r"1 not the model's \(ear"),
        (lambda state: state.update({"model.language_model.norm.weight": torch.zeros(3)}), r"shape \(.*\(3,\), not"),
    ],
)
def test_weights_of_another_config_are_refused(
    tiny_model: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], fault: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    state = load_file(folder / "model.safetensors")
    change(state)
    (folder / "model.safetensors").unlink()  # the state is mapped from it
    save_file(state, folder / "model.safetensors")
    with pytest.raises(UserError, match=fault):
        family_of(folder).load_model(folder, torch.float32)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").write_text("cut short")
    with pytest.raises(UserError, match="cannot be read"):
        family_of(folder).load_model(folder, torch.float32)


def test_a_model_in_several_files_is_read_by_its_index(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    state = load_file(folder / "model.safetensors")
    names = sorted(state)
    split = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in split.items():
        save_file({name: state[name] for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in split.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()  # the state is mapped from it
    (folder / "model.safetensors").write_text("another copy, which the index does not name")
    family = family_of(folder)
    loaded = family.load_model(folder, torch.float32).state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in names)
    model = family.build_model(folder, torch.float32)
    files = WeightFiles(folder, model, family.weight_names(model))
    assert torch.equal(files.read(names[0], (slice(1, 2),)), state[names[0]][1:2])


def test_frozen_weights_rest_in_the_type_of_the_files(tiny_model: Path, two_ranks: Path, tmp_path: Path) -> None:
    """And are computed with as if they were float32; adapters are the same on every rank."""
    model = write_in_bfloat16(tiny_model, tmp_path / "model")
    assert stored_dtype(model) == torch.bfloat16
    alone = make_policy(model, optimizer=PARTLY_OPTIMIZER, trained=LORA)  # without a process group: all in float32
    assert {p.dtype for p in alone.model.parameters()} == {torch.float32}
    expected_BT = alone.logprobs(batch_of(model, rows(0)))
    curve = torch.tensor(train(alone, model, PARTLY_STEPS, rows_per_pass=4))
    folder = two_ranks / "stored"
    for rank in (0, 1):
        found = json.loads((folder / f"rank_{rank}.json").read_text())
        assert found["types"] == {"trained": ["torch.float32"], "frozen": ["torch.bfloat16"]}
        torch.testing.assert_close(torch.tensor(found["scores"]), expected_BT, atol=1e-4, rtol=0)
        torch.testing.assert_close(torch.tensor(found["curve"]), curve, atol=1e-4, rtol=0)
    exported = load_file(folder / "model" / "model.safetensors")
    assert {tensor.dtype for tensor in exported.values()} == {torch.bfloat16}
    merged = alone.state_dict()
    assert exported.keys() == merged.keys()
    for name, tensor in merged.items():
        torch.testing.assert_close(exported[name].float(), tensor.float(), atol=1e-4, rtol=2**-7)


@pytest.mark.parametrize("name", ["replicas", "offload"])
def test_replicated_and_offloaded_ranks_take_the_step_of_one(tiny_model: Path, two_ranks: Path, name: str) -> None:
    alone = make_policy(tiny_model)
    curve: Curve = train(alone, tiny_model, NUM_STEPS, rows_per_pass=4)
    num_weights = sum(p.numel() for p in alone.model.parameters())
    for rank in range(4 if name == "replicas" else 2):
        found = json.loads((two_ranks / name / f"rank_{rank}.json").read_text())
        torch.testing.assert_close(torch.tensor(found["curve"]), torch.tensor(curve), atol=1e-4, rtol=0)
        assert found["weights"] == pytest.approx(num_weights / 2, rel=0.02)  # of two ranks, however often replicated
    exported = family_of(tiny_model).load_model(two_ranks / name / "model", torch.float32).state_dict()
    for weight, tensor in alone.state_dict().items():
        torch.testing.assert_close(exported[weight], tensor, atol=1e-5, rtol=0)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_files_that_are_cut_short_are_refused_before_anything_is_loaded(
    tiny_model: Path, tmp_path: Path, share: float
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    check_weights(folder)
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read .*; download the model again"):
        check_weights(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": {"a": 1}}'])
def test_a_damaged_index_is_refused(tiny_model: Path, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (folder / INDEX).write_text(text)
    with pytest.raises(UserError, match=r"index\.json cannot be read .*; download the model again"):
        check_weights(folder)
