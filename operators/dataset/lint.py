"""Faults of a dataset on disk: one line for each, none for a sound dataset.

markers, tars and metadata.parquet -> rows, checksums, clips, answers made again from the log -> Problem
"""

import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.dataset.content_hash import split_of
from temporay.operators.dataset.markers import ShardMarker, read_marker, shard_name
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe, primitives_of
from temporay.operators.dataset.rows import ROW_SCHEMA, SampleRow, from_row, make_sample
from temporay.operators.dataset.shards import METADATA_FILE, METADATA_SCHEMA, PLACE_SCHEMA
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.files import sha256_of
from temporay.operators.pixels.clip import decode
from temporay.operators.primitives._base import Primitive


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault."""

    where: str  # a file, or the id of a sample
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def lint_index(dataset: Dataset) -> Iterator[Problem]:
    """Find faults of metadata.parquet as a whole: schema, number of rows, duplicates, splits, twins."""
    recipe, table = dataset.recipe, dataset.table
    if table.schema != METADATA_SCHEMA:
        names = [f.name for f in METADATA_SCHEMA if f not in list(table.schema)]
        yield Problem(METADATA_FILE, f"the columns are not those of the schema ({', '.join(names) or 'more'})")
        return
    nulls = [name for name in table.column_names if table[name].null_count]
    if nulls:
        yield Problem(METADATA_FILE, f"empty cells in {', '.join(nulls)}")
    if len(table) != recipe.num_samples:
        yield Problem(METADATA_FILE, f"{len(table)} rows, but the recipe makes {recipe.num_samples}")
    for name in ("id", "param_hash"):
        counted = Counter(table[name].to_pylist())
        for value, n in counted.items():
            if n > 1:
                yield Problem(METADATA_FILE, f"{n} samples have the {name} {value}")
    for key, plan_hash in zip(table["id"].to_pylist(), table["param_hash"].to_pylist(), strict=True):
        if split_of(plan_hash) != recipe.split:
            yield Problem(key, f"its parameters belong to split {split_of(plan_hash)}, not {recipe.split}")
    if recipe.twins:
        yield from _lint_twins(table, recipe)


def lint_shard(folder: Path, shard: int) -> list[Problem]:
    """Find faults of one shard: marker, checksum, rows, offsets, clips, and answers made again from the event log."""
    dataset = Dataset.open(folder)
    name = shard_name(shard)
    try:
        marker = read_marker(folder, shard)
    except UserError as error:
        return [Problem(name, str(error))]
    if marker is None:
        return [Problem(name, "has no marker; run the same generate command again")]
    path = folder / name
    if not path.is_file():
        return [Problem(name, "is missing, but its marker is there")]
    problems = _lint_marker(dataset, marker, path)
    rows = pq.read_table(folder / METADATA_FILE, filters=[("shard", "=", name)]).to_pylist()
    try:
        problems += _lint_tar(dataset, path, marker, {row["id"]: row for row in rows})
    except (tarfile.TarError, UnicodeDecodeError, json.JSONDecodeError) as error:
        problems.append(Problem(name, f"cannot be read: {error}"))
    return problems


def lint_row(row: SampleRow, primitive: Primitive, recipe: Recipe) -> Iterator[Problem]:
    """Find faults of one row: types, and a question, answer or reasoning that its log does not give."""
    key = str(row.get("id"))
    if list(row) != ROW_SCHEMA.names:
        yield Problem(key, "its row has other columns than the schema, or in another order")
        return
    try:
        pa.Table.from_pylist([row], schema=ROW_SCHEMA)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        yield Problem(key, f"a cell of its row has another type than the schema: {error}")
        return
    sample = from_row(row)
    again = make_sample(primitive, sample.logged_plan, recipe.style, recipe.answer_format)
    if (
        again.question.letter != sample.question.letter
        or row["answer_text"] != sample.question.options[sample.question.answer_index]
    ):
        yield Problem(key, f"its answer is {row['answer']}, but its event log gives {again.question.letter}")
    elif again.question != sample.question:
        yield Problem(key, "its question is not the one that its facts give")
    elif again.rationale != sample.rationale:
        yield Problem(key, "its reasoning is not the one that its event log gives")


def _lint_twins(table: pa.Table, recipe: Recipe) -> Iterator[Problem]:
    pairs: dict[str, dict[str, SampleRow]] = {}
    for row in table.select(["pair_id", "pair_role", "question", "options", "answer"]).to_pylist():
        pairs.setdefault(row["pair_id"], {})[row["pair_role"]] = row
    half = recipe.num_samples % 2  # the last pair may lack its twin
    for number, (pair_id, pair) in enumerate(pairs.items(), start=1):
        if set(pair) != {"main", "twin"}:
            if not (half and number == len(pairs) and set(pair) == {"main"}):
                yield Problem(pair_id, f"has only the {' '.join(pair)} of a pair")
            continue
        main, twin = pair["main"], pair["twin"]
        if (main["question"], main["options"]) != (twin["question"], twin["options"]):
            yield Problem(pair_id, "sample and twin ask different questions")
        elif main["answer"] == twin["answer"]:
            yield Problem(pair_id, "sample and twin have the same answer")


def _lint_marker(dataset: Dataset, marker: ShardMarker, path: Path) -> list[Problem]:
    problems = []
    if marker.recipe_hash != dataset.recipe_hash:
        problems.append(Problem(path.name, "was made by another recipe than recipe.json"))
    if path.stat().st_size != marker.nbytes:
        problems.append(Problem(path.name, f"has {path.stat().st_size} bytes, its marker says {marker.nbytes}"))
    elif sha256_of(path) != marker.sha256:
        problems.append(Problem(path.name, "its bytes are not those its marker was written for (SHA-256)"))
    return problems


def _lint_tar(dataset: Dataset, path: Path, marker: ShardMarker, indexed: Mapping[str, SampleRow]) -> list[Problem]:
    problems: list[Problem] = []
    found: list[str] = []
    clips: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(path) as tar:
        for member in tar:
            key, _, extension = member.name.partition(".")
            if extension == "mp4":
                clips[key] = member
                continue
            file = tar.extractfile(member)
            row = json.loads(file.read() if file else b"")
            found.append(key)
            problems += _lint_place(path, key, row, clips.get(key), indexed.get(key))
            primitive = primitives_of(dataset.recipe.tasks).get(row.get("task"))
            if primitive is None:
                problems.append(Problem(key, f"its task {row.get('task')!r} is not one of the recipe"))
                continue
            problems += lint_row(row, primitive, dataset.recipe)
            problems += _lint_clip(dataset, path, row, clips.get(key))
    if found != [record.id for record in marker.samples]:
        problems.append(Problem(path.name, "holds other samples than its marker says"))
    if set(found) != set(indexed):
        problems.append(Problem(path.name, f"holds other samples than {METADATA_FILE} says"))
    return problems


def _lint_place(
    path: Path, key: str, row: SampleRow, clip: tarfile.TarInfo | None, indexed: SampleRow | None
) -> Iterator[Problem]:
    if indexed is None:
        yield Problem(key, f"is not in {METADATA_FILE}")
        return
    place = {"shard": path.name, "offset": clip.offset_data if clip else 0, "nbytes": clip.size if clip else 0}
    if {name: indexed[name] for name in PLACE_SCHEMA.names} != place:
        yield Problem(key, f"its clip is not where {METADATA_FILE} says")
    if {name: value for name, value in indexed.items() if name not in PLACE_SCHEMA.names} != row:
        yield Problem(key, f"its rows in the tar and in {METADATA_FILE} differ")


def _lint_clip(dataset: Dataset, path: Path, row: SampleRow, clip: tarfile.TarInfo | None) -> Iterator[Problem]:
    key = str(row.get("id"))
    if (clip is None) != (dataset.recipe.storage == "virtual"):
        yield Problem(key, "has no clip" if clip is None else "has a clip, but storage is virtual")
        return
    try:
        if clip is None:
            frames_THWC = dataset.rendered(from_row(row))
        else:
            with path.open("rb") as file:
                file.seek(clip.offset_data)
                frames_THWC = decode(file.read(clip.size))
    except SampleRejected as error:
        yield Problem(key, f"its clip cannot be shown: {error}")
        return
    wanted = (row["num_frames"], row["height"], row["width"], 3)
    if frames_THWC.shape != wanted:
        yield Problem(key, f"its clip is {frames_THWC.shape} (frames, height, width, 3), its row says {wanted}")
