"""Samples of finished shards made again: those that say the same as an earlier one, and those that once failed.

markers in order -> units to make again -> the shards that hold them, all other samples copied byte by byte
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from itertools import groupby
from pathlib import Path

from temporay.operators.dataset.attempts import DUPLICATE
from temporay.operators.dataset.markers import SampleRecord, ShardStats, read_markers
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import Made, Source, make_unit
from temporay.operators.dataset.shards import AUDIT_FILE, METADATA_FILE, entry_of, read_entries, write_entries


def settle(recipe: Recipe, source: Source, folder: Path, again: Set[int] = frozenset()) -> int:
    """Makes every sample again that shows and asks what an earlier one does, in order, until none does.

    The result is that of making all samples one after the other, each with the knowledge of all before it: parallel
    workers make shards without that knowledge, and duplicates are rare.

    Args:
        again: numbers of samples to make again in any case.

    Returns:
        The number of samples that are others now.
    """
    taken: set[str] = set()
    num_changed = 0
    for number, stats in enumerate(read_markers(folder, recipe.num_shards)):
        fresh: dict[int, Made] = {}
        for unit, records in _units(recipe, stats):
            hashes = {record.param_hash for record in records}
            if hashes & taken or any(record.i in again for record in records):
                made = make_unit(recipe, source, unit, taken)[: len(records)]
                fresh |= {record.i: one for record, one in zip(records, made, strict=True)}
                hashes = {one.param_hash for one in made}
            taken |= hashes
        if fresh:
            num_changed += _rewrite(recipe, number, folder, stats, fresh)
    return num_changed


def to_retry(stats: ShardStats) -> set[int]:
    """Numbers of the samples that stand in for failed ones, or for duplicates, which those may no longer be."""
    return {record.i for record in stats.samples if record.failed or DUPLICATE in record.replaced}


def _units(recipe: Recipe, stats: ShardStats) -> Iterator[tuple[int, list[SampleRecord]]]:
    for unit, records in groupby(stats.samples, key=lambda record: record.i // recipe.unit_size):
        yield unit, list(records)


def _rewrite(recipe: Recipe, shard: int, folder: Path, stats: ShardStats, fresh: dict[int, Made]) -> int:
    """Puts the new samples in their places; a shard that would stay the same is not touched."""
    new = {i: entry_of(recipe, stats.recipe_hash, i, made) for i, made in fresh.items()}
    changed = {record.i for record in stats.samples if record.i in new and new[record.i].record != record}
    if changed:
        for stale in (METADATA_FILE, AUDIT_FILE):  # offsets, and what was found, of samples that are no longer there
            (folder / stale).unlink(missing_ok=True)
        entries = (new.get(entry.record.i, entry) for entry in read_entries(folder, stats))
        write_entries(entries, stats.recipe_hash, shard, folder)
    return len(changed)
