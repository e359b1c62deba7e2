"""Frames in the object store: one copy per prompt, read in place by engines and trainers.

    Prompt → MediaStore.put → StoredPrompt (a reference) → … → load → Prompt (the same bytes, mapped from the store)

A StoredPrompt is what travels: in calls of engines, retries, segments and training batches. Ray frees the frames when
the store is released and the last StoredPrompt of them is gone.
"""

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import ray
from temporay.operators.dataset.opening import Samples, frames_needed, open_samples
from temporay.operators.records import Frames, Prompt
from temporay.operators.videos.reading import VideoReading

MAX_THREADS = 16  # that read clips; each holds one in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSource:
    """The row of a dataset whose frames a prompt shows in order."""

    data: Path  # seen by all processes
    row: int
    videos: VideoReading  # how videos of own data are read


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrompt:
    """A prompt whose frames are elsewhere."""

    prompt: Prompt  # without frames
    frames_ref: Any | None  # ObjectRef of frames_THWC; None: not in the store, or a blind prompt
    source: ClipSource | None = None  # where they can be decoded again; None: nowhere

    @property
    def key(self) -> str:
        return self.prompt.key

    @property
    def has_video(self) -> bool:
        return self.frames_ref is not None or self.source is not None or self.prompt.frames_THWC is not None

    def load(self) -> Prompt:
        """Return the prompt with its frames, read-only and not copied where the store of this node has them."""
        if self.frames_ref is not None:
            return replace(self.prompt, frames_THWC=ray.get(self.frames_ref))
        if self.source is not None:
            samples = _opened(self.source.data, self.source.videos)
            return replace(self.prompt, frames_THWC=frames_needed(samples, self.source.row))
        return self.prompt

    def without_frames(self) -> Self:
        """Return the same prompt, which holds no frames in the store if they can be decoded again."""
        return self if self.source is None else replace(self, frames_ref=None)


@functools.lru_cache(maxsize=1)
def _opened(data: Path, videos: VideoReading) -> Samples:
    return open_samples(data, videos)


class MediaStore:
    """The frames of one step, each clip stored once however many prompts show it, and the bytes that took."""

    def __init__(self) -> None:
        self._refs: dict[str, Any] = {}  # by digest of the frames
        self.decodes = 0
        self.physical_bytes = 0  # what the frames take in the store
        self.logical_bytes = 0  # what they would take if every rollout had its own copy

    def decode(self, read: Callable[[int], Frames], rows: Sequence[int]) -> list[Frames]:
        """Return the frames of some rows in their order, and count them. Several are read at once, in threads."""
        self.decodes += len(rows)
        with ThreadPoolExecutor(max(1, min(len(rows), os.cpu_count() or 1, MAX_THREADS))) as threads:
            return list(threads.map(read, rows))

    def put(self, prompt: Prompt, num_rollouts: int, source: ClipSource | None = None) -> StoredPrompt:
        """Store the frames of a prompt unless the same are there already.

        Args:
            num_rollouts: how many rollouts will see them, for the count alone.
            source: where they can be decoded again.
        """
        frames_THWC = prompt.frames_THWC
        if frames_THWC is None:
            return StoredPrompt(prompt=prompt, frames_ref=None)
        name = digest_of(frames_THWC)
        if name not in self._refs:
            self._refs[name] = ray.put(frames_THWC)
            self.physical_bytes += frames_THWC.nbytes
        self.logical_bytes += frames_THWC.nbytes * num_rollouts
        return StoredPrompt(prompt=replace(prompt, frames_THWC=None), frames_ref=self._refs[name], source=source)

    def counters(self) -> dict[str, float]:
        """Return what a step's line says of its frames."""
        return {
            "decodes": self.decodes,
            "media_physical_bytes": self.physical_bytes,
            "media_logical_bytes": self.logical_bytes,
        }

    def release(self) -> None:
        """Forget the frames; prompts that are still held keep theirs."""
        self._refs.clear()


def digest_of(frames_THWC: Frames) -> str:
    """Hash the bytes and their shape to 128 bits, as hexadecimal."""
    digest = hashlib.blake2b(repr(frames_THWC.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frames_THWC).data)
    return digest.hexdigest()
