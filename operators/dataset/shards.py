"""A dataset at rest: tar shards of clips and rows, each written once, and one reader for all of them.

    recipe, shard number -> samples -> shard-000000.tar -> shard-000000.stats.json (the marker) -> metadata.parquet

A shard exists when its marker exists. The same recipe gives the same bytes: nothing of the machine, the worker or the
time is written. In virtual storage a shard holds rows only and frames are rendered when they are read.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.dataset.markers import (
    SampleRecord,
    ShardStats,
    marker_path,
    read_markers,
    shard_name,
    write_marker,
)
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.rows import from_row, to_row
from temporay.operators.dataset.samples import Made, Source, make_unit, open_source, render_address
from temporay.operators.errors import UserError
from temporay.operators.files import sha256_of, whole_file
from temporay.operators.pixels.clip import decode
from temporay.operators.records import Frames, Sample

RECIPE_FILE, METADATA_FILE = "recipe.json", "metadata.parquet"
DEAD_LETTER_FILE, AUDIT_FILE = "dead_letter.parquet", "audit.json"
DRAWN_FOLDER = "drawn_scenes"  # inside the dataset, when its recipe names no COCO files
ROWS_PER_GROUP = 2048  # of metadata.parquet: what the writer holds in memory
TEXT, COUNT, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
ROW_SCHEMA = pa.schema(
    {
        "id": TEXT,
        "schema_version": COUNT,
        "generator_version": TEXT,
        "recipe_hash": TEXT,
        "param_hash": TEXT,
        "task": TEXT,
        "split": TEXT,
        "index": COUNT,
        "seed": COUNT,
        "level": COUNT,
        "pair_id": TEXT,
        "pair_role": TEXT,
        "question": TEXT,
        "options": pa.list_(TEXT),
        "answer_format": TEXT,
        "answer": TEXT,
        "answer_text": TEXT,
        "rationale": TEXT,
        "messages": pa.list_(pa.struct({"role": TEXT, "content": TEXT})),
        "order_dependent": FLAG,
        "needs_time": FLAG,
        "num_frames": COUNT,
        "fps": NUMBER,
        "width": COUNT,
        "height": COUNT,
        "duration_ms": NUMBER,
        "sources_json": TEXT,
        "events_json": TEXT,
        "facts_json": TEXT,
    }
)
PLACE_SCHEMA = pa.schema({"shard": TEXT, "offset": COUNT, "nbytes": COUNT})  # of the mp4 in the tar; 0 when virtual
METADATA_SCHEMA = pa.schema([*ROW_SCHEMA, *PLACE_SCHEMA])
PARQUET: dict[str, Any] = {"compression": "zstd", "compression_level": 9}  # a virtual sample is its row
DEAD_LETTER_SCHEMA = pa.schema(
    {"id": TEXT, "reason": TEXT, "detail": TEXT, "address_json": TEXT, "sample_index": COUNT, "replaced_by": TEXT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One sample as it lies in a tar: the bytes of its files by extension, and its part of the marker."""

    files: Mapping[str, bytes]
    record: SampleRecord


