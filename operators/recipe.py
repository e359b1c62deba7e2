"""A recipe and an index -> a sample and its frames: the data path from source to pixels as one pure function.

    index -> task and address -> plan -> question, chain of thought -> frames

Nothing depends on a worker, a clock or an order, so any process can make any sample again.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from operators import plugins
from operators.attempts import ANSWER_NOT_SEEN, DUPLICATE, OTHER_SPLIT, Attempts, Failure
from operators.clip import Codec, decode, encode
from operators.drawing.backdrops import dress
from operators.drawing.cutouts import add_decoys
from operators.drawing.render import ImageLoader, render, render_i420
from operators.errors import SampleRejected, UserError
from operators.licenses import allowed_scenes
from operators.param_hash import param_hash, split_of
from operators.primitives._base import Canvas, Primitive, Style
from operators.prompts import INSTRUCTIONS, make_sample
from operators.records import (
    GENERATOR_VERSION,
    Address,
    AnswerFormat,
    BackdropKind,
    Clip,
    Frames,
    Sample,
    Scene,
    ScenePlan,
    scenes_of,
)
from operators.seeding import digest, rng
from operators.sources.coco import image_loader, read_scenes, split_scenes
from operators.sources.drawn_scenes import CAPTIONS_FILE, IMAGES_FOLDER, DrawnScenes
from operators.sources.instances import attach_instances, cuttable
from operators.watching.checks import Verdict, check_pixels

MAX_INDEX = 10_000_000  # retries of an index are this far apart, in ranges no first attempt reaches
NUM_CANDIDATE_SCENES = 64  # drawn per sample, so that a primitive's work does not grow with the annotation file
LEVELS = 5
Level = Annotated[int, Field(ge=0, lt=LEVELS)]


class CocoPaths(BaseModel):
    """Where COCO's captions, images and instances are; none: scenes are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    captions: Path | None = None
    images: Path | None = None
    instances: Path | None = None  # of the same images; gives moving cut-outs
    # Ids of COCO's list of licences; 0: images of which the file names none. The default permits derivatives and sale.
    licenses: tuple[int, ...] = (4, 5, 7, 8)


