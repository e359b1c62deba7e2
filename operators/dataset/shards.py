"""A dataset on disk, written: tar shards of clips and rows, and the index of all rows.

    recipe, shard number -> samples -> shard-000000.tar -> shard-000000.stats.json (the marker) -> metadata.parquet

A shard is finished when its marker exists. The same recipe gives the same bytes: nothing about the machine, the worker
or the time is written. In virtual storage a shard holds rows only, and frames are rendered when they are read.
"""

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.dataset.markers import (
    SampleRecord,
    ShardMarker,
    marker_path,
    read_markers,
    shard_name,
    write_marker,
)
from temporay.operators.dataset.recipe import Recipe, primitives_of
from temporay.operators.dataset.rows import COUNT, ROW_SCHEMA, TEXT, samplings_survived, to_row
from temporay.operators.dataset.samples import MadeSample, Source, make_unit
from temporay.operators.errors import UserError
from temporay.operators.files import sha256_of, whole_file

RECIPE_FILE, METADATA_FILE = "recipe.json", "metadata.parquet"
DEAD_LETTER_FILE, AUDIT_FILE = "dead_letter.parquet", "audit.json"
DRAWN_FOLDER = "drawn_scenes"  # inside the dataset, when its recipe names no COCO files
ROWS_PER_GROUP = 2048  # rows of metadata.parquet that the writer holds in memory
# Where the mp4 of a row lies in its tar; 0 when the dataset is virtual.
PLACE_SCHEMA = pa.schema({"shard": TEXT, "offset": COUNT, "nbytes": COUNT})
METADATA_SCHEMA = pa.schema([*ROW_SCHEMA, *PLACE_SCHEMA])
PARQUET: dict[str, Any] = {"compression": "zstd", "compression_level": 9}
DEAD_LETTER_SCHEMA = pa.schema(
    {"id": TEXT, "reason": TEXT, "detail": TEXT, "address_json": TEXT, "sample_index": COUNT, "replaced_by": TEXT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSample:
    """A sample in a tar: the bytes of its files by extension, and its part of the marker."""

    files: Mapping[str, bytes]
    record: SampleRecord


def write_shard(recipe: Recipe, source: Source, recipe_hash: str, shard: int, folder: Path) -> ShardMarker:
    """Make and write one shard, then its marker.

    Raises:
        UserError: the folder cannot be written, the disk is full, or too many addresses in a row gave nothing.
    """
    indices = recipe.shard_indices(shard)
    units = range(indices.start // recipe.unit_size, -(-indices.stop // recipe.unit_size))
    made = (one for unit in units for one in make_unit(recipe, source, unit))
    stored = (
        store(recipe, recipe_hash, i, one) for i, one in zip(indices, made, strict=False)
    )  # a last twin may be cut
    return write_samples(stored, recipe_hash, shard, folder)


def store(recipe: Recipe, recipe_hash: str, i: int, made: MadeSample) -> StoredSample:
    """Turn sample number ``i`` of a recipe into files and its part of the marker."""
    row = to_row(
        made.sample,
        recipe_hash=recipe_hash,
        content_hash=made.content_hash,
        instruction=recipe.instruction,
        survives=samplings_survived(primitives_of(recipe.tasks)[made.plan.address.task], made.plan),
    )
    clip = {} if made.clip is None else {"mp4": made.clip.data}
    record = SampleRecord(
        i=i,
        id=made.sample.key,
        task=made.sample.address.task,
        param_hash=made.content_hash,
        verdict=made.verdict.value if made.verdict else "",
        replaced=dict(sorted((Counter(made.rejected) + Counter(f.reason for f in made.failures)).items())),
        failed=tuple(failure.letter() for failure in made.failures),
    )
    return StoredSample(files={**clip, "json": json.dumps(row, ensure_ascii=False).encode()}, record=record)


def write_samples(samples: Iterable[StoredSample], recipe_hash: str, shard: int, folder: Path) -> ShardMarker:
    """Write a tar and then its marker; both replace those that may be there."""
    path = folder / shard_name(shard)
    records = []
    with whole_file(path) as file:
        tar = tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed below
        for sample in samples:
            records.append(sample.record)
            for extension, data in sample.files.items():
                member = tarfile.TarInfo(f"{sample.record.id}.{extension}")  # without owner and time
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        tar.close()
        marker_path(folder, shard).unlink(missing_ok=True)  # if killed now, no marker describes another tar
    digest, nbytes = sha256_of(path), path.stat().st_size
    marker = ShardMarker(shard=path.name, recipe_hash=recipe_hash, sha256=digest, nbytes=nbytes, samples=tuple(records))
    write_marker(marker_path(folder, shard), marker)
    return marker


def read_samples(folder: Path, marker: ShardMarker) -> Iterator[StoredSample]:
    """Yield the samples of a shard as ``write_samples`` was given them."""
    records = {record.id: record for record in marker.samples}
    with tarfile.open(folder / marker.shard) as tar:
        files: dict[str, bytes] = {}
        for member in tar:
            key, _, extension = member.name.partition(".")
            file = tar.extractfile(member)
            files[extension] = file.read() if file else b""
            if extension == "json":  # the last of every sample
                yield StoredSample(files=files, record=records[key])
                files = {}


def write_index(recipe: Recipe, folder: Path) -> None:
    """Write metadata.parquet from the finished shards and, when addresses failed, dead_letter.parquet.

    Raises:
        UserError: a shard is not the one its marker describes.
        ValueError: a shard has no marker.
    """
    for leftover in folder.glob(".*.tmp"):  # killed workers left it; every shard is there, so none is in use
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
    """Return what recipe.json holds. ``recipe_hash`` covers all of it except where files lie."""
    identity = {**recipe.identity(), "source_fingerprint": source.fingerprint}
    text = json.dumps(identity, sort_keys=True)
    return {
        "recipe_hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "identity": identity,
        "num_source_images": len(source.scenes),
        "dropped_from_source": dict(source.dropped),
        "coco": json.loads(recipe.coco.model_dump_json()),
        "copies": source.copies.groups(),
    }


def _rows_of(folder: Path, marker: ShardMarker) -> Iterator[dict[str, Any]]:
    path = folder / marker.shard
    if not path.is_file() or path.stat().st_size != marker.nbytes:
        raise UserError(f"{path} is not what its marker says; delete {path.stem}.stats.json and run the command again")
    with tarfile.open(path) as tar, path.open("rb") as file:
        offset = nbytes = 0
        for member in tar:
            if member.name.endswith(".mp4"):
                offset, nbytes = member.offset_data, member.size
                continue
            file.seek(member.offset_data)
            yield {**json.loads(file.read(member.size)), "shard": marker.shard, "offset": offset, "nbytes": nbytes}
            offset = nbytes = 0
