"""Samples of finished shards made again: duplicates of earlier ones, and those that once failed.

markers in order -> units to make again -> the shards that hold them, all other samples copied byte by byte
"""

from collections.abc import Iterator, Set
from itertools import groupby
from pathlib import Path

from temporay.operators.dataset.attempts import DUPLICATE
from temporay.operators.dataset.markers import SampleRecord, ShardMarker, read_markers
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import MadeSample, Source, make_unit
from temporay.operators.dataset.shards import AUDIT_FILE, METADATA_FILE, read_samples, store, write_samples


def settle(recipe: Recipe, source: Source, folder: Path, again: Set[int] = frozenset()) -> int:
    """Replace every sample that shows and asks the same as an earlier one.

    Parallel workers do not know each other's samples, and duplicates are rare. Afterwards the dataset is the one that a
    single worker would have made, with all earlier samples known.

    Args:
        again: indices of samples to make again in any case.

    Returns:
        How many samples were replaced.
    """
    taken: set[str] = set()
    num_changed = 0
    for number, marker in enumerate(read_markers(folder, recipe.num_shards)):
        fresh: dict[int, MadeSample] = {}
        for unit, records in _units(recipe, marker):
            hashes = {record.param_hash for record in records}
            if hashes & taken or any(record.i in again for record in records):
                made = make_unit(recipe, source, unit, taken)[: len(records)]
                fresh |= {record.i: one for record, one in zip(records, made, strict=True)}
                hashes = {one.content_hash for one in made}
            taken |= hashes
        if fresh:
            num_changed += _rewrite(recipe, number, folder, marker, fresh)
    return num_changed


def to_retry(marker: ShardMarker) -> set[int]:
    """Find the samples that replaced a failed address, or a duplicate that may no longer be one."""
    return {record.i for record in marker.samples if record.failed or DUPLICATE in record.replaced}


def _units(recipe: Recipe, marker: ShardMarker) -> Iterator[tuple[int, list[SampleRecord]]]:
    for unit, records in groupby(marker.samples, key=lambda record: record.i // recipe.unit_size):
        yield unit, list(records)


def _rewrite(recipe: Recipe, shard: int, folder: Path, marker: ShardMarker, fresh: dict[int, MadeSample]) -> int:
    """Put new samples in their places. A shard that would stay the same is not touched."""
    new = {i: store(recipe, marker.recipe_hash, i, made) for i, made in fresh.items()}
    changed = {record.i for record in marker.samples if record.i in new and new[record.i].record != record}
    if changed:
        for stale in (METADATA_FILE, AUDIT_FILE):  # both describe samples that are no longer there
            (folder / stale).unlink(missing_ok=True)
        stored = (new.get(old.record.i, old) for old in read_samples(folder, marker))
        write_samples(stored, marker.recipe_hash, shard, folder)
    return len(changed)
