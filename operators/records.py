"""The records that flow through temporay, in the order in which they are made.

    Address → ScenePlan (shots, tracks, events) → Clip → Question → Sample → Rollout → Group → Score

Shape suffixes: T frames, H height, W width, C channels, G rollouts of a group. All times are milliseconds.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from temporay.operators.media import Frames as Frames
from temporay.operators.media import Medium, ShownMedium

GENERATOR_VERSION = "6"  # changes whenever the same address would give another sample

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
TAG = re.compile("|".join(map(re.escape, TAGS)))
# What stands between the answer tags. The first two name an option by its letter or its words; checkers accept both.
# The others answer a question that lists no options: in words, digits or a list with commas, or as a JSON object.
AnswerForm = Literal["letter", "text", "free", "json"]
AnswerKind = Literal["choice", "number", "interval", "order"]
Quantity = tuple[float, str]  # the value of a number: with its unit, which is "" for a count
TimeSpan = tuple[float, float]  # the value of an interval: start and end, seconds
AnswerValue = Quantity | TimeSpan | tuple[str, ...]  # the value of an order: the names of its items


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """All that determines a sample, together with the images of its source."""

    task: str
    split: str
    index: int  # within (task, split, seed)
    seed: int
    level: int  # 0 easiest … 4 hardest
    generator_version: str = GENERATOR_VERSION
    twin: bool = False  # same question and options as the main sample, but another answer

    @property
    def pair_id(self) -> str:
        """The name that a sample and its twin share."""
        return f"{self.task}-{self.split}-{self.seed}-{self.level}-{self.index:07d}"

    @property
    def key(self) -> str:
        """Unique in a dataset; only [a-z0-9_-], because a dot breaks WebDataset readers."""
        return f"{self.pair_id}-twin" if self.twin else self.pair_id

    def parts(self) -> tuple[object, ...]:
        """Return what seeds the generators of a sample. They are those of its twin: only the truth differs."""
        return (self.generator_version, self.task, self.split, self.index, self.seed, self.level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One object of a COCO instances file that can be cut out: no crowd, one name."""

    category: str
    polygons: tuple[tuple[float, ...], ...]  # x, y, x, y, … in fractions of the image's width and height


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One captioned image of a COCO file."""

    image_id: int
    path: str
    captions: tuple[str, ...]  # cleaned: stripped, no final period, lower-case first letter (2506.06928, code)
    license_id: int | None
    source_url: str
    instances: tuple[Instance, ...] = field(default=(), compare=False)  # none unless the recipe names the file
    annotated_size: tuple[int, int] | None = field(default=None, compare=False)  # px, that outlines are shares of


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """An object cut out of a photograph, to be moved like a drawn shape."""

    scene: Scene
    instance: Instance
    mirrored: bool = False
    feather_px: float = 1.0  # width of the soft edge; decoys that stand still have it too, so a seam tells nothing


BackdropKind = Literal["flat", "gradient", "noise", "photo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """What lies behind the shapes. Nothing of it depends on the truth."""

    kind: BackdropKind = "flat"
    color: tuple[int, int, int] = (0, 0, 0)  # RGB; mean of the noise, start of the gradient
    end_color: tuple[int, int, int] = (0, 0, 0)  # end of the gradient
    seed: int = 0  # seeds the noise and the direction of the gradient
    scene: Scene | None = None  # the photograph
    drift_px: tuple[float, float] = (0.0, 0.0)  # how far the camera moves over it from one frame to the next


Surface = Literal["plain", "shaded", "textured", "outlined"]
Lighting = Literal["dark", "light"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How shapes and their world are painted. Nothing of it depends on the truth."""

    surface: Surface = "plain"
    lighting: Lighting = "dark"


PLAIN = Look()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happens, as the log has it. ``end_ms`` is exclusive."""

    kind: str
    subject: str
    start_ms: float
    end_ms: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A still image shown for some frames of a pseudo-video, each frame under its own affine map."""

    scene: Scene
    start_frame: int
    end_frame: int  # exclusive
    affine_T23: npt.NDArray[np.float64]  # maps the fitted image to the frame, in pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A drawn shape and where its center is in every frame."""

    name: str  # what questions call it: "red circle"
    shape: str
    color: tuple[int, int, int]  # RGB
    radius_px: float
    xy_T2: npt.NDArray[np.float64]  # pixels; (0, 0) is the top-left corner
    visible_T: npt.NDArray[np.bool_]
    wraps: bool = False  # it leaves the frame, or its window, at one edge and enters at the opposite one
    angle_deg_T: npt.NDArray[np.float64] | None = None  # clockwise on the screen; None: never turned
    scale_T: npt.NDArray[np.float64] | None = None  # factor of the radius; None: always 1
    color_T3: npt.NDArray[np.uint8] | None = None  # RGB of every frame; None: ``color``
    label: str = ""  # written over the shape, as large as fits
    cutout: Cutout | None = None  # shown in place of the shape; ``radius_px`` is half its longer side
    window_px: tuple[int, int, int, int] | None = None  # left, top, right, bottom of the part of the frame it stays in


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlan:
    """All that will be shown and the log of what happens, before any pixel is drawn."""

    address: Address
    width: int
    height: int
    fps: float
    num_frames: int
    backdrop: Backdrop
    look: Look = PLAIN
    shots: tuple[Shot, ...] = ()
    tracks: tuple[Track, ...] = ()
    events: tuple[Event, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)  # JSON values the primitive's question is about

    @property
    def duration_ms(self) -> float:
        return 1000.0 * self.num_frames / self.fps

    def shown_ms(self, frames: Sequence[int]) -> npt.NDArray[np.float64]:
        """Return when each of these frames starts."""
        return 1000.0 * np.array(frames) / self.fps


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Encoded video bytes (mp4, h264)."""

    data: bytes
    num_frames: int
    fps: float
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question; ``answer_index`` points into ``options``, which a free answer is not shown."""

    text: str
    options: tuple[str, ...]
    answer_index: int
    answer_format: AnswerForm = "letter"
    kind: AnswerKind = "choice"
    values: tuple[AnswerValue, ...] = ()  # one per option; empty for a choice

    @property
    def letter(self) -> str:
        return LETTERS[self.answer_index]

    @property
    def answer(self) -> str:
        """The right answer as the model is taught to write it."""
        words = self.options[self.answer_index]
        if self.answer_format == "json":
            return json.dumps({"answer": self._json_value(words)}, ensure_ascii=False)
        return self.letter if self.answer_format == "letter" else words

    @property
    def lists_options(self) -> bool:
        return self.answer_format in ("letter", "text")

    @property
    def chance(self) -> float:
        """How often a guess is right: 0 without options to guess among."""
        return 1.0 / len(self.options) if self.lists_options else 0.0

    def _json_value(self, words: str) -> Any:
        if self.kind == "number":
            return json.loads(words)
        return list(self.values[self.answer_index]) if self.kind == "order" else words


LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What was said before the question. Its text has a marker wherever a medium stands in it."""

    role: Literal["user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row of a dataset: the question about a clip, with everything needed to render and to check it again.

    Only a user's own samples may show several media, or none of them a video, and have earlier turns.
    """

    address: Address
    question: Question
    rationale: str  # chain of thought from the event log, without tags; empty for a user's own videos
    order_dependent: bool  # another order of the same frames would change the answer
    needs_time: bool  # no single frame can answer
    media: tuple[Medium, ...]  # all that it shows, in order; at least one
    events: tuple[Event, ...]
    sources: tuple[Mapping[str, Any], ...]  # attribution rows of the images shown
    facts: Mapping[str, Any]
    earlier: tuple[Turn, ...] = ()  # the conversation before the question

    @property
    def key(self) -> str:
        return self.address.key

    @property
    def clip(self) -> Medium:
        """The first of its media: the only one of a sample that was generated."""
        return self.media[0]

    @property
    def num_frame_bytes(self) -> int:
        """How many bytes the frames take that a model is shown."""
        return sum(math.prod(medium.shape) for medium in self.media)

    @property
    def logged_plan(self) -> ScenePlan:
        """The plan as far as the log knows it: what happens, and nothing of how it is drawn."""
        return ScenePlan(
            address=self.address,
            width=self.clip.width,
            height=self.clip.height,
            fps=self.clip.fps,
            num_frames=self.clip.num_frames,
            backdrop=Backdrop(),
            events=self.events,
            facts=self.facts,
        )

    @property
    def target(self) -> str:
        """What supervised training teaches the model to write: the answer alone where there is no rationale."""
        thought = f"{THINK_OPEN}{self.rationale}{THINK_CLOSE}" if self.rationale else ""
        return f"{thought}{ANSWER_OPEN}{self.question.answer}{ANSWER_CLOSE}"


class FinishReason(StrEnum):
    """Why a completion ends."""

    STOP = "stop"
    LENGTH = "length"  # cut by ``max_tokens``
    SEGMENT = "segment"  # cut by ``segment_tokens``: to be continued


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What an engine is given: chat text with an unexpanded marker for each medium, and the frames for them."""

    key: str
    text: str
    media: tuple[ShownMedium, ...] = ()  # in the order of their markers; (): a blind prompt, text only


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How completions are sampled. ``temperature`` 0 is greedy."""

    num_rollouts: int
    temperature: float
    max_tokens: int
    seed: int
    segment_tokens: int | None = None  # written at a time, at most; None: all in one go


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One completion and the log-probability the engine gave each of its tokens."""

    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]  # same length as completion_ids, after temperature
    text: str
    finish_reason: FinishReason
    weight_versions: tuple[int, ...]  # the weights that gave each token; same length as completion_ids

    @property
    def weight_version(self) -> int:
        """The version of the oldest weights that any token came from."""
        return min(self.weight_versions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The G rollouts of one prompt. ``prompt_ids`` are the expanded ids that the engine used."""

    key: str
    prompt_ids: tuple[int, ...]
    rollouts: tuple[Rollout, ...]
    weight_checksums: Mapping[int, int | None] = field(default_factory=dict)  # by version; None: the checkpoint's own


class ScoreStatus(StrEnum):
    """Whether a reward could be worked out."""

    OK = "ok"
    PARSE_ERROR = "parse_error"  # the completion has no readable answer: reward as the reward function says
    CRASHED = "crashed"  # the checker failed: no reward at all, never a zero
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The reward of one rollout. ``reward`` is None when the status says there is none."""

    reward: float | None
    breakdown: Mapping[str, float]  # by reward name, before weights
    status: ScoreStatus
    detail: str = ""  # why the status is not ok: the parser's reason, or the checker's error


class Outcome(StrEnum):
    """Why a prompt group was trained on, or dropped whole."""

    TRAINED = "trained"
    FLAT = "flat"  # all rewards are the same: nothing to learn from
    UNSCORED = "unscored"  # fewer than two rollouts have a reward, because checkers failed or none applies
    OBSERVED = "observed"  # it would have been trained on, but this run only samples


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredGroup:
    """A group, its rewards and its outcome. Tuples have one entry per rollout."""

    position: int  # among all prompts of the run
    row: int  # the row of its sample in the dataset
    step: int  # the step whose batch it was chosen for
    static: bool  # no curriculum steered this choice
    group: Group
    scores: tuple[Score, ...]
    advantages: tuple[float | None, ...]
    outcome: Outcome
