"""Which frames of a clip a video language model is shown.

A model sees a few frames per second, not all of them. What lies between two of them is lost, so a question is only true
for a stated sampling. Three rules are in use for the same rate; a clip has to hold its answer under each of them:

    qwen3_vl   as many as the rate gives, from the first frame to the last (transformers, Qwen3VLVideoProcessor)
    utils      an even number, from the first frame to the last (qwen-vl-utils, ``smart_nframes``)
    qwen2_vl   an even number, in equal steps from the first frame on (transformers, Qwen2VLVideoProcessor)
"""

from dataclasses import dataclass

import numpy as np

MIN_FRAMES = 4  # of all three rules; a shorter clip is shown whole
PAIR = 2  # frames that make one temporal patch


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """The rate at which a model is shown a clip, and the most frames it is shown."""

    fps: float | None = 2.0  # None: every frame
    max_frames: int = 64

    def choices(self, num_frames: int, fps: float) -> tuple[tuple[int, ...], ...]:
        """Return the frames that each of the three rules takes, in order; equal choices once.

        Args:
            num_frames: the clip's length.
            fps: the clip's own rate.
        """
        every = tuple(range(num_frames))
        if (self.fps is None or self.fps >= fps) and num_frames <= self.max_frames:
            return (every,)
        wanted = num_frames if self.fps is None else num_frames * min(1.0, self.fps / fps)
        count = int(min(max(wanted, MIN_FRAMES), self.max_frames, num_frames))
        even = max(PAIR, count - count % PAIR)
        spread = [np.linspace(0, num_frames - 1, n).round().astype(int) for n in (count, even)]
        steps = (np.arange(even) * (num_frames / even)).astype(int)
        return tuple(dict.fromkeys(tuple(int(frame) for frame in frames) for frames in (*spread, steps)))

    def longest_gap(self, num_frames: int, fps: float) -> int:
        """Return the most frames from one frame that is shown to the next, or to an end of the clip.

        What lasts this many frames or longer is seen at least once under each rule.
        """
        ends = [np.diff([-1, *frames, num_frames]).max() for frames in self.choices(num_frames, fps)]
        return int(max(ends))


TWO_PER_SECOND = Sampling()
EVERY_FRAME = Sampling(fps=None, max_frames=1_000_000)
