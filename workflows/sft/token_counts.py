"""Tokens of every sample of a mixture before training begins, and which samples are too long to be trained on.

parts → chunks of rows (Ray tasks) → tokens and bytes of frames by row → OUT/token_counts.parquet, kept for a restart
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from temporay.models.export import WEIGHT_SUFFIXES
from temporay.models.families._base import family_of
from temporay.models.token_lengths import TokenLengths
from temporay.operators.errors import UserError
from temporay.operators.files import sha256_of, whole_file
from temporay.operators.seeding import digest
from temporay.operators.videos.reading import KEPT_WHERE
from temporay.workflows.session import ANYWHERE
from temporay.workflows.sft.mixture import Mixture, Part
from temporay.workflows.sft.schedule import Numbers
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.stored_parts import StoredParts

FILE = "token_counts.parquet"
CHUNK = 8192  # rows of a task; to count fewer takes less time than the start of a process


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """Counts by row of a mixture."""

    tokens_N: Numbers  # prompt, video, target and end of turn
    frame_bytes_N: Numbers  # all frames that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class TooLong:
    """A sample that is left out."""

    row: int
    tokens: int
    reason: str  # over_ and the name of the limit


def count_tokens(parts: tuple[Part, ...], config: SftConfig) -> TokenCounts:
    """Count a whole mixture, or read what the run's folder keeps of the same data for the same model."""
    path, key = config.out / FILE, f"{digest(*_identity(parts, config)):032x}"
    if path.exists():
        table = pq.read_table(path)
        if (table.schema.metadata or {}).get(b"key") == key.encode():
            return TokenCounts(tokens_N=_column(table, "tokens"), frame_bytes_N=_column(table, "frame_bytes"))
    num_rows = sum(part.num_rows for part in parts)
    chunks = [range(start, min(start + CHUNK, num_rows)) for start in range(0, num_rows, CHUNK)]
    if len(chunks) == 1:
        counted = [count_rows(parts, config, chunks[0])]
    else:
        task, stored = ray.remote(count_stored).options(scheduling_strategy=ANYWHERE), StoredParts.put(parts)
        counted = ray.get([task.remote(stored, config, chunk) for chunk in chunks])
    counts = TokenCounts(
        tokens_N=np.concatenate([one.tokens_N for one in counted]),
        frame_bytes_N=np.concatenate([one.frame_bytes_N for one in counted]),
    )
    table = pa.table({"tokens": counts.tokens_N, "frame_bytes": counts.frame_bytes_N})
    with whole_file(path) as file:
        pq.write_table(table.replace_schema_metadata({"key": key}), file)
    return counts


def count_stored(stored: StoredParts, config: SftConfig, rows: Sequence[int]) -> TokenCounts:
    """Count some rows, in their order; this is a Ray task."""
    return count_rows(stored.parts(), config, rows)


def count_rows(parts: tuple[Part, ...], config: SftConfig, rows: Sequence[int]) -> TokenCounts:
    """Count some rows, in their order."""
    mixture, family = Mixture.open(parts), family_of(config.model)
    samples = [config.as_taught(mixture.sample(row)) for row in rows]
    lengths = TokenLengths(family, family.load_processor(config.model))
    return TokenCounts(
        tokens_N=np.asarray(lengths(samples, [config.instruction_for(sample) for sample in samples]), np.int64),
        frame_bytes_N=np.asarray([sample.num_frame_bytes for sample in samples], np.int64),
    )


def too_long(rows: Sequence[int], tokens_N: Numbers, limits: dict[str, int | None]) -> list[TooLong]:
    """Return the rows over the lowest of some limits, each with the limit's name; None is no limit.

    Args:
        tokens_N: one count per entry of ``rows``.
    """
    set_limits = {name: limit for name, limit in limits.items() if limit is not None}
    if not set_limits:
        return []
    name = min(set_limits, key=lambda name: set_limits[name])
    counts = zip(rows, tokens_N.tolist(), strict=True)
    return [TooLong(row=r, tokens=n, reason=f"over_{name}") for r, n in counts if n > set_limits[name]]


def check_share(dropped: Sequence[TooLong], num_rows: int, largest_share: float, limits: dict[str, int | None]) -> None:
    """Refuse to train on what is left when too much is left out.

    Raises:
        UserError: more than the largest share is too long, or all samples are.
    """
    if len(dropped) > largest_share * num_rows or len(dropped) == num_rows:
        shown = ", ".join(f"{name} {limit}" for name, limit in limits.items() if limit is not None)
        longest = max(one.tokens for one in dropped)
        raise UserError(
            f"{len(dropped)} of {num_rows} samples are too long ({shown}; the longest has {longest} tokens), and "
            f"max_dropped_share is {largest_share:g}; raise the limit, use fewer or smaller frames, or raise the share"
        )


def _column(table: pa.Table, name: str) -> Numbers:
    column: Numbers = table[name].to_numpy()
    return column


def _identity(parts: tuple[Part, ...], config: SftConfig) -> list[Any]:
    """Return what counts depend on: the data, the wording, and all files of the model but its weights."""
    found = sorted(config.model.iterdir())
    files = [file for file in found if file.is_file() and file.suffix not in WEIGHT_SUFFIXES]
    return [
        [part.identity() for part in parts],
        [json.loads(part.videos.model_dump_json(exclude=set(KEPT_WHERE))) for part in parts],
        [[file.name, sha256_of(file)] for file in files],
        [config.instruction, config.answer_only_instruction, config.seed],
        [config.answer_only_share, config.answer_only_wordings],
    ]
