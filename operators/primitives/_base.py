"""What every temporal primitive provides; its file is its registration.

Order of drawing (DESIGN §3): the option set, then the truth uniformly from it, then a clip in which that truth holds.
Nothing seen without watching (text, option positions, clip length, any one frame) may depend on the truth.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from operators.records import Address, Question, Scene, ScenePlan

Style = Literal["concise", "detailed"]
Jitter = Literal["paper", "smooth", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The frame every clip is drawn on, and how pseudo-videos are cut. Ranges are inclusive."""

    width: int  # px
    height: int  # px
    fps: float
    num_frames: tuple[int, int]  # length of drawn-motion clips
    num_scenes: tuple[int, int]  # scenes of a pseudo-video; the second is the paper's S
    frames_per_scene: tuple[int, int]  # the second is the paper's F
    jitter: Jitter


@dataclass(frozen=True)
class Primitive(ABC):
    """One kind of temporal question. Stateless: a sample depends on its address, the canvas and the scenes alone."""

    task: ClassVar[str]  # equals the file name
    family: ClassVar[Literal["pseudo_video", "shapes"]]
    order_dependent: ClassVar[bool]  # another order of the same frames changes the answer
    needs_time: ClassVar[bool]  # a single frame leaves the answer at chance

    def num_distinct_scenes(self, canvas: Canvas) -> int:
        """How many different scenes one sample needs, shown or named; 0 for drawn shapes."""
        return canvas.num_scenes[1] if self.family == "pseudo_video" else 0

    @abstractmethod
    def plan(self, scenes: tuple[Scene, ...], canvas: Canvas, address: Address) -> ScenePlan:
        """Draws one sample's scene. Uses only generators of ``seeding.rng(*address.parts(), purpose)``.

        Raises:
            SampleRejected: this address gives nothing good (captions too alike, no room to move, …).
        """

    @abstractmethod
    def ask(self, plan: ScenePlan) -> Question:
        """The question, its answer computed from ``plan.events``, never from pixels or from what was drawn first."""

    @abstractmethod
    def explain(self, plan: ScenePlan, question: Question, style: Style) -> str:
        """Chain of thought from the event log alone, which ends in the content of the right option, not its letter."""
