"""What a dataset is to be: settings from which the address of every sample follows.

recipe, index -> task, index within the task, twin -> address
"""

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import Field
from temporay.operators.canvas import Canvas
from temporay.operators.components import available
from temporay.operators.dataset.drawn_coco import DrawnScenes
from temporay.operators.dataset.rows import ANSWER_ONLY, INSTRUCTIONS
from temporay.operators.errors import UserError
from temporay.operators.pixels.clip import Codec
from temporay.operators.primitives._base import PRIMITIVES, Primitive, Style, primitive_called
from temporay.operators.records import GENERATOR_VERSION, Address, AnswerForm, BackdropKind, Lighting, Surface
from temporay.operators.seeding import rng_at
from temporay.operators.settings import Settings

MAX_INDEX = 10_000_000  # retries of an index are this far apart, beyond every first attempt
LEVELS = 5
LEAST_FPS, MOST_FPS = 0.1, 240
Level = Annotated[int, Field(ge=0, lt=LEVELS)]


class CocoPaths(Settings):
    """Where COCO's captions, images and instances lie. Without captions, scenes are drawn."""

    captions: Path | None = None
    images: Path | None = None
    instances: Path | None = None  # for the same images; gives moving cut-outs
    captions_per_image: int | None = Field(default=None, ge=1)  # the first ones of each image are used; None: all
    # Ids of COCO's list of licenses; 0: images without a license. The default permits derivatives and sale.
    licenses: tuple[int, ...] = (4, 5, 7, 8)


