"""Pseudo-videos: captioned images shown one after the other, each for some frames (arXiv 2506.06928, section 3).

    scenes → captioned scenes → cut into shots with a jitter per frame → ScenePlan with one `scene` event per shot

The paper jitters every frame by itself (rotation 15 degrees, scale 10 %, translation 10 %, black fill). Where a model
is not shown every frame, shots last longer than ``frames_per_scene`` says, so that a frame of each of them is shown.
"""

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt
from temporay.operators.canvas import Canvas, Jitter
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.primitives._base import Choices, Facts
from temporay.operators.primitives._plan import event_in
from temporay.operators.records import Backdrop, Scene, ScenePlan, Shot
from temporay.operators.seeding import random_cuts

MIN_SCENES_BY_LEVEL = (2, 2, 3, 4, 5)  # as far as the canvas and the second line allow
MAX_SCENES_BY_LEVEL = (3, 4, 5, 6, 8)
MAX_CAPTION_JACCARD = 0.5  # shared content words; two scenes that reach it could be taken for each other
# Two scenes that both show one of these could be taken for each other too. Each line lists words for the same thing.
ALIKE = """
cat kitten kitty; dog puppy; horse pony; bird parrot pigeon seagull; cow cattle bull; sheep lamb; elephant; giraffe
zebra; bear teddy; bus; train locomotive; airplane plane jet aircraft; boat ship sailboat ferry; motorcycle motorbike
bicycle bike; truck; skateboard skateboarder; surfboard surfer surfing wave; ski skier skiing snowboard snowboarder
tennis; baseball batter; frisbee; kite; pizza; cake; sandwich; banana; broccoli; donut doughnut; laptop computer
television tv; phone cellphone; toilet bathroom restroom bathtub; kitchen stove oven refrigerator fridge; bed bedroom
sofa couch; clock; umbrella; beach
"""
MAX_SHOTS_PER_SCENE = 3  # where scenes come again
MAX_ROTATION_DEG = 15.0
MAX_SCALE_CHANGE = 0.1
MAX_TRANSLATION = 0.1  # share of the frame's width and height
SMOOTH_PERIOD_FRAMES = 24  # there and back
CONTENT_WORD = re.compile(
    r"\b(?!(?:an?|the|of|in|on|at|to|and|or|with|by|for|from|is|are|was|were|being|been|its?|his|her|their|this|that|"
    r"there|some|two|while|as|near|next|into|over|under|up|down|off|out)\b)\w+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionedScene:
    """A scene, and the one of its captions that this sample uses."""

    scene: Scene
    caption: str


def scene_limits(
    choices: Choices, minimum: int = 2, fewest_by_level: Sequence[int] = MIN_SCENES_BY_LEVEL
) -> tuple[int, int]:
    """Return the fewest and the most scenes of a video at this level.

    Args:
        minimum: what the question needs.
        fewest_by_level: what it has at each level, as far as the canvas and ``MAX_SCENES_BY_LEVEL`` allow.

    Raises:
        UserError: the canvas allows fewer scenes than the question needs.
    """
    few, many = choices.canvas.num_scenes
    low = max(minimum, few)
    if many < low:
        raise UserError(
            f"canvas.num_scenes={choices.canvas.num_scenes} gives at most {many} scenes, but this task needs "
            f"{low}; raise its second number to {low} or more"
        )
    if not choices.canvas.scenes_by_level:
        return low, many
    high = max(low, min(many, MAX_SCENES_BY_LEVEL[choices.level]))
    return min(high, max(low, fewest_by_level[choices.level])), high


def choose_scenes(
    choices: Choices, *, minimum: int = 2, num_spare: int = 0, fewest_by_level: Sequence[int] = MIN_SCENES_BY_LEVEL
) -> list[CaptionedScene]:
    """Choose how many scenes are shown, and pick them and ``num_spare`` more. Raises as ``pick_scenes`` does."""
    low, high = scene_limits(choices, minimum, fewest_by_level)
    return pick_scenes(choices, int(choices.rng.integers(low, high + 1)) + num_spare)


def pick_scenes(choices: Choices, num_scenes: int) -> list[CaptionedScene]:
    """Pick different images in random order, each with one of its captions; none could be taken for one before it.

    Raises:
        SampleRejected: too many of the captions could be taken for each other (``captions_alike``).
        ValueError: there are fewer different images than needed.
    """
    rng = choices.rng_for("scenes")
    distinct = list({scene.image_id: scene for scene in choices.scenes}.values())
    if len(distinct) < num_scenes:
        raise ValueError(f"{num_scenes} different images are needed, {len(distinct)} were given")
    picked: list[CaptionedScene] = []
    for i in rng.permutation(len(distinct)):
        scene = distinct[i]
        one = CaptionedScene(scene=scene, caption=scene.captions[int(rng.integers(len(scene.captions)))])
        if not any(alike(one.caption, other.caption) for other in picked):
            picked.append(one)
        if len(picked) == num_scenes:
            return picked
    raise SampleRejected("captions_alike", f"{num_scenes} captions are needed, {len(picked)} differ enough")


def in_places(scenes: Sequence[CaptionedScene], places: Sequence[int]) -> list[CaptionedScene]:
    """Return the scenes in their order, scene i at ``places[i]``."""
    return [scene for _, scene in sorted(zip(places, scenes, strict=True), key=lambda pair: pair[0])]


def alike(one: str, other: str) -> bool:
    """Return whether two captions could be taken for each other: they share many words or a thing, or have no words."""
    words, things = zip(*(_content_words(caption) for caption in (one, other)), strict=True)
    union = words[0] | words[1]
    shared = len(words[0] & words[1]) / len(union) if union and one != other else 1.0
    return shared >= MAX_CAPTION_JACCARD or bool(things[0] & things[1])


@functools.lru_cache(maxsize=4096)
def _content_words(caption: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the words of a caption that say something, and the things of ``ALIKE`` that it names."""
    words = frozenset(CONTENT_WORD.findall(caption.lower()))
    singular = {word.removesuffix(end) for word in words for end in ("", "s", "es")}
    return words, frozenset(name for name, synonyms in _THINGS.items() if synonyms & singular)


_THINGS = {line.split()[0]: frozenset(line.split()) for line in re.split("[;\n]", ALIKE) if line.strip()}


@functools.lru_cache(maxsize=1024)
def least_shot(canvas: Canvas, num_shots: int, least_extra: int, most_extra: int) -> int:
    """Return the fewest frames with which each shot is seen, in clips of ``num_shots`` such shots and some frames more.

    Args:
        least_extra: frames of the shortest clip beyond its shortest shots; ``most_extra`` are those of the longest.
    """
    low, rate = canvas.frames_per_scene[0], canvas.sampling.fps
    least = low if rate is None else max(low, ceil(canvas.fps / rate))  # the shortest clips are shown whole, as a flash
    while True:
        totals = range(num_shots * least + least_extra, num_shots * least + most_extra + 1)
        gap = max(canvas.longest_gap(total) for total in totals)
        if gap <= least:
            return least
        least = gap


def choose_shot_lengths(order: Sequence[CaptionedScene], choices: Choices) -> list[int]:
    """Choose F_j ~ U over ``canvas.frames_per_scene`` for every shot (the paper's rule), or as much longer as is seen.

    A length belongs to an image and not to a place, like the jitter: a twin shows the same frames in another order.
    """
    low, high = choices.canvas.frames_per_scene
    extra = [int(choices.rng_for("shot_length", one.scene.image_id).integers(high - low + 1)) for one in order]
    least = least_shot(choices.canvas, len(order), sum(extra), sum(extra))
    return [least + more for more in extra]


def split_length(num_shots: int, max_shots: int, choices: Choices) -> list[int]:
    """Choose the clip's length first, then the shots' lengths. So the total does not tell how many shots there are.

    The total is uniform, from ``max_shots`` of the shortest shots to as many of a middle length. A scene may last
    longer than ``frames_per_scene`` says.
    """
    low, high = choices.canvas.frames_per_scene
    most_extra = max_shots * (high - low) // 2
    least = least_shot(choices.canvas, max_shots, 0, most_extra)
    total = max_shots * least + int(choices.rng_for("num_frames").integers(most_extra + 1))
    return random_cuts(choices.rng_for("shot_lengths"), total, num_shots, least)


def divide_lengths(order: Sequence[CaptionedScene], choices: Choices) -> list[int]:
    """Choose the frames of every shot: those of a scene by its image alone, then divided among its shots.

    Each scene has frames for as many shots as it can have.
    """
    (low, high), most_each = choices.canvas.frames_per_scene, MAX_SHOTS_PER_SCENE
    ids = [captioned.scene.image_id for captioned in order]
    most_extra = max(0, high - most_each * low)
    extra = {i: int(choices.rng_for("frames_of_scene", i).integers(most_extra + 1)) for i in set(ids)}
    least = least_shot(choices.canvas, most_each * len(extra), sum(extra.values()), sum(extra.values()))
    parts = {
        i: random_cuts(choices.rng_for("cuts_of_scene", i), most_each * least + more, ids.count(i), least)
        for i, more in extra.items()
    }
    return [parts[i].pop(0) for i in ids]


def shuffled_shots(rng: np.random.Generator, shots: Sequence[int], first: int, last: int) -> list[int] | None:
    """Order the shots at random from ``first`` to ``last``; None when a scene follows itself."""
    inner = list(shots)
    inner.remove(first)
    inner.remove(last)
    order = [first, *(inner[i] for i in rng.permutation(len(inner))), last]
    return order if all(one != other for one, other in pairwise(order)) else None


def compose(order: Sequence[CaptionedScene], shot_lengths: Sequence[int], choices: Choices, facts: Facts) -> ScenePlan:
    """Plan the scenes in this order, each for its number of frames, with one ``scene`` event per shot.

    ``detail`` of an event is the shot's place, from 1. A scene that comes again continues the jitter of its first shot.
    So the frames of each image are the same in any order and in any number of shots.
    """
    canvas, left_by_image = choices.canvas, _affine_by_image(order, shot_lengths, choices)
    shots, events, start_frame = [], [], 0
    for place, (captioned, num_frames) in enumerate(zip(order, shot_lengths, strict=True), start=1):
        end_frame, image_id = start_frame + num_frames, captioned.scene.image_id
        affine_T23, left_by_image[image_id] = np.split(left_by_image[image_id], [num_frames])
        shots.append(Shot(scene=captioned.scene, start_frame=start_frame, end_frame=end_frame, affine_T23=affine_T23))
        events.append(event_in(canvas, "scene", captioned.caption, start_frame, end_frame, str(place)))
        start_frame = end_frame
    return ScenePlan(
        address=choices.address,
        width=canvas.width,
        height=canvas.height,
        fps=canvas.fps,
        num_frames=start_frame,
        backdrop=Backdrop(),
        shots=tuple(shots),
        events=tuple(events),
        facts=facts,
    )


def _affine_by_image(
    order: Sequence[CaptionedScene], shot_lengths: Sequence[int], choices: Choices
) -> dict[int, npt.NDArray[np.float64]]:
    canvas, totals = choices.canvas, Counter[int]()
    for captioned, num_frames in zip(order, shot_lengths, strict=True):
        totals[captioned.scene.image_id] += num_frames
    return {
        i: choose_affine(choices.rng_for("jitter", i), canvas.jitter, total, canvas.width, canvas.height)
        for i, total in totals.items()
    }


def choose_affine(
    rng: np.random.Generator, jitter: Jitter, num_frames: int, width: int, height: int
) -> npt.NDArray[np.float64]:
    """Choose rotation and scale about the frame's center, then translation: (T, 2, 3) matrices in pixels."""
    limits = np.array([np.deg2rad(MAX_ROTATION_DEG), MAX_SCALE_CHANGE, MAX_TRANSLATION, MAX_TRANSLATION])
    warps_T4 = np.zeros((num_frames, 4))
    if jitter == "paper":
        warps_T4 = rng.uniform(-limits, limits, (num_frames, 4))
    elif jitter == "smooth":
        # How fast it goes does not depend on the number of frames, or two frames would tell how long a scene lasts.
        one, other = rng.uniform(-limits, limits, (2, 4))
        turns_T = rng.uniform() + np.arange(num_frames) / SMOOTH_PERIOD_FRAMES
        warps_T4 = one + (other - one) * (1 - np.cos(2 * np.pi * turns_T))[:, None] / 2
    return affine_matrices(warps_T4, width, height)


def affine_matrices(warps_T4: npt.NDArray[np.float64], width: int, height: int) -> npt.NDArray[np.float64]:
    """Return (T, 2, 3) matrices in pixels from (T, 4): radians, growth, shift right and down in shares of the frame."""
    angle_T, growth_T, right_T, down_T = warps_T4.T
    cos_T, sin_T = (1 + growth_T) * np.cos(angle_T), (1 + growth_T) * np.sin(angle_T)
    center_x, center_y = (width - 1) / 2, (height - 1) / 2
    shift_x_T = center_x + right_T * width - cos_T * center_x - sin_T * center_y
    shift_y_T = center_y + down_T * height + sin_T * center_x - cos_T * center_y
    rows = [np.stack([cos_T, sin_T, shift_x_T], axis=1), np.stack([-sin_T, cos_T, shift_y_T], axis=1)]
    return np.stack(rows, axis=1)


# What ``tell_order`` tells, at the start of a sentence; the first group holds the items. Names are marked before it is
# read, because a caption may hold a separator.
ORDER_TOLD = re.compile(r"^(?:First (?=[^\n]+?, (?:then|last) )|Only )([^\n]+?)(?=\.(?:\s|$)|\n|$)")
NEXT_TOLD = re.compile(r", (?:then|last) ")


def tell_order(captions: Sequence[str]) -> str:
    """Tell the scenes in one sentence: "First a, then b, last c."."""
    if len(captions) == 1:
        return f"Only {captions[0]}."
    middle = "".join(f"then {caption}, " for caption in captions[1:-1])
    return f"First {captions[0]}, {middle}last {captions[-1]}."
