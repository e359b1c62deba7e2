"""The parts of a mixture in the object store: written once for all tasks, read once by each process.

JSON lines bring their samples with them. A task that read them again would look into every video, and would find other
samples once a video is damaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray
from temporay.workflows.sft.mixture import Part

MOST_KEPT = 4
_read: dict[str, tuple[Part, ...]] = {}  # by the name of their object


@dataclass(frozen=True, slots=True)
class StoredParts:
    """What a task is given in place of the parts."""

    ref: tuple[Any]  # one ObjectRef; inside a tuple, so that Ray does not read it for every task

    @classmethod
    def put(cls, parts: tuple[Part, ...]) -> StoredParts:
        return cls((ray.put(parts),))

    def parts(self) -> tuple[Part, ...]:
        """Return the parts. A process keeps those that it read last, but no reference: with one it could not end."""
        name = self.ref[0].hex()
        if name not in _read:
            while len(_read) >= MOST_KEPT:
                del _read[next(iter(_read))]
            _read[name] = ray.get(self.ref[0])
        return _read[name]
