"""A dataset on disk, read: samples, rows, clips and frames in any order.

recipe.json, metadata.parquet, shard-000000.tar ... -> Dataset
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError
from temporay.operators.dataset.copies import Copies
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.rows import address_of, from_row
from temporay.operators.dataset.samples import Source, open_source, render_address
from temporay.operators.dataset.shards import DRAWN_FOLDER, METADATA_FILE, RECIPE_FILE
from temporay.operators.errors import SampleRejected, UserError, first_fault
from temporay.operators.files import read_json
from temporay.operators.media import Clips
from temporay.operators.pixels.clip import decode
from temporay.operators.records import GENERATOR_VERSION, Address, Frames, Sample
from temporay.operators.sampling import EVERY_FRAME

RESTORE = "restore it, or make the dataset again"


def read_recipe(folder: Path) -> Recipe:
    """Read the recipe that a dataset was made by."""
    tree = recorded_in(folder)
    added = ("generator_version", "source_fingerprint", "coco_licenses")
    fields = {name: value for name, value in tree["identity"].items() if name not in added}
    if isinstance(canvas := fields.get("canvas"), dict):  # recipes that say no sampling were made for every frame
        fields["canvas"] = {"sampling": asdict(EVERY_FRAME), **canvas}
    try:
        return Recipe.model_validate({**fields, "coco": tree["coco"]})
    except ValidationError as error:
        raise UserError(f"{folder / RECIPE_FILE} is not valid ({first_fault(error)}); {RESTORE}") from error


def recorded_in(folder: Path) -> dict[str, Any]:
    """Read what recipe.json of a dataset holds.

    Raises:
        UserError: it cannot be read, or parts of it are missing.
    """
    tree = read_json(folder / RECIPE_FILE, RESTORE)
    if lacking := [name for name in ("identity", "coco", "recipe_hash") if name not in tree]:
        raise UserError(f"{folder / RECIPE_FILE} lacks {', '.join(lacking)}; {RESTORE}")
    return tree


def recorded_copies(folder: Path) -> Copies:
    """Read which images show the same picture. Datasets that do not say it were split by ids alone."""
    return Copies.of(recorded_in(folder).get("copies", []))


@dataclass(frozen=True)
class Dataset:
    """Random access to the samples and frames of a finished dataset. Pickles as its path alone.

    What it shares with a user's own data is ``temporay.operators.dataset.opening.Samples``.
    """

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
        recorded_in(path)
        try:
            table = pq.read_table(path / METADATA_FILE)
        except (OSError, pa.ArrowException) as error:
            raise UserError(
                f"{path / METADATA_FILE} cannot be read ({error}); delete it, and run the same generate command again"
            ) from error
        return cls(path=path.absolute(), table=table)

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

    @property
    def fingerprint(self) -> str:
        return self.recipe_hash

    @property
    def style(self) -> str:
        return self.recipe.style

    @property
    def dropped(self) -> tuple[()]:
        return ()

    @cached_property
    def recorded(self) -> dict[str, Any]:
        """What recipe.json holds."""
        return recorded_in(self.path)

    def address(self, i: int) -> Address:
        return address_of(self.rows[i])

    def sample(self, i: int) -> Sample:
        """Return one sample, and which frames of its clip the recipe's sampling shows a model."""
        sample = from_row(self.rows[i])
        clip = sample.clip
        shown = self.recipe.canvas.sampling.shown(clip.num_frames, clip.fps)
        return replace(sample, media=(replace(clip, shown=shown),))

    def clip_bytes(self, i: int) -> bytes:
        """Read the mp4 of one sample; empty in virtual storage.

        Raises:
            UserError: its shard cannot be read.
        """
        row = self.rows[i]
        try:
            with (self.path / row["shard"]).open("rb") as file:
                file.seek(row["offset"])
                data: bytes = file.read(row["nbytes"])
        except OSError as error:
            raise UserError(
                f"{self.path / row['shard']} cannot be read ({error.strerror}); `temporay lint` lists every fault"
            ) from error
        return data

    def frames(self, i: int) -> Frames:
        """Decode all frames of one sample, or render them in virtual storage: frames_THWC uint8 RGB.

        Raises:
            SampleRejected: the clip cannot be decoded, or an image it is rendered from is gone; clip and shard are
                named.
        """
        row = self.rows[i]
        try:
            return decode(self.clip_bytes(i)) if row["nbytes"] else self.rendered(self.sample(i))
        except SampleRejected as error:
            named = f"clip {row['id']} of {self.path / row['shard']}: {error.detail}"
            raise SampleRejected(error.reason, named) from error

    def frames_shown(self, i: int) -> Clips:
        """Return the frames of one sample that a model is shown. Raises as ``frames`` does."""
        shown = self.sample(i).clip.shown
        return (self.frames(i) if shown is None else self.frames(i)[list(shown.indices)],)

    def rendered(self, sample: Sample) -> Frames:
        """Render the frames of a sample again: frames_THWC uint8 RGB.

        Raises:
            UserError: its address gives another clip in this version.
        """
        if sample.address.generator_version != GENERATOR_VERSION:
            raise UserError(
                f"{self.path} was made by generator version {sample.address.generator_version} and has no clips, but "
                f"this is version {GENERATOR_VERSION}, which draws others; make the dataset again"
            )
        return render_address(self.recipe, self.source, sample.address)

    @cached_property
    def source(self) -> Source:
        """The scenes that its samples show.

        Raises:
            UserError: they have changed since the dataset was made.
        """
        source = open_source(self.recipe, self.path / DRAWN_FOLDER, recorded_copies(self.path))
        if source.fingerprint != self.recorded["identity"]["source_fingerprint"]:
            raise UserError(f"the images of {self.path} have changed since it was made; restore them or generate again")
        return source
