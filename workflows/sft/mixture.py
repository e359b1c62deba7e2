"""Several datasets as one: rows laid end to end, and an order that takes from each by its weight.

    DATA, PATH=SHARE … → parts → Mixture (samples and frames by row) and row_order (which row comes at which place)

Part p has a permutation of its own per epoch, and its k-th sample is due at (k + 1/2) / weight; all parts' samples come
in the order in which they are due. So shares are exact to one sample at any time, every sample of a part comes once
before any of it comes again, and the order depends on seed, sizes and weights alone.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from temporay.operators.dataset.opening import Samples, open_samples
from temporay.operators.dataset.video_qa import DroppedLine, VideoQa
from temporay.operators.errors import UserError
from temporay.operators.media import Clips
from temporay.operators.own_data.sources import absolute_source
from temporay.operators.records import Sample
from temporay.operators.seeding import place_in_epochs
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.data.own_data import at_hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One dataset of a mixture, as it was when the run began."""

    path: Path  # a folder made by ``temporay generate``, or a file of own data
    weight: float  # share of all samples taken
    num_rows: int
    fingerprint: str  # a hash of what is asked and answered
    videos: VideoReading
    lines: VideoQa | None = field(default=None, compare=False, repr=False)  # read lines of own data; None: a dataset

    @property
    def dropped(self) -> tuple[DroppedLine, ...]:
        """Lines that give no sample."""
        return () if self.lines is None else self.lines.dropped

    @property
    def dropped_lines(self) -> dict[str, int]:
        """How many lines give no sample, by reason."""
        return dict(Counter(one.reason for one in self.dropped))

    def identity(self) -> list[Any]:
        """Return what must not change while a run is interrupted, as JSON values."""
        return [str(self.path), self.weight, self.num_rows, self.fingerprint]


def parts_of(data: Path, mixture: Sequence[str], videos: VideoReading, out: Path | None = None) -> tuple[Part, ...]:
    """Read the parts of a mixture: ``data`` with what the others leave, then every ``PATH=SHARE``.

    Args:
        out: the folder of the run, which keeps what is unpacked; None: everything can be opened as it is.

    Raises:
        UserError: an entry is not ``PATH=SHARE``, the shares leave nothing to ``data``, a dataset cannot be read or is
            empty, or one is named twice.
    """
    entries = [_entry(text) for text in mixture]
    left = 1.0 - sum(share for _, share in entries)
    if left <= 1e-9:
        raise UserError(f"mixture leaves nothing to {data}: shares come to {1 - left:g}; give less than 1 in all")
    parts = []
    for source, weight in [(data, left), *entries]:
        path = source if out is None else at_hand(source, out)
        samples = open_samples(path, videos)
        if len(samples) == 0:
            raise UserError(f"{path} has no samples; generate some first")
        part = Part(
            path=path,
            weight=weight,
            num_rows=len(samples),
            fingerprint=samples.fingerprint,
            videos=videos,
            lines=samples if isinstance(samples, VideoQa) else None,
        )
        parts.append(part)
    if len({part.path for part in parts}) < len(parts):
        raise UserError("a dataset is named twice in data and mixture; name it once with the sum of its shares")
    return tuple(parts)


def absolute_entry(entry: str) -> str:
    """Rewrite ``PATH=SHARE`` so that it means the same in every process."""
    path, share = _entry(entry)
    return f"{absolute_source(path)}={share!r}"


