"""Which frames a model is shown: as transformers chooses them, in rows, on the card, and in the check on pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from temporay.operators.dataset.card import write_card
from temporay.operators.dataset.label_check import Verdict, check_pixels
from temporay.operators.dataset.reader import Dataset, read_recipe
from temporay.operators.dataset.rows import samplings_survived
from temporay.operators.errors import UserError
from temporay.operators.pixels.colors_seen import Witness
from temporay.operators.primitives.motion.motion_direction import MotionDirection
from temporay.operators.records import Address, ScenePlan
from temporay.operators.sampling import COMMON_SAMPLINGS, EVERY_FRAME, TWO_PER_SECOND, FrameSampling
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
from transformers.video_utils import VideoMetadata

from tests.small_data import CANVAS, write_dataset


@pytest.fixture(autouse=True)
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every sample survive its sampling, whatever the question is."""
    monkeypatch.setattr(MotionDirection, "survives", lambda *_: True)


SAMPLED = replace(CANVAS, num_frames=(24, 40), fps=8.0, sampling=TWO_PER_SECOND)


@pytest.mark.parametrize("num_frames", [5, 24, 41, 600])
@pytest.mark.parametrize("fps", [1.0, 8.0, 30.0])
def test_the_frames_shown_are_those_that_transformers_takes(num_frames: int, fps: float) -> None:
    processor = Qwen3VLVideoProcessor(min_frames=4, max_frames=64)
    taken = processor.sample_frames(VideoMetadata(total_num_frames=num_frames, fps=fps), fps=2.0)
    assert TWO_PER_SECOND.choices(num_frames, fps)[0] == tuple(taken)


def test_every_frame_needs_no_choice() -> None:
    assert EVERY_FRAME.shown(40, 8.0) is None and EVERY_FRAME.told() == "every frame"
    shown = FrameSampling(fps=2.0, max_frames=6).shown(40, 8.0)
    assert shown is not None and shown.num_frames == 40 and len(shown.indices) == 6


def test_a_dataset_gives_the_frames_shown_and_their_places(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path, num_samples=2, canvas=SAMPLED))
    sample = dataset.sample(0)
    assert (
        sample.clip.shown is not None
        and sample.clip.num_shown == len(sample.clip.shown.indices) < sample.clip.num_frames
    )
    (shown_THWC,) = dataset.frames_shown(0)
    assert np.array_equal(shown_THWC, dataset.frames(0)[list(sample.clip.shown.indices)])


def test_rows_and_the_card_tell_under_which_samplings_an_answer_is_still_there(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path, num_samples=4, canvas=SAMPLED))
    for row in dataset.rows:
        assert set(row["survives"]) <= set(COMMON_SAMPLINGS) and {"2 fps", "4 fps", "32 frames"} <= set(row["survives"])
    write_card(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "made for 2 frames a second, at most 64 of a clip" in card
    assert "| task | 1 fps | 2 fps | 4 fps | 8 frames | 16 frames | 32 frames |" in card


class Patient(MotionDirection):
    """A question whose answer is in frame 3 alone, which its check sees only where the clip is whole."""

    def survives(self, plan: ScenePlan, frames: Sequence[int]) -> bool:
        return 3 in frames

    def recover(self, witness: Witness) -> int | None:
        whole = len(witness.frames_THWC) == 24
        assert witness.fps == (8.0 if whole else 2.0)
        return witness.facts["answer"] if whole else 1


def test_a_sampling_is_survived_only_by_every_rule() -> None:
    plan = Patient().plan((), SAMPLED, Address(task="motion_direction", split="train", index=0, seed=0, level=0))
    plan = replace(plan, num_frames=24)
    assert samplings_survived(Patient(), plan) == ["8 frames", "16 frames", "32 frames"]


@pytest.mark.parametrize(("answer", "verdict"), [(1, Verdict.AGREES), (0, Verdict.DIFFERS)])
def test_frames_shown_that_lead_to_another_answer_are_a_fault(answer: int, verdict: Verdict) -> None:
    """The whole clip leads to the right answer; two frames a second always lead to option 1."""
    primitive = Patient()
    plan = primitive.plan((), SAMPLED, Address(task="motion_direction", split="train", index=0, seed=0, level=0))
    plan = replace(plan, facts={**plan.facts, "answer": answer})
    question = replace(MotionDirection().ask(plan), answer_index=answer)
    frames_THWC = np.zeros((24, 8, 8, 3), np.uint8)
    assert check_pixels(primitive, plan, question, frames_THWC, None) is Verdict.AGREES
    assert check_pixels(primitive, plan, question, frames_THWC, None, TWO_PER_SECOND) is verdict


def test_a_recipe_without_a_sampling_was_made_for_every_frame(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, num_samples=2, canvas=SAMPLED)
    recorded = json.loads((folder / "recipe.json").read_text())
    del recorded["identity"]["canvas"]["sampling"]
    (folder / "recipe.json").write_text(json.dumps(recorded))
    assert read_recipe(folder).canvas.sampling == EVERY_FRAME
    assert Dataset.open(folder).sample(0).clip.shown is None


def test_frames_of_another_generator_version_are_not_rendered(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path, num_samples=2, storage="virtual"))
    sample = dataset.sample(0)
    older = replace(sample, address=replace(sample.address, generator_version="0"))
    with pytest.raises(UserError, match=r"was made by generator version 0 .* make the dataset again"):
        dataset.rendered(older)
