"""A dataset on disk, read: samples, rows, clips and frames in any order.

recipe.json, metadata.parquet, shard-000000.tar ... -> Dataset
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.rows import from_row
from temporay.operators.dataset.samples import Source, open_source, render_address
from temporay.operators.dataset.shards import DRAWN_FOLDER, METADATA_FILE, RECIPE_FILE
from temporay.operators.errors import UserError
from temporay.operators.pixels.clip import decode
from temporay.operators.records import Frames, Sample


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe that a dataset was made by."""
    tree = json.loads((folder / RECIPE_FILE).read_text())
    added = ("generator_version", "source_fingerprint", "coco_licenses")
    fields = {name: value for name, value in tree["identity"].items() if name not in added}
    return Recipe.model_validate({**fields, "coco": tree["coco"]})


@dataclass(frozen=True)
class Dataset:
    """Random access to the samples and frames of a finished dataset. Pickles as its path alone."""

    path: Path
    table: pa.Table

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Open a finished dataset and read its index.

        Raises:
            UserError: there is no dataset, or it is not finished.
        """
        if not (path / RECIPE_FILE).is_file():
            raise UserError(f"{path} is not a dataset of temporay (no {RECIPE_FILE}); give a folder made by generate")
        if not (path / METADATA_FILE).is_file():
            raise UserError(f"the dataset {path} is not finished; run the same generate command again to go on")
        return cls(path=path.absolute(), table=pq.read_table(path / METADATA_FILE))

    def __reduce__(self) -> tuple[Any, ...]:
        return Dataset.open, (self.path,)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, each with ``shard``, ``offset`` and ``nbytes`` of its clip."""
        return self.table.to_pylist()  # type: ignore[no-any-return]

    @cached_property
    def recipe(self) -> Recipe:
        return read_recipe(self.path)

    @property
    def recipe_hash(self) -> str:
        return str(self.recorded["recipe_hash"])

    @cached_property
    def recorded(self) -> dict[str, Any]:
        """What recipe.json holds."""
        tree: dict[str, Any] = json.loads((self.path / RECIPE_FILE).read_text())
        return tree

    def sample(self, i: int) -> Sample:
        return from_row(self.rows[i])

    def clip_bytes(self, i: int) -> bytes:
        """Read the mp4 of one sample; empty in virtual storage."""
        row = self.rows[i]
        with (self.path / row["shard"]).open("rb") as file:
            file.seek(row["offset"])
            data: bytes = file.read(row["nbytes"])
        return data

    def frames(self, i: int) -> Frames:
        """Decode all frames of one sample, or render them in virtual storage: frames_THWC uint8 RGB.

        Raises:
            SampleRejected: the clip cannot be decoded, or an image it is rendered from is gone.
        """
        if self.rows[i]["nbytes"]:
            return decode(self.clip_bytes(i))
        return self.rendered(self.sample(i))

    def rendered(self, sample: Sample) -> Frames:
        """Render the frames of a sample again: frames_THWC uint8 RGB."""
        return render_address(self.recipe, self.source, sample.address)

    @cached_property
    def source(self) -> Source:
        """The scenes that its samples show.

        Raises:
            UserError: they have changed since the dataset was made.
        """
        source = open_source(self.recipe, self.path / DRAWN_FOLDER)
        if source.fingerprint != self.recorded["identity"]["source_fingerprint"]:
            raise UserError(f"the images of {self.path} have changed since it was made; restore them or generate again")
        return source
