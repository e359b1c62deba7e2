"""The frame that clips are drawn on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from temporay.operators.sampling import TWO_PER_SECOND, FrameSampling

Jitter = Literal["paper", "smooth", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The frame every clip is drawn on, and how pseudo-videos are cut. Ranges are inclusive."""

    width: int  # px
    height: int  # px
    fps: float
    num_frames: tuple[int, int]  # length of drawn-motion clips; longer where a course needs more
    num_scenes: tuple[int, int]  # scenes of a pseudo-video; the second is the paper's S
    frames_per_scene: tuple[int, int]  # the second is the paper's F
    jitter: Jitter
    scenes_by_level: bool = True  # a level narrows num_scenes; if not, each number of them is as likely at every level
    sampling: FrameSampling = TWO_PER_SECOND  # how a model is shown the clips; every sample survives it

    def limited(self, most_scenes: int, most_frames: int) -> Canvas:
        """Set other upper bounds of scenes and of frames per scene; lower bounds above them come down to them."""
        (few_scenes, _), (few_frames, _) = self.num_scenes, self.frames_per_scene
        return replace(
            self,
            num_scenes=(min(few_scenes, most_scenes), most_scenes),
            frames_per_scene=(min(few_frames, most_frames), most_frames),
        )

    def at_rate(self, fps: float) -> Canvas:
        """Set another frame rate; clips and scenes last as long as before."""
        (few, many), (short, long), factor = self.num_frames, self.frames_per_scene, fps / self.fps
        few, many, short, long = (max(1, round(n * factor)) for n in (few, many, short, long))
        return replace(self, fps=fps, num_frames=(few, many), frames_per_scene=(short, long))

    def longest_gap(self, num_frames: int) -> int:
        """Return the most frames of a clip of this length from one that a model is shown to the next."""
        return self.sampling.longest_gap(num_frames, self.fps)
