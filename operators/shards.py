"""A dataset at rest: tar shards of clips and rows, each written once, and one reader for all of them.

    recipe, shard number -> samples -> shard-000000.tar -> shard-000000.stats.json (the marker) -> metadata.parquet

A shard exists when its marker exists. The same recipe gives the same bytes: nothing of the machine, the worker or the
time is written. In virtual storage a shard holds rows only and frames are rendered when they are read.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from operators.clip import decode, encode
from operators.errors import SampleRejected, UserError
from operators.prompts import from_row, to_row
from operators.recipe import Recipe, Source, address_of, make_sample_at, open_source, render_address, task_and_index
from operators.records import Frames, Sample

RECIPE_FILE, METADATA_FILE = "recipe.json", "metadata.parquet"
DEAD_LETTER_FILE, AUDIT_FILE = "dead_letter.parquet", "audit.json"
DRAWN_FOLDER = "drawn_scenes"  # inside the dataset, when its recipe names no COCO files
STORAGE_ERRORS = (  # the user can mend these; any other OSError is a fault of ours
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
)

TEXT, COUNT, NUMBER, FLAG = pa.string(), pa.int64(), pa.float64(), pa.bool_()
ROW_SCHEMA = pa.schema(
    {
        "id": TEXT,
        "schema_version": COUNT,
        "generator_version": TEXT,
        "recipe_hash": TEXT,
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
DEAD_LETTER_SCHEMA = pa.schema({"id": TEXT, "reason": TEXT, "detail": TEXT, "address_json": TEXT})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStats:
    """The marker of a finished shard."""

    shard: str
    recipe_hash: str
    sha256: str
    nbytes: int
    num_samples: int
    counts: Mapping[str, int]  # "ok", "dropped_<reason>", "retried_<reason>"
    dropped: tuple[Mapping[str, str], ...]  # rows of the dead letter file


def shard_name(shard: int) -> str:
    return f"shard-{shard:06d}.tar"


def marker_path(folder: Path, shard: int) -> Path:
    return (folder / shard_name(shard)).with_suffix(".stats.json")


def write_shard(recipe: Recipe, source: Source, recipe_hash: str, shard: int, folder: Path) -> ShardStats:
    """Makes and writes one shard, then its marker.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    counts: Counter[str] = Counter()
    dropped: list[dict[str, str]] = []
    path = folder / shard_name(shard)
    with whole_file(path) as file:
        tar = tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 - closed below
        for i in recipe.shard_indices(shard):
            try:
                made = make_sample_at(recipe, source, i)
            except SampleRejected as error:
                counts[f"dropped_{error.reason}"] += 1
                dropped.append(_dead_letter(recipe, i, error))
                continue
            counts["ok"] += 1
            counts.update(f"retried_{reason}" for reason in made.rejected)
            if made.frames_THWC is not None:
                clip = encode(made.frames_THWC, made.sample.fps, recipe.codec)
                _add(tar, f"{made.sample.key}.mp4", clip.data)
            row = to_row(made.sample, recipe_hash=recipe_hash, instruction=recipe.instruction)
            _add(tar, f"{made.sample.key}.json", json.dumps(row, ensure_ascii=False).encode())
        tar.close()
    stats = ShardStats(
        shard=path.name,
        recipe_hash=recipe_hash,
        sha256=_sha256(path),
        nbytes=path.stat().st_size,
        num_samples=counts["ok"],
        counts=dict(sorted(counts.items())),
        dropped=tuple(dropped),
    )
    with whole_file(marker_path(folder, shard)) as file:
        file.write(json.dumps(asdict(stats), indent=1, ensure_ascii=False).encode())
    return stats


def read_marker(folder: Path, shard: int) -> ShardStats | None:
    """The marker of a shard, or None when the shard is not finished."""
    path = marker_path(folder, shard)
    if not path.exists():
        return None
    fields = json.loads(path.read_text())
    return ShardStats(**{**fields, "dropped": tuple(fields["dropped"])})


def write_index(recipe: Recipe, folder: Path) -> list[ShardStats]:
    """metadata.parquet and, when samples were dropped, dead_letter.parquet, from the finished shards.

    Raises:
        UserError: no sample could be made at all, or a shard is not the one its marker describes.
    """
    markers = [read_marker(folder, shard) for shard in range(recipe.num_shards)]
    stats = [marker for marker in markers if marker is not None]
    if len(stats) < recipe.num_shards:
        raise ValueError(f"{recipe.num_shards - len(stats)} of {recipe.num_shards} shards have no marker")
    for leftover in folder.glob(".*.tmp"):  # of workers that were killed; every shard is there, so none is in use
        leftover.unlink(missing_ok=True)
    dead = [letter for marker in stats for letter in marker.dropped]
    if dead:
        _write_table(folder / DEAD_LETTER_FILE, pa.Table.from_pylist(dead, schema=DEAD_LETTER_SCHEMA))
    if all(marker.num_samples == 0 for marker in stats):
        reasons = ", ".join(f"{reason}: {n}" for reason, n in Counter(d["reason"] for d in dead).items())
        raise UserError(f"no sample could be made ({reasons}; see {folder / DEAD_LETTER_FILE})")
    rows = [row for marker in stats for row in _rows_of(folder, marker)]
    _write_table(folder / METADATA_FILE, pa.Table.from_pylist(rows, schema=METADATA_SCHEMA))
    return stats


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


def write_json(path: Path, tree: Mapping[str, Any]) -> None:
    """Writes the whole file or nothing."""
    with whole_file(path) as file:
        file.write((json.dumps(tree, indent=1, ensure_ascii=False) + "\n").encode())


def read_recipe(folder: Path) -> Recipe:
    """The recipe a dataset was made by."""
    tree = json.loads((folder / RECIPE_FILE).read_text())
    added = ("generator_version", "source_fingerprint")
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
        return render_address(self.recipe, self._source, self.sample(i).address)

    @cached_property
    def _source(self) -> Source:
        source = open_source(self.recipe, self.path / DRAWN_FOLDER)
        recorded = json.loads((self.path / RECIPE_FILE).read_text())["identity"]["source_fingerprint"]
        if source.fingerprint != recorded:
            raise UserError(f"the images of {self.path} have changed since it was made; restore them or generate again")
        return source


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # mtime, uid and gid are 0 and the names empty unless set
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _dead_letter(recipe: Recipe, i: int, error: SampleRejected) -> dict[str, str]:
    address = address_of(recipe, *task_and_index(recipe, i))
    return {
        "id": address.key,
        "reason": error.reason,
        "detail": error.detail,
        "address_json": json.dumps(asdict(address)),
    }


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


def _write_table(path: Path, table: pa.Table) -> None:
    with whole_file(path) as file:
        pq.write_table(table, file)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears whole or not at all, whatever is killed; safe when two processes write the same one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - atomic on one file system
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        raise UserError(f"cannot write {path}: {error.strerror}; make room for it or give another --out") from error
    finally:
        temporary.unlink(missing_ok=True)
