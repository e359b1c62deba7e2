"""Shows a stage's metrics.jsonl as it grows: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

POLL_S, PLAIN_LINE_S = 0.5, 15.0
SHOWN = ("loss", "lr", "tokens_per_s", "wait")


@contextmanager
def follow_metrics(out: Path, stage: str, num_steps: int) -> Iterator[dict[str, Any]]:
    """Follows what the workers write while the caller waits for them.

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


def newest_row(path: Path, stage: str) -> dict[str, Any] | None:
    """The last whole line of a stage."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - (1 << 16)))
        lines = file.read().decode(errors="replace").split("\n")[:-1]
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # cut by the seek or by a kill
        if row.get("stage") == stage and "loss" in row:
            return dict(row)
    return None


def _follow(path: Path, stage: str, num_steps: int, newest: dict[str, Any], ended: threading.Event) -> None:
    interactive = sys.stderr.isatty()
    interval_s = POLL_S if interactive else PLAIN_LINE_S
    with tqdm(total=num_steps, desc=stage, unit="step", disable=not interactive) as bar:
        while True:
            last = ended.wait(interval_s)
            row = newest_row(path, stage)
            if row is not None and row != newest:
                newest.update(row)
                words = "  ".join(f"{name} {row[name]:.4g}" for name in SHOWN if name in row)
                bar.n = row["step"] + 1
                bar.set_postfix_str(words)
                if not interactive:
                    print(f"{stage} step {row['step'] + 1}/{num_steps}  {words}", flush=True)
            if last:
                return