def write_shard(recipe: Recipe, source: Source, recipe_hash: str, shard: int, folder: Path) -> ShardStats:
    """Makes and writes one shard, then its marker.

    Raises:
        UserError: the folder cannot be written, the disk is full, or too many addresses in a row gave nothing.
    """
    indices = recipe.shard_indices(shard)
    units = range(indices.start // recipe.unit_size, -(-indices.stop // recipe.unit_size))
    made = (one for unit in units for one in make_unit(recipe, source, unit))
    entries = (entry_of(recipe, recipe_hash, i, one) for i, one in zip(indices, made, strict=False))  # half a last pair
    return write_entries(entries, recipe_hash, shard, folder)


def entry_of(recipe: Recipe, recipe_hash: str, i: int, made: Made) -> Entry:
    """What is stored of one sample."""
    row = to_row(made.sample, recipe_hash=recipe_hash, param_hash=made.param_hash, instruction=recipe.instruction)
    clip = {} if made.clip is None else {"mp4": made.clip.data}
    record = SampleRecord(
        i=i,
        id=made.sample.key,
        task=made.sample.address.task,
        param_hash=made.param_hash,
        verdict=made.verdict.value if made.verdict else "",
        replaced=dict(sorted((Counter(made.rejected) + Counter(f.reason for f in made.failures)).items())),
        failed=tuple(
            {
                "id": failure.address.key,
                "reason": failure.reason,
                "detail": failure.detail,
                "address_json": json.dumps(asdict(failure.address)),
            }
            for failure in made.failures
        ),
    )
    return Entry(files={**clip, "json": json.dumps(row, ensure_ascii=False).encode()}, record=record)


def write_entries(entries: Iterable[Entry], recipe_hash: str, shard: int, folder: Path) -> ShardStats:
    """Writes a tar and then its marker, in place of those that may be there."""
    path = folder / shard_name(shard)
    records = []
    with whole_file(path) as file:
        tar = tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed below
        for entry in entries:
            records.append(entry.record)
            for extension, data in entry.files.items():
                _add(tar, f"{entry.record.id}.{extension}", data)
        tar.close()
        marker_path(folder, shard).unlink(missing_ok=True)  # never the marker of another tar, whatever is killed now
    stats = ShardStats(
        shard=path.name,
        recipe_hash=recipe_hash,
        sha256=sha256_of(path),
        nbytes=path.stat().st_size,
        samples=tuple(records),
    )
    write_marker(marker_path(folder, shard), stats)
    return stats


def read_entries(folder: Path, stats: ShardStats) -> Iterator[Entry]:
    """The samples of a shard as they were given to ``write_entries``."""
    records = {record.id: record for record in stats.samples}
    with tarfile.open(folder / stats.shard) as tar:
        files: dict[str, bytes] = {}
        for member in tar:
            key, _, extension = member.name.partition(".")
            file = tar.extractfile(member)
            files[extension] = file.read() if file else b""
            if extension == "json":  # the last of every sample
                yield Entry(files=files, record=records[key])
                files = {}


def write_index(recipe: Recipe, folder: Path) -> None:
    """metadata.parquet and, when addresses failed, dead_letter.parquet, from the finished shards, one at a time.

    Raises:
        UserError: a shard is not the one its marker describes.
        ValueError: a shard has no marker.
    """
    for leftover in folder.glob(".*.tmp"):  # of workers that were killed; every shard is there, so none is in use
        leftover.unlink(missing_ok=True)
    letters: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    with whole_file(folder / METADATA_FILE) as file, pq.ParquetWriter(file, METADATA_SCHEMA, **PARQUET) as writer:
        for marker in read_markers(folder, recipe.num_shards):
            letters += marker.letters
            rows += _rows_of(folder, marker)
            while len(rows) >= ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_pylist(rows[:ROWS_PER_GROUP], schema=METADATA_SCHEMA))
                del rows[:ROWS_PER_GROUP]
        writer.write_table(pa.Table.from_pylist(rows, schema=METADATA_SCHEMA))
    dead = folder / DEAD_LETTER_FILE
    if letters:
        with whole_file(dead) as file:
            pq.write_table(pa.Table.from_pylist(letters, schema=DEAD_LETTER_SCHEMA), file)
    else:
        dead.unlink(missing_ok=True)


def recipe_json(recipe: Recipe, source: Source) -> dict[str, Any]:
    """What recipe.json holds; ``recipe_hash`` covers all but the places of files."""
    identity = {**recipe.identity(), "source_fingerprint": source.fingerprint}
    text = json.dumps(identity, sort_keys=True)
    return {
        "recipe_hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "identity": identity,
        "num_source_images": len(source.scenes),
        "dropped_from_source": dict(source.dropped),
        "coco": json.loads(recipe.coco.model_dump_json()),
    }


def read_recipe(folder: Path) -> Recipe:
    """The recipe a dataset was made by."""
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
        """Reads the index of a dataset.

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
        return str(self._recorded["recipe_hash"])

    @cached_property
    def _recorded(self) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads((self.path / RECIPE_FILE).read_text())
        return tree

    def sample(self, i: int) -> Sample:
        return from_row(self.rows[i])

    def clip_bytes(self, i: int) -> bytes:
        """The mp4 of one sample; empty in virtual storage."""
        row = self.rows[i]
        with (self.path / row["shard"]).open("rb") as file:
            file.seek(row["offset"])
            data: bytes = file.read(row["nbytes"])
        return data

    def frames(self, i: int) -> Frames:
        """All frames of one sample, frames_THWC uint8 RGB: decoded, or rendered again in virtual storage.

        Raises:
            SampleRejected: the clip cannot be decoded, or an image it is rendered from is gone.
        """
        if self.rows[i]["nbytes"]:
            return decode(self.clip_bytes(i))
        return self.rendered(self.sample(i))

    def rendered(self, sample: Sample) -> Frames:
        """The frames of a sample, drawn again: frames_THWC uint8 RGB."""
        return render_address(self.recipe, self.source, sample.address)

    @cached_property
    def source(self) -> Source:
        """The scenes that it shows.

        Raises:
            UserError: they are not those it was made of.
        """
        source = open_source(self.recipe, self.path / DRAWN_FOLDER)
        if source.fingerprint != self._recorded["identity"]["source_fingerprint"]:
            raise UserError(f"the images of {self.path} have changed since it was made; restore them or generate again")
        return source


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # mtime, uid and gid are 0 and the names empty unless set
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _rows_of(folder: Path, stats: ShardStats) -> Iterator[dict[str, Any]]:
    path = folder / stats.shard
    if not path.is_file() or path.stat().st_size != stats.nbytes:
        raise UserError(f"{path} is not what its marker says; delete {path.stem}.stats.json and run the command again")
    with tarfile.open(path) as tar, path.open("rb") as file:
        offset = nbytes = 0
        for member in tar:
            if member.name.endswith(".mp4"):
                offset, nbytes = member.offset_data, member.size
                continue
            file.seek(member.offset_data)
            yield {**json.loads(file.read(member.size)), "shard": stats.shard, "offset": offset, "nbytes": nbytes}
            offset = nbytes = 0