class Recipe(Settings):
    """Everything that decides the content of a dataset."""

    tasks: tuple[str, ...]
    weights: tuple[float, ...] = ()  # one per task, on any positive scale; none: all alike
    num_samples: int = Field(ge=1, le=MAX_INDEX)
    seed: int = Field(default=0, ge=0)
    split: Literal["train", "rl", "test"] = "train"
    test_fraction: float = Field(
        default=0.1, ge=0.0, lt=1.0
    )  # of the images, only `test` shows; 0: all splits share all
    level: Level = 1
    levels: tuple[Level, ...] = ()  # several in turn, for a curriculum to choose from; none: ``level``
    style: Style = "concise"  # how the chain of thought is written; answer_only: there is none
    answer_format: AnswerForm = "letter"
    instruct: bool = True  # the stored messages say how to answer
    canvas: Canvas
    rates: tuple[float, ...] = ()  # several frame rates, each as often, in place of canvas.fps; clips last as long
    sizes: tuple[tuple[int, int], ...] = ()  # several widths and heights, px, each as often, in place of the canvas's
    limits_by_task: tuple[tuple[str, int, int], ...] = ()  # task, its most scenes S and most frames per scene F
    codec: Codec = Codec()
    wordings: int | None = Field(default=None, ge=1)  # how many wordings of every question are used; None: all
    twins: bool = False  # every second sample is the twin of the one before it: other events, another answer
    backdrops: tuple[BackdropKind, ...] = ("flat",)  # behind drawn motion, each as often
    surfaces: tuple[Surface, ...] = ("plain",)  # of shapes: plain, shaded, textured, outlined; each as often
    lightings: tuple[Lighting, ...] = ("dark",)  # dark or light worlds; photographs and white things stay dark
    camera_drift: bool = False  # the camera moves over the backdrop
    check_pixels: bool = True  # recover answers from the decoded clip too; drop and count those that differ
    storage: Literal["mp4", "virtual"] = "mp4"  # virtual: rows only; frames are rendered when they are read
    coco: CocoPaths = CocoPaths()
    drawn: DrawnScenes = DrawnScenes()
    samples_per_shard: int = Field(default=128, ge=1)

    @property
    def instruction(self) -> str:
        texts = ANSWER_ONLY if self.style == "answer_only" else INSTRUCTIONS
        return texts[self.answer_format] if self.instruct else ""

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
        """Samples of a full shard; the two of a pair stay together."""
        return -(-self.samples_per_shard // self.unit_size) * self.unit_size

    @property
    def all_rates(self) -> tuple[float, ...]:
        return self.rates or (self.canvas.fps,)

    @property
    def all_sizes(self) -> tuple[tuple[int, int], ...]:
        return self.sizes or ((self.canvas.width, self.canvas.height),)

    def canvas_of(self, task: str) -> Canvas:
        """Return the canvas, with the task's own limits of scenes and of frames per scene if it has any."""
        limits = [(scenes, frames) for name, scenes, frames in self.limits_by_task if name == task]
        return self.canvas.limited(*limits[-1]) if limits else self.canvas

    def canvas_at(self, address: Address) -> Canvas:
        """Return the canvas of one sample, which its twin shares: one of the rates and one of the sizes."""
        canvases = self.canvases_of(address.task)
        return canvases[int(rng_at(*address.parts(), "canvas").integers(len(canvases)))]

    def canvases_of(self, task: str) -> list[Canvas]:
        """Return every canvas that samples of a task may have."""
        canvas = self.canvas_of(task)
        return [
            replace(canvas.at_rate(fps), width=width, height=height)
            for fps in self.all_rates
            for width, height in self.all_sizes
        ]

    def shard_indices(self, shard: int) -> range:
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.num_samples))

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the bytes, as JSON values: all but where files lie."""
        tree: dict[str, Any] = json.loads(self.model_dump_json(exclude={"coco"}))
        return {"generator_version": GENERATOR_VERSION, "coco_licenses": list(self.coco.licenses), **tree}


def address_of(recipe: Recipe, task: str, index: int, twin: bool) -> Address:
    """Return the address of an index of one task; the level follows from the index."""
    levels = recipe.levels or (recipe.level,)
    level = levels[index % MAX_INDEX % len(levels)]  # an index tried again, in a later range, keeps its level
    return Address(task=task, split=recipe.split, index=index, seed=recipe.seed, level=level, twin=twin)


def task_and_index(recipe: Recipe, i: int) -> tuple[str, int, bool]:
    """Return the task of the i-th sample, its index within the task, and whether it is a twin.

    Tasks take turns by weight. With twins, pairs take turns, and the two of a pair follow each other.
    """
    num_units = -(-recipe.num_samples // 2) if recipe.twins else recipe.num_samples
    unit, twin = (i // 2, bool(i % 2)) if recipe.twins else (i, False)
    tasks_N, indices_N = _schedule(len(recipe.tasks), recipe.weights, num_units)
    return list(primitives_of(recipe.tasks))[int(tasks_N[unit])], int(indices_N[unit]), twin


@functools.lru_cache(maxsize=8)
def primitives_of(tasks: tuple[str, ...]) -> dict[str, Primitive]:
    """Load the primitives of a recipe, by task name.

    Raises:
        UserError: one does not exist, is not valid, or is listed twice.
    """
    if not tasks:
        names = ", ".join(available(PRIMITIVES))
        raise UserError(f"tasks is empty; name at least one of: {names}")
    loaded = [primitive_called(name) for name in tasks]
    by_task = {primitive.task: primitive for primitive in loaded}
    if len(by_task) < len(tasks):
        raise UserError(f"tasks names a primitive twice: {', '.join(tasks)}; give each once and use weights")
    return by_task


def check(recipe: Recipe) -> None:
    """Check whether settings fit each other, before anything is made.

    Raises:
        UserError: they do not, or no clip can be drawn.
    """
    primitives_of(recipe.tasks)
    positive = all(weight > 0 for weight in recipe.weights)
    if recipe.weights and (len(recipe.weights) != len(recipe.tasks) or not positive):
        given = " ".join(map(str, recipe.weights))
        raise UserError(
            f"weights is {given}; give {len(recipe.tasks)} positive numbers, one per task, or --weights without "
            "numbers for equal shares"
        )
    _check_answer_format(recipe)
    _check_worlds(recipe)
    if not recipe.coco.licenses or min(recipe.coco.licenses) < 0:
        raise UserError("coco.licenses holds no id of a license; give at least one of 1 to 8, or 0 for images without")
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
    for canvas in recipe.canvases_of(recipe.tasks[0]):
        _check_canvas(canvas)
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


def _check_worlds(recipe: Recipe) -> None:
    for name, kind in (("backdrops", BackdropKind), ("surfaces", Surface), ("lightings", Lighting)):
        if not getattr(recipe, name):
            raise UserError(f"{name} is empty; give at least one of {', '.join(get_args(kind))}")
    for rate in recipe.rates:
        if not LEAST_FPS <= rate <= MOST_FPS:
            raise UserError(f"rates holds {rate}; give frames per second from {LEAST_FPS} to {MOST_FPS}")


def _check_answer_format(recipe: Recipe) -> None:
    listed = [task for task, primitive in primitives_of(recipe.tasks).items() if not primitive.free_form]
    if recipe.answer_format in ("free", "json") and listed:
        raise UserError(
            f"answer_format is {recipe.answer_format}, but answers of {', '.join(listed)} can only be given with their "
            "options; leave these tasks out, or give letter or text"
        )


def _check_canvas(canvas: Canvas) -> None:
    if min(canvas.width, canvas.height) < 16 or canvas.width % 2 or canvas.height % 2:
        raise UserError(f"canvas is {canvas.width} x {canvas.height} px; both sides must be even and 16 or more")
    if not LEAST_FPS <= canvas.fps <= MOST_FPS:
        raise UserError(f"canvas.fps is {canvas.fps}; it must be from {LEAST_FPS} to {MOST_FPS}")
    for name in ("num_frames", "num_scenes", "frames_per_scene"):
        low, high = getattr(canvas, name)
        if not 1 <= low <= high:
            raise UserError(f"canvas.{name} is {low} {high}; give two whole numbers with 1 <= first <= second")


@functools.lru_cache(maxsize=8)
def _schedule(num_tasks: int, weights: tuple[float, ...], num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) task numbers and (N,) indices within the task: shares by largest remainder, spread evenly."""
    shares = np.array(weights or (1.0,) * num_tasks)
    exact = num_samples * shares / shares.sum()
    counts = np.floor(exact).astype(int)
    for task in np.argsort(-(exact - counts), kind="stable")[: num_samples - counts.sum()]:
        counts[task] += 1
    tasks_N = np.repeat(np.arange(num_tasks), counts)
    indices_N = np.concatenate([np.arange(n) for n in counts])
    order = np.argsort((indices_N + 0.5) / counts[tasks_N], kind="stable")
    return tasks_N[order], indices_N[order]
