"""Samples whose clip or video cannot be read, met while a run goes on: left out of their step, named and counted.

A step's number of samples and passes stays as it was planned, on every rank: what cannot be read is replaced by black
frames that weigh nothing. So a run goes on without a change of its order, and a restart takes the same steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from temporay.operators.errors import UserError
from temporay.workflows.learner.learner import Learner
from temporay.workflows.runs.progress import UNREAD
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.sft.mixture import Mixture


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadSample:
    """A row that gives no frames."""

    row: int
    reason: str  # snake_case, for counts
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class UnreadSamples:
    """What could not be read so far, on all ranks alike."""

    def __init__(self, learner: Learner, mixture: Mixture, *, num_dropped: int, largest_share: float) -> None:
        """Begin with what the run has logged before.

        Args:
            num_dropped: samples that were left out before the first step; they count as well.
            largest_share: of all samples, that may be left out.
        """
        self._parallel, self._mixture = learner.policy.parallel, mixture
        self._num_dropped, self._largest_share = num_dropped, largest_share
        logged = []
        if self._parallel.rank == 0:
            logged = logged_unread(RunDir(path=learner.config.out, resumed=True).rows(learner.stage))
        self._rows = {entry["row"] for entry in self._parallel.from_rank_0(logged)}

    def of_step(self, own: Sequence[UnreadSample], *, are_any: bool) -> dict[str, Any]:
        """Return for a line of metrics.jsonl what all ranks could not read in a step; nothing if they read all.

        Args:
            own: those of this rank.
            are_any: whether any rank has some, on every rank alike; only then do they tell each other.

        Raises:
            UserError: on every rank, if too many samples cannot be read.
        """
        if not are_any:
            return {}
        by_row = {
            one.row: one for each in self._parallel.gathered(list(own)) for one in each
        }  # blanks are of all ranks
        found = [by_row[row] for row in sorted(by_row)]
        self._rows |= by_row.keys()
        entries = [self._entry(one) for one in found]
        num_lost, num_all = self._num_dropped + len(self._rows), len(self._mixture)
        if num_lost > self._largest_share * num_all:
            raise UserError(
                f"{num_lost} of {num_all} samples are left out, and max_dropped_share is {self._largest_share:g}; the "
                f"newest is {entries[0]['key']} of {entries[0]['path']} ({found[0]}); restore what cannot be read, or "
                "raise the share"
            )
        return {UNREAD: entries} if entries else {}

    def keys(self, rows: Sequence[int]) -> list[str]:
        """Return the names of some rows."""
        return [self._mixture.sample(row).key for row in rows]

    def _entry(self, one: UnreadSample) -> dict[str, Any]:
        key, path = self._mixture.sample(one.row).key, str(self._mixture.path(one.row))
        return {"row": one.row, "key": key, "path": path, "reason": one.reason, "detail": one.detail}


def logged_unread(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what a run could not read, by lines of metrics.jsonl: every sample once."""
    return list({entry["row"]: entry for row in rows for entry in row.get(UNREAD, ())}.values())


def unread_summary(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return by reason how many samples could not be read, and why each, by its key, as JSON values."""
    summary: dict[str, Any] = {}
    for entry in entries:
        counted = summary.setdefault(entry["reason"], {"count": 0, "samples": {}})
        counted["count"] += 1
        counted["samples"][entry["key"]] = entry["detail"]
    return summary
