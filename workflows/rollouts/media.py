"""Frames in the object store: one copy per prompt, read in place by engines and trainers.

    Prompt → MediaStore.put → StoredPrompt (a reference) → … → load → Prompt (the same bytes, mapped from the store)

A StoredPrompt is what travels: in calls of engines, retries, segments and training batches. Ray frees the frames when
the store is released and the last StoredPrompt of them is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import ray
from temporay.operators.records import Frames, Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrompt:
    """A prompt whose frames are elsewhere."""

    prompt: Prompt  # without frames
    frames_ref: Any | None  # ObjectRef of frames_THWC; None: a blind prompt

    @property
    def key(self) -> str:
        return self.prompt.key

    def load(self) -> Prompt:
        """The prompt with its frames, read-only and not copied where the store of this node has them."""
        if self.frames_ref is None:
            return self.prompt
        return replace(self.prompt, frames_THWC=ray.get(self.frames_ref))


class MediaStore:
    """The frames of one step, each clip stored once whoever shows it, and what that took."""

    def __init__(self) -> None:
        self._refs: dict[str, Any] = {}  # by digest of the frames
        self.decodes = 0
        self.physical_bytes = 0  # of frames in the store
        self.logical_bytes = 0  # if every rollout had a copy of its own

    def decode(self, read: Callable[[], Frames]) -> Frames:
        """Frames from ``read``, counted."""
        self.decodes += 1
        return read()

    def put(self, prompt: Prompt, num_rollouts: int) -> StoredPrompt:
        """Stores the frames of a prompt unless the same are there already.

        Args:
            num_rollouts: that will be made of it; only counted.
        """
        frames_THWC = prompt.frames_THWC
        if frames_THWC is None:
            return StoredPrompt(prompt=prompt, frames_ref=None)
        name = digest_of(frames_THWC)
        if name not in self._refs:
            self._refs[name] = ray.put(frames_THWC)
            self.physical_bytes += frames_THWC.nbytes
        self.logical_bytes += frames_THWC.nbytes * num_rollouts
        return StoredPrompt(prompt=replace(prompt, frames_THWC=None), frames_ref=self._refs[name])

    def counters(self) -> dict[str, float]:
        """For the line of a step."""
        return {
            "decodes": self.decodes,
            "media_physical_bytes": self.physical_bytes,
            "media_logical_bytes": self.logical_bytes,
        }

    def release(self) -> None:
        """Forgets the frames; prompts that are still held keep theirs."""
        self._refs.clear()


def digest_of(frames_THWC: Frames) -> str:
    """128 bits of the bytes and their shape, as hexadecimal."""
    digest = hashlib.blake2b(repr(frames_THWC.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frames_THWC).data)
    return digest.hexdigest()
