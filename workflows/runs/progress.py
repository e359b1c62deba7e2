"""Progress of a stage from its growing metrics.jsonl: a bar on a terminal, plain lines elsewhere."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from temporay.models.checkpoint_folder import Latest
from temporay.workflows.runs.run_dir import whole_row
from tqdm import tqdm

POLL_S, PLAIN_LINE_S = 0.5, 15.0
SHOWN = ("loss", "lr", "tokens_per_s", "wait")
UNREAD = "unread"  # in a line of metrics.jsonl: the samples of its step that could not be read, and why
CHECKPOINT_STAGE = "checkpoint"  # the name of lines in metrics.jsonl that say what a checkpoint cost


@contextmanager
def follow_metrics(out: Path, stage: str, num_steps: int) -> Iterator[dict[str, Any]]:
    """Follow what the workers write while the caller waits for them.

    Yields:
        The stage's newest row; complete once the block has ended.
    """
    newest: dict[str, Any] = {}
    ended = threading.Event()
    follower = threading.Thread(target=_follow, args=(out / "metrics.jsonl", stage, num_steps, newest, ended))
    follower.start()
    try:
        yield newest
    finally:
        ended.set()
        follower.join()


def newest_rows(path: Path, stage: str) -> list[dict[str, Any]]:
    """Return the last whole lines of a stage, as many as 64 KiB hold."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        lines = file.read().decode(errors="replace").split("\n")[:-1]
    rows = map(whole_row, lines)  # a line may be cut by the seek or by a kill
    return [row for row in rows if row is not None and row.get("stage") == stage]


class CheckpointNews:
    """Tells what the workers note about checkpoints, because workers have no terminal.

    These are newer checkpoints that they rejected at a start, and the first one that a step had to wait for.
    """

    def __init__(self, out: Path, stage: str) -> None:
        self._path = out / "metrics.jsonl"
        self._stage = stage
        self._told = [row["pid"] for row in self._starts()]  # by the runs before
        self._waited = self._without_copy()
        self._told_waiting = False

    def tell(self) -> None:
        for row in self._starts():
            if row["pid"] not in self._told:
                self._told.append(row["pid"])
                found = Latest(path=None, step=row["step"], rejected=tuple(row["rejected_checkpoints"]))
                if found.message:
                    print(f"{self._stage}: {found.message}", flush=True)
        new = [row for row in self._without_copy() if row not in self._waited]
        if new and not self._told_waiting:
            self._told_waiting = True
            step, seconds, gigabytes = new[0]["step"], new[0]["seconds_write"], new[0]["bytes"] / 1e9
            print(
                f"{self._stage}: step {step} waited {seconds:.0f} s for its checkpoint, and so will others: a host has "
                f"no room for its part of a copy of {gigabytes:.1f} GB, from which it would be written beside the next "
                "steps; use hosts with more memory, or a larger checkpoint_every",
                flush=True,
            )

    def _without_copy(self) -> list[dict[str, Any]]:
        return [row for row in newest_rows(self._path, CHECKPOINT_STAGE) if not row.get("is_copied", True)]

    def _starts(self) -> list[dict[str, Any]]:
        return [row for row in newest_rows(self._path, self._stage) if "rejected_checkpoints" in row]


class UnreadNews:
    """Tells which samples could not be read, each once, when a line of its step names it."""

    def __init__(self, out: Path, stage: str) -> None:
        self._path, self._stage = out / "metrics.jsonl", stage
        self._told = {entry["key"] for entry in self._entries()}  # by the runs before

    def tell(self) -> None:
        for entry in self._entries():
            if entry["key"] not in self._told:
                self._told.add(entry["key"])
                why = f"{entry['reason']}: {entry['detail']}"
                print(f"{self._stage}: {entry['key']} of {entry['path']} is left out ({why})", flush=True)

    def _entries(self) -> list[dict[str, Any]]:
        return [entry for row in newest_rows(self._path, self._stage) for entry in row.get(UNREAD, ())]


def _follow(path: Path, stage: str, num_steps: int, newest: dict[str, Any], ended: threading.Event) -> None:
    interactive = sys.stderr.isatty()
    news = (CheckpointNews(path.parent, stage), UnreadNews(path.parent, stage))
    interval_s = POLL_S if interactive else PLAIN_LINE_S
    with tqdm(total=num_steps, desc=stage, unit="step", disable=not interactive) as bar:
        while True:
            last = ended.wait(interval_s)
            for one in news:
                one.tell()
            row = next((row for row in reversed(newest_rows(path, stage)) if "loss" in row), None)
            if row is not None and row != newest:
                newest.update(row)
                words = "  ".join(f"{name} {row[name]:.4g}" for name in SHOWN if name in row)
                bar.n = row["step"] + 1
                bar.set_postfix_str(words)
                if not interactive:
                    print(f"{stage} step {row['step'] + 1}/{num_steps}  {words}", flush=True)
            if last:
                return
