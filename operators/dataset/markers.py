"""Markers of finished shards.

A marker describes every sample of its shard. So duplicates, failures and checked labels of a whole dataset are known
without opening a tar.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from temporay.operators.dataset.attempts import ANSWER_NOT_SEEN
from temporay.operators.dataset.label_check import Verdict
from temporay.operators.errors import UserError
from temporay.operators.files import read_json, write_text

REPLACED = "replaced_"  # before a reason, among the counts of a shard


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRecord:
    """What became of one index of the recipe."""

    i: int
    id: str
    task: str
    param_hash: str
    verdict: str  # a ``Verdict``, or "" when pixels were not checked
    replaced: Mapping[str, int]  # addresses tried before this one, by reason
    failed: tuple[Mapping[str, str], ...]  # addresses that failed: id, reason, detail, address_json


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardMarker:
    """The marker of a finished shard."""

    shard: str
    recipe_hash: str
    sha256: str
    nbytes: int
    samples: tuple[SampleRecord, ...]

    @property
    def letters(self) -> Iterator[dict[str, Any]]:
        """Rows of the dead letter file."""
        for record in self.samples:
            for failed in record.failed:
                yield {**failed, "sample_index": record.i, "replaced_by": record.id}


def counts_of(samples: Iterable[SampleRecord]) -> Counter[str]:
    """Count the samples, and the replaced addresses by reason."""
    counts: Counter[str] = Counter()
    for record in samples:
        counts["ok"] += 1
        for reason, n in record.replaced.items():
            counts[f"{REPLACED}{reason}"] += n
    return counts


def labels_checked(markers: Iterable[ShardMarker]) -> dict[str, dict[str, int]]:
    """Count by task how often pixels gave the same answer, another one (the sample was replaced), or none."""
    checked: dict[str, Counter[str]] = {}
    for marker in markers:
        for record in marker.samples:
            if record.verdict:
                by_verdict = checked.setdefault(record.task, Counter({verdict.value: 0 for verdict in Verdict}))
                by_verdict[record.verdict] += 1
                by_verdict[Verdict.DIFFERS.value] += sum(f["reason"] == ANSWER_NOT_SEEN for f in record.failed)
    return {task: dict(sorted(counts.items())) for task, counts in sorted(checked.items())}


def shard_name(shard: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{shard:06d}.tar"


def marker_path(folder: Path, shard: int) -> Path:
    """Return where the marker of a shard is written."""
    return (folder / shard_name(shard)).with_suffix(".stats.json")


def write_marker(path: Path, marker: ShardMarker) -> None:
    """Write the marker of a shard as one line of JSON."""
    write_text(path, json.dumps(asdict(marker), ensure_ascii=False))


def read_marker(folder: Path, shard: int) -> ShardMarker | None:
    """Read the marker of a shard; None when the shard is not finished.

    Raises:
        UserError: it cannot be read.
    """
    path = marker_path(folder, shard)
    if not path.exists():
        return None
    advice = "delete it, and run the same generate command again, which makes this shard anew"
    fields = read_json(path, advice)
    try:
        samples = tuple(SampleRecord(**{**r, "failed": tuple(r["failed"])}) for r in fields.pop("samples"))
        return ShardMarker(**fields, samples=samples)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is not a marker of this version ({error}); {advice}") from error


def read_markers(folder: Path, num_shards: int) -> Iterator[ShardMarker]:
    """Yield the markers of all shards, in order.

    Raises:
        ValueError: one is missing.
    """
    for shard in range(num_shards):
        marker = read_marker(folder, shard)
        if marker is None:
            raise ValueError(f"{shard_name(shard)} of {num_shards} shards in {folder} has no marker")
        yield marker
