"""``temporay preview``: one offline page that plays samples of a dataset and shows what is asked, and why it is so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pyarrow.parquet as pq
import tyro
from PIL import Image
from pydantic import Field
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import primitives_of
from temporay.operators.dataset.samples import Source, plan_sample
from temporay.operators.dataset.shards import DEAD_LETTER_FILE
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pages.contact_sheet import contact_sheet
from temporay.operators.pages.gallery import Take, dead_letter, gallery, item, overlay_of
from temporay.operators.pages.page import page
from temporay.operators.pixels.clip import decode, encode
from temporay.operators.primitives._claims import Claim, holds
from temporay.operators.records import Sample
from temporay.operators.settings import Settings

ASSETS = ("page.css", "gallery.css", "page.js", "gallery.js")


class PreviewConfig(Settings):
    """Settings of ``temporay preview``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``
    out: Path = Path("preview.html")
    picture: Path | None = None  # also a PNG: a row of frames per sample, with what is asked beneath
    per_task: Annotated[int, Field(ge=1)] = 8  # samples shown of each task, the first ones; twins are never parted


@dataclass(frozen=True)
class Viewer:
    """Makes what the page shows of a dataset's samples."""

    dataset: Dataset
    source: Source | None  # None: the images are gone, so nothing can be planned again, for the reason in ``fault``
    fault: str = ""

    @classmethod
    def open(cls, dataset: Dataset) -> Viewer:
        try:
            return cls(dataset, dataset.source)
        except UserError as error:
            return cls(dataset, None, str(error))

    def take(self, i: int) -> Take:
        """One sample; what is wrong with its clip or its plan is said in its place."""
        sample = self.dataset.sample(i)
        overlay, overlay_fault = self._overlay(sample)
        take = Take(sample=sample, mp4=None, overlay=overlay, overlay_fault=overlay_fault, claims=self._checked(sample))
        try:
            return replace(take, mp4=self._mp4(i, sample))
        except SampleRejected as error:
            return replace(take, fault=str(error))

    def _mp4(self, i: int, sample: Sample) -> bytes:
        data = self.dataset.clip_bytes(i)
        if data:
            decode(data)  # raises when a browser would show nothing
            return data
        codec = replace(self.dataset.recipe.codec, pad_bytes=1)
        return encode(self.dataset.frames(i), sample.fps, codec).data

    def _overlay(self, sample: Sample) -> tuple[dict[str, Any] | None, str]:
        if self.source is None:
            return None, self.fault
        try:
            plan, planned = plan_sample(self.dataset.recipe, self.source, sample.address)
        except SampleRejected as error:
            return None, str(error)
        if planned.events != sample.events:
            return None, "this version of the generator draws this address differently"
        return overlay_of(plan), ""

    def _checked(self, sample: Sample) -> list[tuple[Claim, bool]]:
        primitive = primitives_of(self.dataset.recipe.tasks)[sample.address.task]
        return [(claim, holds(claim, sample.events)) for claim in primitive.claims(sample.rationale)]


def run(config: PreviewConfig) -> Path:
    """Writes the page.

    Raises:
        UserError: there is no finished dataset, a clip for the picture cannot be read, or a file cannot be written.
    """
    dataset = Dataset.open(config.data)
    groups = first_of_each_task(dataset, config.per_task)
    viewer = Viewer.open(dataset)
    cards = [item([viewer.take(i) for i in group]) for group in groups]
    cards += [dead_letter(row) for row in first_dead_letters(dataset, config.per_task)]
    num_shown = sum(len(group) for group in groups)
    tasks = dataset.table["task"].value_counts()
    lead = f"{num_shown} of {len(dataset)} samples of {len(tasks)} tasks, split {dataset.recipe.split}."
    text = page(
        f"Preview of {config.data.absolute().name}",
        lead,
        gallery(cards),
        assets=("page.css", "gallery.css", "page.js", "gallery.js"),
    )
    try:
        config.out.write_text(text)
    except OSError as error:
        raise UserError(f"cannot write {config.out}: {error.strerror}; give another --out") from error
    print(f"{num_shown} samples: {config.out}")
    if config.picture is not None:
        draw_picture(dataset, [i for group in groups for i in group], config.picture)
        print(f"picture: {config.picture}")
    return config.out


def draw_picture(dataset: Dataset, indices: Sequence[int], path: Path) -> None:
    """A contact sheet of some samples as a PNG, whatever the file is called."""
    try:
        sheet_HWC = contact_sheet([(dataset.sample(i), dataset.frames(i)) for i in indices])
    except SampleRejected as error:
        raise UserError(f"a clip of {dataset.path} cannot be read ({error}); make the dataset again") from error
    try:
        Image.fromarray(sheet_HWC).save(path, format="PNG", optimize=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; give another --picture") from error


def first_of_each_task(dataset: Dataset, per_task: int) -> list[list[int]]:
    """Indices of the first samples of every task, in the dataset's order; a sample and its twin are one entry."""
    seen: Counter[str] = Counter()
    by_pair: dict[str, list[int]] = {}
    for i, row in enumerate(dataset.rows):
        if row["pair_id"] in by_pair or seen[row["task"]] < per_task:
            by_pair.setdefault(row["pair_id"], []).append(i)
            seen[row["task"]] += 1
    return list(by_pair.values())


def first_dead_letters(dataset: Dataset, per_reason: int) -> Iterator[dict[str, str]]:
    """The first samples of every reason for which one could not be made."""
    path = dataset.path / DEAD_LETTER_FILE
    seen: Counter[str] = Counter()
    for row in pq.read_table(path).to_pylist() if path.is_file() else []:
        seen[row["reason"]] += 1
        if seen[row["reason"]] <= per_reason:
            yield row
