"""Checkpoints: whole or never loaded, and a run that goes on from one does what it would have done."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from temporay.models.checkpoint import CheckpointWriter, load, save, trained_state_bytes
from temporay.models.checkpoint_folder import MANIFEST, latest
from temporay.models.collate import Batch
from temporay.models.losses._supervised import supervised
from temporay.models.policy import OptimizerConfig, Policy
from temporay.operators.errors import UserError

from tests.models import small_policies
from tests.models.small_policies import batch_of, rows

DATA = "__0_0.distcp"
Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def batches(tiny_model: Path) -> list[Batch]:
    """One batch for each step."""
    return [batch_of(tiny_model, [rows(step)[step % 4]]) for step in range(6)]


def make_policy(model: Path, *, lr: float = 5e-4, dropout: float = 0.0, total_steps: int = 6) -> Policy:
    optimizer = OptimizerConfig(lr=lr, weight_decay=0.1, warmup_steps=3, schedule="cosine")
    policy = small_policies.make_policy(model, optimizer=optimizer, total_steps=total_steps)
    text: Any = policy.model.model.language_model  # type: ignore[union-attr]
    for layer in text.layers:
        layer.self_attn.attention_dropout = dropout
    return policy


def train(policy: Policy, batches: Sequence[Batch]) -> list[tuple[float, float, float]]:
    """Train the steps that are left; return their losses, gradient norms and learning rates."""
    curve = []
    for batch in batches[policy.step_index :]:
        loss = policy.forward_backward([batch], supervised)["loss"]
        step = policy.step()
        curve.append((loss, step["grad_norm"], step["lr"]))
    return curve


def test_a_resumed_run_has_the_losses_of_an_undisturbed_one(
    tiny_model: Path, batches: list[Batch], tmp_path: Path
) -> None:
    """To the last bit, with dropout, whatever random numbers the new process used before."""
    torch.manual_seed(3)
    undisturbed = train(make_policy(tiny_model, dropout=0.1), batches)
    torch.manual_seed(3)
    first = make_policy(tiny_model, dropout=0.1)
    before = train(first, batches[:2])
    writer = CheckpointWriter(first, tmp_path, keep=1)
    assert writer.save({"next_sample": 2}) is None
    train(first, batches[:4])  # what is written is a copy
    saved = writer.wait()
    assert saved is not None and saved.step == 2 and saved.bytes > 12 * 1000
    assert writer.wait() is None
    torch.manual_seed(99)
    second = make_policy(tiny_model, dropout=0.1)
    assert load(second, saved.path) == {"next_sample": 2}
    assert before + train(second, batches) == undisturbed
    assert len({loss for loss, *_ in undisturbed}) == len(batches)
    torch.manual_seed(99)
    assert train(make_policy(tiny_model, dropout=0.1), batches) != undisturbed  # the state is what mattered


@pytest.mark.parametrize("missing", [0, 1])  # bytes
def test_without_room_for_a_copy_a_checkpoint_is_written_before_the_next_step(
    tiny_model: Path, batches: list[Batch], tmp_path: Path, missing: int
) -> None:
    policy = make_policy(tiny_model)
    train(policy, batches[:1])
    needed = trained_state_bytes(policy)
    assert needed >= 12 * sum(parameter.numel() for parameter in policy.model.parameters())
    writer = CheckpointWriter(policy, tmp_path, keep=2, spare_bytes=lambda: needed - missing)
    writer.save()
    assert writer.copy_bytes == (0 if missing else needed)
    if missing:
        assert latest(tmp_path).step == 1
    train(policy, batches[:2])  # what was saved does not change
    saved = writer.wait()
    assert saved is not None and saved.is_copied == (not missing)
    resumed = make_policy(tiny_model)
    load(resumed, saved.path)
    assert train(resumed, batches[:2]) == train(make_policy(tiny_model), batches[:2])[1:]


def flip(name: str, at: float = 0.5) -> Spoil:
    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[int(len(data) * at)] ^= 0x80
        (folder / name).write_bytes(data)

    return spoil


def truncate(name: str) -> Spoil:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-1])


def edit_manifest(old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> None:
        text = (folder / MANIFEST).read_text()
        assert old in text
        (folder / MANIFEST).write_text(text.replace(old, new))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (flip(DATA), f"{DATA} is not what was written"),
        (flip(DATA, 0.0), f"{DATA} is not what was written"),
        (flip(".metadata"), ".metadata is not what was written"),
        (truncate(DATA), "bytes, not"),
        (truncate(".metadata"), "bytes, not"),
        (lambda folder: (folder / DATA).unlink(), f"{DATA} is missing"),
        (flip(MANIFEST), f"{MANIFEST} cannot be read"),  # no longer UTF-8
        (truncate(MANIFEST), f"{MANIFEST} cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), f"{MANIFEST} cannot be read"),
        (edit_manifest('"step": 2', '"step": 3'), f"{MANIFEST} is not what was written"),
        (edit_manifest('"next_sample": 7', '"next_sample": 8'), f"{MANIFEST} is not what was written"),
        (edit_manifest('"schema_version": 4', '"schema_version": 1'), "is of version 1, not 4"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_rejected_and_reported(
    tiny_model: Path, tmp_path: Path, spoil: Spoil, fault: str
) -> None:
    policy = make_policy(tiny_model)
    for step in (1, 2):
        policy.step_index = step
        newest = save(policy, tmp_path, keep=2, cursor={"next_sample": 7})
    assert latest(tmp_path).step == 2 and latest(tmp_path).message == ""
    spoil(newest)
    found = latest(tmp_path)
    assert found.step == 1
    assert fault in found.rejected[0]
    assert found.message == f"not whole: checkpoint {found.rejected[0]}; resuming from step 1"
    spoil_oldest = tmp_path / "step-00000001" / DATA
    spoil_oldest.unlink()
    with pytest.raises(UserError, match=r"no checkpoint in .* is whole"):
        latest(tmp_path)


def test_a_renamed_checkpoint_is_rejected(tiny_model: Path, tmp_path: Path) -> None:
    policy = make_policy(tiny_model)
    policy.step_index = 1
    save(policy, tmp_path, keep=1).rename(tmp_path / "step-00000009")
    with pytest.raises(UserError, match=f"step-00000009: {MANIFEST} is of step 1"):
        latest(tmp_path)


def test_a_broken_later_checkpoint_removes_no_whole_one(tiny_model: Path, tmp_path: Path) -> None:
    """The run resumes from step 2 and saves step 3 while the broken step 4 is still there."""
    policy = make_policy(tiny_model)
    for step in (2, 4):
        policy.step_index = step
        save(policy, tmp_path, keep=2)
    flip(DATA)(tmp_path / "step-00000004")
    (tmp_path / "step-of-somebody").mkdir()
    load(policy, tmp_path / "step-00000002")
    policy.step_index = 3
    save(policy, tmp_path, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003", "step-of-somebody"]
    assert latest(tmp_path).rejected == ()


def test_a_killed_save_is_written_again(tiny_model: Path, tmp_path: Path) -> None:
    policy = make_policy(tiny_model)
    policy.step_index = 5
    path = save(policy, tmp_path, keep=1)
    (path / MANIFEST).rename(path / f"{MANIFEST}.tmp")  # killed just before the last step
    (path / "__9_0.distcp").write_bytes(b"of a worker that is gone")
    assert latest(tmp_path).path is None
    save(policy, tmp_path, keep=1)
    assert latest(tmp_path).step == 5
    assert not (path / "__9_0.distcp").exists()


def test_a_fault_of_the_thread_is_raised_at_the_next_save(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("not a folder")
    writer = CheckpointWriter(make_policy(tiny_model), tmp_path / "checkpoints", keep=1)
    writer.save()
    with pytest.raises(UserError, match=r"cannot write .*checkpoints/step-00000000: Not a directory; make room"):
        writer.save()


def test_a_run_may_get_more_steps_but_not_fewer_than_it_has_done(tiny_model: Path, tmp_path: Path) -> None:
    policy = make_policy(tiny_model)
    policy.step_index = 3
    path = save(policy, tmp_path, keep=1)
    longer = make_policy(tiny_model, total_steps=9)
    load(longer, path)
    assert longer.step_index == 3
    with pytest.raises(UserError, match="has done 3 optimizer steps already, and the run is now to have 2"):
        load(make_policy(tiny_model, total_steps=2), path)


def test_the_manifest_names_schedule_and_every_file(tiny_model: Path, tmp_path: Path) -> None:
    path = save(make_policy(tiny_model), tmp_path, keep=1)
    manifest = json.loads((path / MANIFEST).read_text())
    assert manifest["files"].keys() == {f.name for f in path.iterdir()} - {MANIFEST}
    assert manifest["schedule"]["total_steps"] == 6 and manifest["schedule"]["optimizer"]["warmup_steps"] == 3
    with pytest.raises(UserError, match="other optimizer settings"):
        load(make_policy(tiny_model, lr=1e-3), path)
