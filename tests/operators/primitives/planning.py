"""Plans, questions and answers of any primitive at any address, for the tests of primitives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas
from temporay.operators.components import available, load
from temporay.operators.pixels.shapes import COLORS, EASY_COLORS, EASY_SHAPES, paint
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import Address, Frames, Question, Scene, ScenePlan, Track
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.seeding import rng_at

PACKAGE = "temporay.operators.primitives"
TASKS = available(PACKAGE)
TINY = Canvas(
    width=48,
    height=48,
    fps=4.0,
    num_frames=(8, 8),
    num_scenes=(2, 3),
    frames_per_scene=(2, 4),
    jitter="none",
    sampling=EVERY_FRAME,
)
CANVAS = Canvas(
    width=96,
    height=72,
    fps=8.0,
    num_frames=(14, 30),
    num_scenes=(2, 6),
    frames_per_scene=(2, 9),
    jitter="none",
    sampling=EVERY_FRAME,
)
LARGE = Canvas(
    width=160,
    height=120,
    fps=8.0,
    num_frames=(24, 40),
    num_scenes=(2, 5),
    frames_per_scene=(3, 8),
    jitter="none",
    sampling=EVERY_FRAME,
)
CLEAR = replace(LARGE, jitter="paper")  # large enough for answers to be read from decoded pixels
Oracle = Callable[[ScenePlan, Question], str]  # the answer, worked out from what is drawn
SCENES = tuple(
    Scene(
        image_id=i,
        path=f"{color} {shape}",
        captions=(f"a {color} {shape}", f"a {shape} that is {color}"),
        license_id=None,
        source_url="",
    )
    for i, (color, shape) in enumerate((color, shape) for color in EASY_COLORS for shape in EASY_SHAPES)
)


def load_scene(scene: Scene) -> Frames:
    """Return a picture of one of ``SCENES``, (60, 80, 3)."""
    image_HWC = np.full((60, 80, 3), 30, np.uint8)
    color, shape = scene.path.split()
    paint(image_HWC, shape, COLORS[color], (40.0, 30.0), 20.0)
    return image_HWC


def make_primitive(task: str) -> Primitive:
    primitive: Primitive = load(PACKAGE, task)()
    return primitive


def make_plan(
    task: str,
    index: int,
    level: int,
    canvas: Canvas = CANVAS,
    *,
    twin: bool = False,
    scenes: tuple[Scene, ...] = SCENES,
) -> ScenePlan:
    primitive = make_primitive(task)
    address = Address(task=task, split="train", index=index, seed=7, level=level, twin=twin)
    chosen = rng_at("test scenes", task, index).permutation(len(scenes))[: primitive.num_distinct_scenes(canvas)]
    return primitive.plan(tuple(scenes[i] for i in chosen), canvas, address)


def make_question(
    task: str, index: int, level: int, canvas: Canvas = CANVAS, *, twin: bool = False
) -> tuple[ScenePlan, Question]:
    plan = make_plan(task, index, level, canvas, twin=twin)
    return plan, make_primitive(task).ask(plan)


def answer_of(plan: ScenePlan) -> str:
    """Return the text of the right option."""
    question = make_primitive(plan.address.task).ask(plan)
    return question.options[question.answer_index]


def track_of(plan: ScenePlan, name: str) -> Track:
    return next(track for track in plan.tracks if track.name == name)


def steps_T2(plan: ScenePlan, track: Track) -> npt.NDArray[np.float64]:
    """Return the shortest steps in px from frame to frame on the joined frame, (T-1, 2)."""
    size = np.array([plan.width, plan.height])
    steps: npt.NDArray[np.float64] = (np.diff(track.xy_T2, axis=0) + size / 2) % size - size / 2
    return steps
