"""The rollouts of a step on disk: all prompt groups with scores, advantages and outcome, and the state after them.

    ScoredGroups, state → RUN/rollouts/step-00000012.parquet → ScoredGroups, state

A file gives back exactly what was written, log-probabilities to the last bit. So a run that resumes trains on the batch
that it has already made, a report shows that batch, and training can be repeated from files alone.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.errors import UserError
from temporay.operators.files import whole_file
from temporay.operators.records import FinishReason, Group, Outcome, Rollout, Score, ScoredGroup, ScoreStatus

RecordT = TypeVar("RecordT", Rollout, Score, Group, ScoredGroup)
FOLDER = "rollouts"  # inside a run
NAME = re.compile(r"step-(\d{8})\.parquet")
STATE = b"temporay_state"  # key of the file's metadata
SCHEMA_VERSION = 2
ROLLOUT = pa.struct(
    {
        "completion_ids": pa.list_(pa.int32()),
        "logprobs": pa.list_(pa.float64()),
        "weight_versions": pa.list_(pa.int64()),
        "text": pa.string(),
        "finish_reason": pa.string(),
        "reward": pa.float64(),  # null: none
        "advantage": pa.float64(),  # null: none
        "status": pa.string(),
        "detail": pa.string(),
        "breakdown_json": pa.string(),
    }
)
SCHEMA = pa.schema(
    {
        "position": pa.int64(),
        "row": pa.int64(),
        "step": pa.int64(),
        "static": pa.bool_(),
        "key": pa.string(),
        "outcome": pa.string(),
        "prompt_ids": pa.list_(pa.int32()),
        "weight_checksums": pa.map_(pa.int64(), pa.int64()),  # by version; null: the checkpoint's own
        "rollouts": pa.list_(ROLLOUT),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRollouts:
    """What one file holds."""

    groups: tuple[ScoredGroup, ...]
    state: Mapping[str, Any]  # JSON values


def path_of(run: Path, step: int) -> Path:
    """Return where the rollouts of a step are."""
    return run / FOLDER / f"step-{step:08d}.parquet"


def steps_in(run: Path) -> list[int]:
    """Return the steps whose rollouts a run has kept, in order."""
    matches = (NAME.fullmatch(path.name) for path in (run / FOLDER).glob("step-*.parquet"))
    return sorted(int(match[1]) for match in matches if match)


def write_step(path: Path, groups: Sequence[ScoredGroup], state: Mapping[str, Any]) -> None:
    """Write the file whole or not at all.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"schema_version": SCHEMA_VERSION, "state": dict(state)}
    schema = SCHEMA.with_metadata({STATE: json.dumps(head).encode()})
    table = pa.Table.from_pylist([_to_row(group) for group in groups], schema=schema)
    with whole_file(path) as file:
        pq.write_table(table, file, compression="zstd")


def read_step(path: Path) -> StepRollouts:
    """Read what ``write_step`` was given.

    Raises:
        UserError: there is no such file, or it is not one of ours.
    """
    try:
        table = pq.read_table(path)
        head = json.loads(table.schema.metadata[STATE])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} does not hold the rollouts of a step ({error}); give a folder that grpo wrote"
        ) from error
    if head["schema_version"] != SCHEMA_VERSION:
        raise UserError(
            f"{path} is of version {head['schema_version']}, this program reads {SCHEMA_VERSION}; run grpo again"
        )
    return StepRollouts(groups=tuple(_from_row(row) for row in table.to_pylist()), state=head["state"])


def _to_row(scored: ScoredGroup) -> dict[str, Any]:
    """Return one row; the schema takes the fields it knows by name."""
    group = scored.group
    rollouts = [
        {**_fields(rollout), **_fields(score), "advantage": advantage, "breakdown_json": json.dumps(score.breakdown)}
        for rollout, score, advantage in zip(group.rollouts, scored.scores, scored.advantages, strict=True)
    ]
    checksums = list(group.weight_checksums.items())
    return {**_fields(scored), **_fields(group), "weight_checksums": checksums, "rollouts": rollouts}


def _from_row(row: Mapping[str, Any]) -> ScoredGroup:
    rollouts = row["rollouts"]
    group = _record(
        Group,
        row,
        rollouts=tuple(_record(Rollout, one, finish_reason=FinishReason(one["finish_reason"])) for one in rollouts),
        weight_checksums=dict(row["weight_checksums"]),
    )
    scores = [
        _record(Score, one, breakdown=json.loads(one["breakdown_json"]), status=ScoreStatus(one["status"]))
        for one in rollouts
    ]
    return _record(
        ScoredGroup,
        row,
        group=group,
        scores=tuple(scores),
        advantages=tuple(one["advantage"] for one in rollouts),
        outcome=Outcome(row["outcome"]),
    )


def _fields(record: Rollout | Score | Group | ScoredGroup) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _record(kind: type[RecordT], row: Mapping[str, Any], **changed: Any) -> RecordT:
    """Make a record of the entries that have its fields' names; lists become tuples."""
    names = {field.name for field in fields(kind)} & row.keys()
    found = {name: tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names}
    return kind(**{**found, **changed})