@dataclass(frozen=True)
class Mixture:
    """Random access to the rows of all parts, part after part."""

    parts: tuple[Part, ...]
    datasets: tuple[Samples, ...]

    @classmethod
    def open(cls, parts: tuple[Part, ...]) -> Mixture:
        """Open all parts. JSON lines stay as they were when the run began, whatever becomes of their videos.

        Raises:
            UserError: a dataset has another number of samples than when the run began.
        """
        datasets = tuple(part.lines or open_samples(part.path, part.videos) for part in parts)
        for part, samples in zip(parts, datasets, strict=True):
            if len(samples) != part.num_rows:
                raise UserError(
                    f"{part.path} had {part.num_rows} samples when the run began and has {len(samples)} now; restore it"
                )
        return cls(parts=parts, datasets=datasets)

    def __len__(self) -> int:
        return sum(part.num_rows for part in self.parts)

    def path(self, row: int) -> Path:
        return self.parts[self.part_of(row)].path

    def part_of(self, row: int) -> int:
        """Return the position of the part that a row belongs to."""
        return self._locate(row)[0]

    def rows_of(self, part: int) -> range:
        """Return all rows of a part."""
        first = sum(one.num_rows for one in self.parts[:part])
        return range(first, first + self.parts[part].num_rows)

    def sample(self, row: int) -> Sample:
        part, i = self._locate(row)
        return self.datasets[part].sample(i)

    def frames_shown(self, row: int) -> Clips:
        """Return the frames that a model is shown of every medium, frames_THWC uint8 RGB each.

        Raises:
            SampleRejected: the clip or video cannot be decoded.
        """
        part, i = self._locate(row)
        return self.datasets[part].frames_shown(i)

    def _locate(self, row: int) -> tuple[int, int]:
        for p, part in enumerate(self.parts):
            if row < part.num_rows:
                return p, row
            row -= part.num_rows
        raise IndexError(row)


def row_order(parts: Sequence[Part], kept: Sequence[Sequence[int]], seed: int, first: int, count: int) -> list[int]:
    """Return the rows at the places ``first`` to ``first + count`` of the order.

    Args:
        kept: for every part, the rows of the mixture that are trained on.
    """
    if len(parts) == 1:
        return [kept[0][place_in_epochs(place, len(kept[0]), "sft", seed)] for place in range(first, first + count)]
    part_of_place, starts = _taken(tuple(part.weight for part in parts), first, count)
    rows = np.empty(count, np.int64)
    for p in range(len(parts)):
        places = np.flatnonzero(part_of_place == p)
        own = range(starts[p], starts[p] + len(places))
        rows[places] = [kept[p][place_in_epochs(place, len(kept[p]), f"sft/{p}", seed)] for place in own]
    return [int(row) for row in rows]


@functools.lru_cache(maxsize=256)
def _taken(weights: tuple[float, ...], first: int, count: int) -> tuple[np.ndarray[Any, Any], tuple[int, ...]]:
    """Return which part each place from ``first`` on takes from, and how much every part gave before.

    At place n a part has given between n·weight - parts and n·weight + parts, so only samples due in that window are
    sorted, however far the run is.
    """
    slack = len(weights) + 1
    base = [max(0, int(first * weight) - slack) for weight in weights]
    ends = [int((first + count) * weight) + slack for weight in weights]
    indices = [np.arange(start, end) for start, end in zip(base, ends, strict=True)]
    due = np.concatenate([(k + 0.5) / weight for k, weight in zip(indices, weights, strict=True)])
    part = np.concatenate([np.full(len(k), p) for p, k in enumerate(indices)])
    order = part[np.lexsort((part, due))]
    skipped = first - sum(base)
    before = np.bincount(order[:skipped], minlength=len(weights))
    starts = tuple(int(start + n) for start, n in zip(base, before, strict=True))
    return order[skipped : skipped + count], starts


def samples_drawn(parts: Sequence[Part], num_samples: int) -> list[int]:
    """Return how many of the first ``num_samples`` samples each part gives."""
    if len(parts) == 1:
        return [num_samples]
    return list(_taken(tuple(part.weight for part in parts), num_samples, 0)[1])


def _entry(text: str) -> tuple[Path, float]:
    path, equals, share = text.rpartition("=")
    try:
        value = float(share)
    except ValueError:
        value = 0.0
    if not equals or not path or not 0.0 < value < 1.0:
        raise UserError(f"mixture entry {text!r} is not PATH=SHARE with a share between 0 and 1, e.g. qa.jsonl=0.3")
    return Path(path), value