class Recipe(BaseModel):
    """Everything that decides the content of a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    tasks: tuple[str, ...]
    weights: tuple[float, ...] = ()  # one per task, any positive scale; none: all alike
    num_samples: int = Field(ge=1, le=MAX_INDEX)
    seed: int = Field(default=0, ge=0)
    split: Literal["train", "rl", "test"] = "train"
    test_fraction: float = Field(default=0.1, ge=0.0, lt=1.0)  # of the images; `test` shows no image of the others
    level: Level = 1
    levels: tuple[Level, ...] = ()  # several in turn, where a curriculum is to choose among them; none: ``level``
    style: Style = "concise"  # of the chain of thought
    answer_format: AnswerFormat = "letter"
    instruct: bool = True  # the stored messages say how to answer
    canvas: Canvas
    limits_by_task: tuple[tuple[str, int, int], ...] = ()  # task, its most scenes S and most frames of each F
    codec: Codec = Codec()
    wordings: int | None = Field(default=None, ge=1)  # only the first so many of every question; None: all
    twins: bool = False  # every second sample is the one before it with another course of events and another answer
    backdrops: tuple[BackdropKind, ...] = ("flat",)  # of drawn motion, drawn alike
    camera_drift: bool = False  # over the backdrop
    check_pixels: bool = True  # answers are recovered from the decoded clip too; those that differ are dropped, counted
    storage: Literal["mp4", "virtual"] = "mp4"  # virtual: rows only, frames are rendered whenever they are read
    coco: CocoPaths = CocoPaths()
    drawn: DrawnScenes = DrawnScenes()
    samples_per_shard: int = Field(default=128, ge=1)

    @property
    def instruction(self) -> str:
        return INSTRUCTIONS[self.answer_format] if self.instruct else ""

    @property
    def num_shards(self) -> int:
        return -(-self.num_samples // self.shard_size)

    @property
    def shows_images(self) -> bool:
        shown = any(p.family == "pseudo_video" for p in primitives_of(self.tasks).values())
        return shown or "photo" in self.backdrops or self.coco.instances is not None

    @property
    def unit_size(self) -> int:
        """Samples that are made and replaced together: a sample and its twin."""
        return 2 if self.twins else 1

    @property
    def shard_size(self) -> int:
        """Samples of a full shard; the two of a pair are never parted."""
        return -(-self.samples_per_shard // self.unit_size) * self.unit_size

    def canvas_of(self, task: str) -> Canvas:
        """The canvas, with the task's own limits of scenes and of frames per scene where it has any."""
        limits = [(scenes, frames) for name, scenes, frames in self.limits_by_task if name == task]
        return self.canvas.limited(*limits[-1]) if limits else self.canvas

    def shard_indices(self, shard: int) -> range:
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.num_samples))

    def identity(self) -> dict[str, Any]:
        """What decides the bytes, as JSON values: all but the places where files happen to lie."""
        tree: dict[str, Any] = json.loads(self.model_dump_json(exclude={"coco"}))
        return {"generator_version": GENERATOR_VERSION, "coco_licenses": list(self.coco.licenses), **tree}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The captioned scenes of a recipe's split, and their pixels. Empty for drawn motion."""

    scenes: tuple[Scene, ...]
    load_image: ImageLoader
    fingerprint: str  # of images and captions, wherever the files lie
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One index of a recipe, done."""

    sample: Sample
    plan: ScenePlan
    param_hash: str
    clip: Clip | None  # None: virtual storage
    verdict: Verdict | None  # None: the recipe does not check pixels
    rejected: Mapping[str, int] = field(default_factory=dict)  # addresses tried before this one, by reason
    failures: tuple[Failure, ...] = ()  # addresses that failed before this one


def open_source(recipe: Recipe, drawn_folder: Path) -> Source:
    """Reads the scenes of the recipe's split.

    Args:
        drawn_folder: where drawn scenes were written; used when the recipe names no COCO files.

    Raises:
        UserError: files are missing or broken, or the split has too few images for a task.
    """
    side = max(recipe.canvas.width, recipe.canvas.height)
    scenes: tuple[Scene, ...] = ()
    dropped: Mapping[str, int] = {}
    if recipe.shows_images:
        found = read_scenes(
            recipe.coco.captions or drawn_folder / CAPTIONS_FILE, recipe.coco.images or drawn_folder / IMAGES_FOLDER
        )
        if recipe.coco.instances is not None:
            found = attach_instances(found, recipe.coco.instances)
        of_others = recipe.coco.captions is not None  # drawn scenes may be used by anybody
        allowed, left_out = allowed_scenes(found.scenes, recipe.coco.licenses) if of_others else (found.scenes, {})
        scenes, dropped = split_scenes(allowed, recipe.split, recipe.test_fraction), {**found.dropped, **left_out}
        _check_enough_images(recipe, len(scenes), len(allowed))
    content = [(scene.image_id, Path(scene.path).name, scene.captions, *cuttable(scene)) for scene in scenes]
    return Source(scenes=scenes, load_image=image_loader(side), fingerprint=f"{digest(content):032x}", dropped=dropped)


def make_sample_at(recipe: Recipe, source: Source, i: int, taken: Set[str] = frozenset()) -> Made:
    """The i-th sample of a recipe, as ``make_unit`` makes it."""
    return make_unit(recipe, source, i // recipe.unit_size, taken)[i % recipe.unit_size]


def make_unit(recipe: Recipe, source: Source, unit: int, taken: Set[str] = frozenset()) -> tuple[Made, ...]:
    """One sample, or with twins the two of a pair. An address that gives nothing good is replaced by the next one.

    Args:
        taken: parameter hashes that samples before this one have.

    Raises:
        UserError: too many addresses in a row gave nothing; says why and what to do.
    """
    task, index, _ = task_and_index(recipe, unit * recipe.unit_size)
    primitive = primitives_of(recipe.tasks)[task]
    attempts = Attempts(task)
    for attempt in count():
        addresses = [
            address_of(recipe, task, index + attempt * MAX_INDEX, twin) for twin in (False, True)[: recipe.unit_size]
        ]
        made: list[Made] = []
        try:
            plans = [_plan(recipe, source, primitive, address) for address in addresses]
            hashes = [param_hash(plan) for plan in plans]
            _check_hashes(recipe, hashes, taken)
            for plan, plan_hash in zip(plans, hashes, strict=True):
                made.append(_finish(recipe, source, primitive, plan, plan_hash))
        except SampleRejected as error:
            attempts.add(addresses, error, culprit=len(made))
            continue
        return tuple(
            replace(one, rejected=dict(attempts.rejected), failures=tuple(pair[n] for pair in attempts.failures))
            for n, one in enumerate(made)
        )
    raise AssertionError("unreachable: attempts are bounded")


def _check_hashes(recipe: Recipe, hashes: Sequence[str], taken: Set[str]) -> None:
    if any(split_of(plan_hash) != recipe.split for plan_hash in hashes):
        raise SampleRejected(OTHER_SPLIT, f"these parameters belong to another split than {recipe.split}")
    if len({*hashes} - taken) < len(hashes):
        raise SampleRejected(DUPLICATE, "an earlier sample shows and asks the same")


def _finish(recipe: Recipe, source: Source, primitive: Primitive, plan: ScenePlan, plan_hash: str) -> Made:
    """The sample of a plan, encoded, and its answer recovered from the pixels that a reader will see.

    Raises:
        SampleRejected: an image is missing or broken, or the frames lead to another answer than the log.
    """
    sample = make_sample(primitive, plan, recipe.style, recipe.answer_format)
    clip = None
    if recipe.storage == "mp4":
        clip = encode(render_i420(plan, source.load_image), plan.fps, recipe.codec)
    else:
        for scene in scenes_of(plan):  # a broken image must be found now, not while a model trains
            source.load_image(scene)
    verdict = _look(recipe, source, primitive, plan, sample, clip) if recipe.check_pixels else None
    if verdict is Verdict.DIFFERS:
        raise SampleRejected(ANSWER_NOT_SEEN, f"the frames lead to another option than {sample.question.letter}")
    return Made(sample=sample, plan=plan, param_hash=plan_hash, clip=clip, verdict=verdict)


def _look(
    recipe: Recipe, source: Source, primitive: Primitive, plan: ScenePlan, sample: Sample, clip: Clip | None
) -> Verdict:
    if type(primitive).recover is Primitive.recover:  # pixels are not needed to know that they will not be used
        return Verdict.UNSURE
    frames_THWC = render(plan, source.load_image) if clip is None else decode(clip.data)
    return check_pixels(primitive, plan, sample.question, frames_THWC, source.load_image)


def plan_sample(recipe: Recipe, source: Source, address: Address) -> tuple[ScenePlan, Sample]:
    """Plan and question of one address. With twins, both of a pair must be good, or the next pair is taken for both.

    Raises:
        SampleRejected: this address gives nothing good.
    """
    primitive = primitives_of(recipe.tasks)[address.task]
    if recipe.twins:
        _plan(recipe, source, primitive, replace(address, twin=not address.twin))
    plan = _plan(recipe, source, primitive, address)
    return plan, make_sample(primitive, plan, recipe.style, recipe.answer_format)


def _plan(recipe: Recipe, source: Source, primitive: Primitive, address: Address) -> ScenePlan:
    scenes = _candidates(source.scenes, address)
    plan = primitive.plan(scenes, recipe.canvas_of(address.task), address)
    if recipe.wordings is not None:
        plan = replace(plan, facts={**plan.facts, "wording": plan.facts["wording"] % recipe.wordings})
    plan = dress(plan, recipe.backdrops, recipe.camera_drift, scenes, address)
    return add_decoys(plan, scenes, address)


def render_address(recipe: Recipe, source: Source, address: Address) -> Frames:
    """The frames of an address, again: frames_THWC uint8 RGB."""
    plan, _ = plan_sample(recipe, source, address)
    return render(plan, source.load_image)


def address_of(recipe: Recipe, task: str, index: int, twin: bool) -> Address:
    levels = recipe.levels or (recipe.level,)
    level = levels[index % MAX_INDEX % len(levels)]  # an index tried again, in a later range, keeps its level
    return Address(task=task, split=recipe.split, index=index, seed=recipe.seed, level=level, twin=twin)


def task_and_index(recipe: Recipe, i: int) -> tuple[str, int, bool]:
    """Task of the i-th sample, how many of that task came before it, and whether it is a twin.

    A weighted round robin, over samples or, with twins, over pairs: the two of a pair stand one after the other.
    """
    num_units = -(-recipe.num_samples // 2) if recipe.twins else recipe.num_samples
    unit, twin = (i // 2, bool(i % 2)) if recipe.twins else (i, False)
    tasks_N, indices_N = _schedule(len(recipe.tasks), recipe.weights, num_units)
    return list(primitives_of(recipe.tasks))[int(tasks_N[unit])], int(indices_N[unit]), twin


@functools.lru_cache(maxsize=8)
def primitives_of(tasks: tuple[str, ...]) -> dict[str, Primitive]:
    """The primitives of a recipe by task name.

    Raises:
        UserError: one does not exist or is listed twice.
    """
    if not tasks:
        raise UserError(f"tasks is empty; name at least one of: {', '.join(plugins.available('operators.primitives'))}")
    loaded = [plugins.load("operators.primitives", name)() for name in tasks]
    by_task = {primitive.task: primitive for primitive in loaded}
    if len(by_task) < len(tasks):
        raise UserError(f"tasks names a primitive twice: {', '.join(tasks)}; give each once and use weights")
    return by_task


def check(recipe: Recipe) -> None:
    """What a field alone cannot tell; called before any work.

    Raises:
        UserError: settings do not fit each other or no clip can be drawn.
    """
    primitives_of(recipe.tasks)
    positive = all(0 < weight < float("inf") for weight in recipe.weights)
    if recipe.weights and (len(recipe.weights) != len(recipe.tasks) or not positive):
        given = " ".join(map(str, recipe.weights))
        raise UserError(f"weights is {given}; give {len(recipe.tasks)} positive numbers, one per task, or none")
    if not recipe.backdrops:
        raise UserError("backdrops is empty; give at least one of flat, gradient, noise, photo")
    if not recipe.coco.licenses or min(recipe.coco.licenses) < 0:
        raise UserError("coco.licenses holds no id of a licence; give at least one of 1 to 8, or 0 for images without")
    if recipe.coco.instances is not None and recipe.coco.captions is None:
        raise UserError(
            "coco.instances is given without coco.captions; give captions and images of the same images too"
        )
    if (recipe.coco.captions is None) != (recipe.coco.images is None):
        missing = "coco.captions" if recipe.coco.captions is None else "coco.images"
        raise UserError(f"{missing} is missing; give both coco.captions and coco.images, or neither to draw scenes")
    if not 0 <= recipe.codec.crf <= 51 or recipe.codec.keyframe_interval < 1:
        raise UserError(f"codec is {recipe.codec}; crf goes from 0 to 51 and keyframe_interval from 1")
    _check_canvas(recipe.canvas)
    few_scenes, few_frames = recipe.canvas.num_scenes[0], recipe.canvas.frames_per_scene[0]
    for task, most_scenes, most_frames in recipe.limits_by_task:
        if task not in recipe.tasks:
            raise UserError(f"limits_by_task names {task!r}, which is not among tasks: {', '.join(recipe.tasks)}")
        _check_canvas(recipe.canvas_of(task))
        if few_scenes > most_scenes or few_frames > most_frames:
            raise UserError(
                f"canvas asks for {few_scenes} scenes of {few_frames} frames at least, but limits_by_task allows "
                f"{task} {most_scenes} of {most_frames}; change canvas.num_scenes, canvas.frames_per_scene or "
                f"limits_by_task"
            )


def _check_canvas(canvas: Canvas) -> None:
    if min(canvas.width, canvas.height) < 16 or canvas.width % 2 or canvas.height % 2:
        raise UserError(f"canvas is {canvas.width} x {canvas.height} px; both sides must be even and 16 or more")
    if not 0.1 <= canvas.fps <= 240:
        raise UserError(f"canvas.fps is {canvas.fps}; it must be from 0.1 to 240")
    for name in ("num_frames", "num_scenes", "frames_per_scene"):
        low, high = getattr(canvas, name)
        if not 1 <= low <= high:
            raise UserError(f"canvas.{name} is {low} {high}; give two whole numbers with 1 <= first <= second")


@functools.lru_cache(maxsize=8)
def _schedule(num_tasks: int, weights: tuple[float, ...], num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,) task numbers and (N,) indices within the task; shares by largest remainder, spread evenly."""
    shares = np.array(weights or (1.0,) * num_tasks)
    exact = num_samples * shares / shares.sum()
    counts = np.floor(exact).astype(int)
    for task in np.argsort(-(exact - counts), kind="stable")[: num_samples - counts.sum()]:
        counts[task] += 1
    tasks_N = np.repeat(np.arange(num_tasks), counts)
    indices_N = np.concatenate([np.arange(n) for n in counts])
    order = np.argsort((indices_N + 0.5) / counts[tasks_N], kind="stable")
    return tasks_N[order], indices_N[order]


def _candidates(scenes: tuple[Scene, ...], address: Address) -> tuple[Scene, ...]:
    if len(scenes) <= NUM_CANDIDATE_SCENES:
        return scenes
    chosen = rng(*address.parts(), "candidates").choice(len(scenes), NUM_CANDIDATE_SCENES, replace=False)
    return tuple(scenes[i] for i in chosen)


def _check_enough_images(recipe: Recipe, num_scenes: int, num_all: int) -> None:
    for task, primitive in primitives_of(recipe.tasks).items():
        needed = primitive.num_distinct_scenes(recipe.canvas_of(task))
        if needed > num_scenes:
            raise UserError(
                f"{task} needs S = {needed} different images (canvas.num_scenes), but split {recipe.split!r} has "
                f"{num_scenes} of the {num_all} images; lower canvas.num_scenes, change test_fraction "
                f"({recipe.test_fraction}), or give more images"
            )
