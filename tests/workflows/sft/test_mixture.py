"""Mixtures: exact shares, every sample once per epoch, any place at any time, the wording of answer-only samples."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.rows import ANSWER_ONLY_INSTRUCTION
from temporay.operators.errors import UserError
from temporay.operators.pixels.clip import Codec, encode
from temporay.operators.records import Sample
from temporay.operators.seeding import place_in_epochs
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.sft.collation import Collate
from temporay.workflows.sft.mixture import Mixture, Part, absolute_entry, parts_of, row_order, samples_drawn
from temporay.workflows.sft.schedule import Pass
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.token_counts import count_rows

from tests.small_data import write_dataset

READING = VideoReading(fps=5.0, max_frames=4, max_side=32)


def part(weight: float, num_rows: int) -> Part:
    return Part(path=Path(f"{num_rows}"), weight=weight, num_rows=num_rows, fingerprint="", videos=READING)


PARTS = (part(0.5, 7), part(0.3, 11), part(0.2, 3))
FIRST_ROWS = (0, 7, 18)
ALL_ROWS = (range(7), range(7, 18), range(18, 21))


def write_qa(file: Path, num_lines: int, *, answer: str = "A") -> Path:
    frames_THWC = np.zeros((10, 32, 32, 3), np.uint8)
    (file.parent / "a.mp4").write_bytes(encode(frames_THWC, 10.0, Codec()).data)
    line = {"video": "a.mp4", "options": ["yes", "no"], "answer": answer}
    lines = [json.dumps({**line, "question": f"Is it brighter after {n}?"}) for n in range(num_lines)]
    file.write_text("\n".join([*lines, "not JSON"]))
    return file


def part_and_index(row: int) -> tuple[int, int]:
    p = max(p for p, first in enumerate(FIRST_ROWS) if row >= first)
    return p, row - FIRST_ROWS[p]


@pytest.mark.parametrize("batch_size", [1, 4, 10])
def test_shares_are_exact_at_any_time_and_epochs_whole(batch_size: int) -> None:
    seen: list[Counter[int]] = [Counter() for _ in PARTS]
    for step in range(300 // batch_size):
        for p, i in map(part_and_index, row_order(PARTS, ALL_ROWS, 1, step * batch_size, batch_size)):
            seen[p][i] += 1
        num_drawn = (step + 1) * batch_size
        assert samples_drawn(PARTS, num_drawn) == [counter.total() for counter in seen]
        for counter, one in zip(seen, PARTS, strict=True):
            assert abs(counter.total() - num_drawn * one.weight) <= 1.5
            counts = [counter[i] for i in range(one.num_rows)]
            assert max(counts) - min(counts) <= 1  # one more only once all have come


def test_order_depends_on_the_seed_and_the_place_alone() -> None:
    late = row_order(PARTS, ALL_ROWS, 1, 800_000, 8)
    assert sorted(late) != sorted(row_order(PARTS, ALL_ROWS, 2, 800_000, 8))
    assert late == [row for i in range(8) for row in row_order(PARTS, ALL_ROWS, 1, 800_000 + i, 1)]


def test_rows_that_are_left_out_never_come() -> None:
    kept = (range(7), [7, 9, 17], range(18, 21))
    counts = Counter(row_order(PARTS, kept, 1, 0, 100))
    assert set(counts) == {row for rows in kept for row in rows}
    assert [counts[row] for row in (7, 9, 17)] == [10, 10, 10]


def test_a_single_part_is_read_epoch_by_epoch() -> None:
    expected = [place_in_epochs(place, 10, "sft", 1) for place in range(18, 24)]
    assert row_order((part(1.0, 10),), (range(10),), 1, 18, 6) == expected


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (("qa.jsonl",), "is not PATH=SHARE"),
        (("=0.3",), "is not PATH=SHARE"),
        (("qa.jsonl=1.5",), "share between 0 and 1"),
        (("qa.jsonl=nan",), "share between 0 and 1"),
        (("{file}=0.5", "{file}=0.5"), "leaves nothing to"),
        (("{file}=0.5",), "named twice"),
        (("gone.jsonl=0.5",), "cannot read"),
    ],
)
def test_refused_mixtures(tmp_path: Path, entries: tuple[str, ...], message: str) -> None:
    file = write_qa(tmp_path / "qa.jsonl", 2)
    with pytest.raises(UserError, match=message):
        parts_of(file, [entry.format(file=file) for entry in entries], READING)


def test_absolute_keeps_the_share() -> None:
    assert absolute_entry("a=b.jsonl=0.123456789") == f"{Path.cwd()}/a=b.jsonl=0.123456789"


def test_parts_notice_other_content_and_other_sizes(tmp_path: Path) -> None:
    first = parts_of(write_qa(tmp_path / "qa.jsonl", 3), (), READING)
    assert pickle.loads(pickle.dumps(first)) == first
    write_qa(tmp_path / "qa.jsonl", 3, answer="B")
    assert parts_of(tmp_path / "qa.jsonl", (), READING)[0].identity() != first[0].identity()
    write_qa(tmp_path / "qa.jsonl", 4)
    assert len(Mixture.open(first)) == 3  # a run goes on with the lines that it began with
    (dataset,) = parts_of(write_dataset(tmp_path / "data", num_samples=4), (), READING)
    with pytest.raises(UserError, match="had 3 samples when the run began and has 4 now"):
        Mixture.open((replace(dataset, num_rows=3),))


def test_a_fixed_share_is_taught_without_its_chain_of_thought(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path / "data", num_samples=200))
    samples = [dataset.sample(i) for i in range(len(dataset))]

    def taught(share: float, seed: int = 0) -> list[Sample]:
        config = SftConfig(data=tmp_path, model=tmp_path, out=tmp_path, answer_only_share=share, seed=seed)
        return [config.as_taught(sample) for sample in samples]

    half = taught(0.5)
    short = [one.rationale == "" for one in half]
    assert 70 < sum(short) < 130
    assert all(one.target.startswith("<answer>") == is_short for one, is_short in zip(half, short, strict=True))
    assert all(one == sample or not one.rationale for one, sample in zip(half, samples, strict=True))
    assert half == taught(0.5) and half != taught(0.5, seed=1)
    assert taught(0.0) == samples and not any(one.rationale for one in taught(1.0))


def test_a_share_of_the_wordings_is_taught_without_its_chain_of_thought(tmp_path: Path) -> None:
    dataset = Dataset.open(write_dataset(tmp_path / "data", num_samples=200))
    samples = [dataset.sample(i) for i in range(len(dataset))]

    def shortened(wordings: float) -> set[int]:
        given = {"answer_only_share": 1.0, "answer_only_wordings": wordings}
        config = SftConfig(data=tmp_path, model=tmp_path, out=tmp_path, **given)
        short = {sample.facts["wording"] for sample in samples if not config.as_taught(sample).rationale}
        assert all(config.as_taught(sample) == sample for sample in samples if sample.facts["wording"] not in short)
        return short

    assert shortened(1.0) == set(range(8))
    assert shortened(0.5) == {1, 3, 5, 7}
    assert shortened(0.25) == {3, 7}
    assert shortened(0.0) == set()
    config = SftConfig(data=tmp_path, model=tmp_path, out=tmp_path, answer_only_share=1.0, answer_only_wordings=0.0)
    assert not config.as_taught(replace(samples[0], facts={})).rationale  # a user's own question has no wordings


def test_what_is_taught_is_counted_and_collated(tmp_path: Path, learner: Any) -> None:
    parts = parts_of(write_dataset(tmp_path / "data", num_samples=6), (), READING)
    mixture = Mixture.open(parts)
    counts = {}
    for share in (0.0, 1.0):
        given = {"answer_only_share": share, "answer_only_instruction": ""}
        config = SftConfig(data=tmp_path, model=learner.model, out=tmp_path, **given)
        counts[share] = count_rows(parts, config, range(6)).tokens_N
        collate = Collate(
            family=learner.family,
            processor=learner.processor,
            mixture=mixture,
            tokens_N=counts[share],
            settings=config,
            lock=Lock(),
        )
        # its lengths are those counted
        made = collate.batch(Pass((0, 5)), [mixture.frames_shown(0), mixture.frames_shown(5)])
        texts = [learner.processor.tokenizer.decode(ids) for ids in made.input_ids_RL]
        assert all(("<think>" in text) == (share == 0.0) for text in texts)
    assert (counts[1.0] < counts[0.0]).all()


def test_answer_only_samples_have_their_own_wording_and_their_counted_length(tmp_path: Path, learner: Any) -> None:
    (tmp_path / "b").mkdir()
    parts = parts_of(write_qa(tmp_path / "qa.jsonl", 5), [f"{write_qa(tmp_path / 'b' / 'more.jsonl', 3)}=0.5"], READING)
    config = SftConfig(data=tmp_path, model=learner.model, out=tmp_path, instruction="Think.")
    counts = count_rows(parts, config, range(8))
    mixture = Mixture.open(parts)

    def batch(tokens_N: Any, *, is_blank: bool = False) -> Any:
        collate = Collate(
            family=learner.family,
            processor=learner.processor,
            mixture=mixture,
            tokens_N=tokens_N,
            settings=config,
            lock=Lock(),
        )
        return collate.batch(Pass((1, 6), is_blank), [mixture.frames_shown(1), mixture.frames_shown(6)])

    made = batch(counts.tokens_N)
    texts = [learner.processor.tokenizer.decode(ids) for ids in made.input_ids_RL]
    assert all(ANSWER_ONLY_INSTRUCTION in text and "Think." not in text for text in texts)
    assert all("<answer>A</answer>" in text for text in texts)
    assert (
        float(made.completion_mask_BT.sum())
        > 0
        == float(batch(counts.tokens_N, is_blank=True).completion_mask_BT.sum())
    )
    with pytest.raises(RuntimeError, match=r"video_qa-.* of .*jsonl has \d+ tokens and was counted as \d+"):
        batch(counts.tokens_N + 1)
