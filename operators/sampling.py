"""Which frames of a clip a video language model is shown.

A model sees a few frames per second, not all of them. What lies between two of them is lost, so a question is only true
for a stated sampling. Three rules are in use for the same rate; a clip has to hold its answer under each of them:

    qwen3_vl   as many as the rate gives, from the first frame to the last (transformers, Qwen3VLVideoProcessor)
    utils      an even number, from the first frame to the last (qwen-vl-utils, ``smart_nframes``)
    qwen2_vl   an even number, in equal steps from the first frame on (transformers, Qwen2VLVideoProcessor)
"""

import functools
from dataclasses import dataclass

import numpy as np

MIN_FRAMES = 4  # of all three rules; a shorter clip is shown whole
PAIR = 2  # frames that make one temporal patch


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFrames:
    """Which frames of a clip a model is shown, in order, and how many the clip has.

    The clip of a user's own video is a timeline with a place for every millisecond (``operators.videos.reading``).
    """

    indices: tuple[int, ...]
    num_frames: int  # which, with the number of indices, says how many of them a second has on average


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSampling:
    """The rate at which a model is shown a clip, and the most frames it is shown."""

    fps: float | None = 2.0  # None: every frame
    max_frames: int = 64

    def choices(self, num_frames: int, fps: float) -> tuple[tuple[int, ...], ...]:
        """Return the frames that each of the three rules takes, in order; equal choices once.

        Args:
            num_frames: the clip's length.
            fps: the clip's own rate.
        """
        return _choices(self, num_frames, fps)

    def shown(self, num_frames: int, fps: float) -> ShownFrames | None:
        """Return the frames that temporay itself shows, by the rule of Qwen3-VL; None where it shows every frame."""
        indices = self.choices(num_frames, fps)[0]
        return None if len(indices) == num_frames else ShownFrames(indices=indices, num_frames=num_frames)

    def told(self) -> str:
        """Return the rate and the most frames in words."""
        rate = "every frame" if self.fps is None else f"{self.fps:g} frames a second"
        return rate if self.max_frames >= UNLIMITED else f"{rate}, at most {self.max_frames} of a clip"

    def longest_gap(self, num_frames: int, fps: float) -> int:
        """Return the most frames from one frame that is shown to the next, or to an end of the clip.

        What lasts this many frames or longer is seen at least once under each rule.
        """
        ends = [np.diff([-1, *frames, num_frames]).max() for frames in self.choices(num_frames, fps)]
        return int(max(ends))


@functools.lru_cache(maxsize=4096)  # every sample that is read asks for its frames
def _choices(sampling: FrameSampling, num_frames: int, fps: float) -> tuple[tuple[int, ...], ...]:
    every = tuple(range(num_frames))
    if (sampling.fps is None or sampling.fps >= fps) and num_frames <= sampling.max_frames:
        return (every,)
    wanted = num_frames if sampling.fps is None else num_frames * min(1.0, sampling.fps / fps)
    count = int(min(max(wanted, MIN_FRAMES), sampling.max_frames, num_frames))
    even = max(PAIR, count - count % PAIR)
    spread = [np.linspace(0, num_frames - 1, n).round().astype(int) for n in (count, even)]
    steps = (np.arange(even) * (num_frames / even)).astype(int)
    return tuple(dict.fromkeys(tuple(int(frame) for frame in frames) for frames in (*spread, steps)))


UNLIMITED = 1_000_000  # more frames than a clip can have
TWO_PER_SECOND = FrameSampling()
EVERY_FRAME = FrameSampling(fps=None, max_frames=UNLIMITED)
# What a row's column ``survives`` is about, by name.
COMMON_SAMPLINGS = {
    **{f"{fps} fps": FrameSampling(fps=float(fps), max_frames=UNLIMITED) for fps in (1, 2, 4)},
    **{f"{count} frames": FrameSampling(fps=None, max_frames=count) for count in (8, 16, 32)},
}
