from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import make_sample_at, open_source
from temporay.operators.pages.contact_sheet import MARGIN, MAX_FRAMES, ROW_GAP, WIDTH, contact_sheet, film, sample_row
from temporay.operators.pixels.clip import decode
from temporay.operators.records import Frames, Sample


@pytest.fixture
def sample(recipe: Recipe, tmp_path: Path) -> tuple[Sample, Frames]:
    made = make_sample_at(recipe, open_source(recipe, tmp_path), 0)
    assert made.clip is not None
    return made.sample, decode(made.clip.data)


def test_the_film_shows_first_to_last_frame_in_order() -> None:
    frames_THWC = np.stack([np.full((30, 60, 3), 10 * t, np.uint8) for t in range(22)])
    strip_HWC = film(frames_THWC)
    lefts = np.linspace(0, strip_HWC.shape[1], MAX_FRAMES, endpoint=False).astype(int)
    assert [int(strip_HWC[5, left + 20, 0]) for left in lefts] == [0, 30, 60, 90, 120, 150, 180, 210]
    assert film(frames_THWC[:2]).shape == strip_HWC.shape


def test_every_sample_has_its_row(sample: tuple[Sample, Frames]) -> None:
    row_HWC = sample_row(*sample)
    sheet_HWC = contact_sheet([sample, sample])
    assert sheet_HWC.shape == (2 * row_HWC.shape[0] + ROW_GAP, WIDTH, 3)
    assert np.array_equal(sheet_HWC[: len(row_HWC)], sheet_HWC[len(row_HWC) : 2 * len(row_HWC)])
    with pytest.raises(ValueError, match="no samples"):
        contact_sheet([])


def test_long_words_are_wrapped_and_never_cut(sample: tuple[Sample, Frames]) -> None:
    made, frames_THWC = sample
    long = "a rather long caption " * 30
    question = replace(made.question, text=long, options=(long, "b", long), answer_index=2)
    row_HWC = sample_row(replace(made, question=question), frames_THWC)
    assert len(row_HWC) > len(sample_row(made, frames_THWC)) + 150
    edge = row_HWC[:, WIDTH - MARGIN :]
    assert (edge == edge[0, 0]).all()
    assert not np.array_equal(
        sample_row(replace(made, question=replace(question, answer_index=0)), frames_THWC), row_HWC
    )
