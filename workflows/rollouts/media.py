"""Videos and pictures in the object store: one copy per prompt, read in place by engines and trainers.

    Prompt → MediaStore.put → StoredPrompt (a reference) → … → load → Prompt (the same bytes, mapped from the store)

A StoredPrompt is what travels: in calls of engines, retries, segments and training batches. Ray frees the frames when
the store is released and the last StoredPrompt of them is gone.
"""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import ray
from temporay.operators.dataset.opening import Samples, frames_needed, open_samples
from temporay.operators.media import Clips
from temporay.operators.records import Prompt
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

    prompt: Prompt  # without media
    media_ref: Any | None  # ObjectRef of its media; None: not in the store, or a blind prompt
    source: ClipSource | None = None  # where they can be decoded again; None: nowhere

    @property
    def key(self) -> str:
        return self.prompt.key

    @property
    def has_video(self) -> bool:
        return self.media_ref is not None or self.source is not None or bool(self.prompt.media)

    def load(self) -> Prompt:
        """Return the prompt with its media, read-only and not copied where the store of this node has them."""
        if self.media_ref is not None:
            return replace(self.prompt, media=ray.get(self.media_ref))
        if self.source is not None:
            samples, row = _opened(self.source.data, self.source.videos), self.source.row
            clips = frames_needed(samples, row)
            media = (one.with_frames(frames) for one, frames in zip(samples.sample(row).media, clips, strict=True))
            return replace(self.prompt, media=tuple(media))
        return self.prompt

    def without_frames(self) -> Self:
        """Return the same prompt, which holds no frames in the store if they can be decoded again."""
        return self if self.source is None else replace(self, media_ref=None)


@functools.lru_cache(maxsize=1)
def _opened(data: Path, videos: VideoReading) -> Samples:
    return open_samples(data, videos)


class MediaStore:
    """The media of one step, each prompt's stored once however many prompts show the same, and the bytes that took."""

    def __init__(self) -> None:
        self._refs: dict[tuple[str, ...], Any] = {}  # by fingerprints of the media
        self.decodes = 0
        self.physical_bytes = 0  # what the frames take in the store
        self.logical_bytes = 0  # what they would take if every rollout had its own copy

    def decode(self, read: Callable[[int], Clips], rows: Sequence[int]) -> list[Clips]:
        """Return the frames of some rows in their order, and count them. Several are read at once, in threads."""
        self.decodes += len(rows)
        with ThreadPoolExecutor(max(1, min(len(rows), os.cpu_count() or 1, MAX_THREADS))) as threads:
            return list(threads.map(read, rows))

    def put(self, prompt: Prompt, num_rollouts: int, source: ClipSource | None = None) -> StoredPrompt:
        """Store the media of a prompt unless the same are there already.

        Args:
            num_rollouts: how many rollouts will see them, for the count alone.
            source: where they can be decoded again.
        """
        if not prompt.media:
            return StoredPrompt(prompt=prompt, media_ref=None)
        names = tuple(medium.fingerprint() for medium in prompt.media)
        num_bytes = sum(medium.frames_THWC.nbytes for medium in prompt.media)
        if names not in self._refs:
            self._refs[names] = ray.put(prompt.media)
            self.physical_bytes += num_bytes
        self.logical_bytes += num_bytes * num_rollouts
        return StoredPrompt(prompt=replace(prompt, media=()), media_ref=self._refs[names], source=source)

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
