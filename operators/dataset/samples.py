"""From a recipe and an index to a sample and its frames: the path from source to pixels as one pure function.

    index -> task and address -> plan -> question, chain of thought -> frames

Nothing depends on a worker, a clock or an order, so any process can make any sample again.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from temporay.operators.canvas import Canvas
from temporay.operators.dataset.attempts import (
    ANSWER_NOT_SEEN,
    DUPLICATE,
    LOST_TO_SAMPLING,
    OTHER_SPLIT,
    Attempts,
    FailedAddress,
)
from temporay.operators.dataset.coco import image_loader, read_scenes, split_scenes
from temporay.operators.dataset.coco_instances import attach_instances, cuttable, with_upright_outlines
from temporay.operators.dataset.content_hash import content_hash, split_of
from temporay.operators.dataset.copies import NO_COPIES, Copies, find_copies
from temporay.operators.dataset.drawn_coco import CAPTIONS_FILE, IMAGES_FOLDER
from temporay.operators.dataset.label_check import Verdict, check_pixels
from temporay.operators.dataset.licenses import allowed_scenes
from temporay.operators.dataset.recipe import MAX_INDEX, Recipe, address_of, primitives_of, task_and_index
from temporay.operators.dataset.rows import make_sample, scenes_of
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pixels.backdrops import dress
from temporay.operators.pixels.clip import decode, encode
from temporay.operators.pixels.cutouts import add_decoys
from temporay.operators.pixels.looks import choose_look
from temporay.operators.pixels.render import ImageLoader, render, render_i420
from temporay.operators.primitives._base import Primitive
from temporay.operators.records import Address, Clip, Frames, Sample, Scene, ScenePlan
from temporay.operators.seeding import digest, rng_at

NUM_CANDIDATE_SCENES = 64  # offered to each sample, so that its work does not grow with the annotation file


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where pixels and captions come from: the scenes of a recipe's split. Empty for drawn motion."""

    scenes: tuple[Scene, ...]
    load_image: ImageLoader
    fingerprint: str  # hash of ids, file names and captions; the folder does not matter
    copies: Copies
    dropped: Mapping[str, int]  # entries of the source files that are not used, by reason


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeSample:
    """The finished sample of one index of a recipe."""

    sample: Sample
    plan: ScenePlan
    content_hash: str
    clip: Clip | None  # None: virtual storage
    verdict: Verdict | None  # None: the recipe does not check pixels
    rejected: Mapping[str, int] = field(default_factory=dict)  # addresses tried before this one, by reason
    failures: tuple[FailedAddress, ...] = ()  # addresses that failed before this one


def open_source(recipe: Recipe, drawn_folder: Path, copies: Copies | None = None) -> Source:
    """Read the scenes of the recipe's split.

    Args:
        drawn_folder: where drawn scenes were written; used when the recipe names no COCO files.
        copies: which images show the same picture; None: it is not known yet, and every image is looked at.

    Raises:
        UserError: files are missing or broken, or the split has too few images for a task.
    """
    side = max(max(c.width, c.height) for task in recipe.tasks for c in recipe.canvases_of(task))
    scenes: tuple[Scene, ...] = ()
    dropped: Mapping[str, int] = {}
    if recipe.shows_images:
        found = read_scenes(
            recipe.coco.captions or drawn_folder / CAPTIONS_FILE,
            recipe.coco.images or drawn_folder / IMAGES_FOLDER,
            recipe.coco.captions_per_image,
        )
        if recipe.coco.instances is not None:
            found = attach_instances(found, recipe.coco.instances)
        of_others = recipe.coco.captions is not None  # anybody may use drawn scenes
        allowed, left_out = allowed_scenes(found.scenes, recipe.coco.licenses) if of_others else (found.scenes, {})
        if copies is None and of_others and recipe.test_fraction > 0:
            copies = find_copies(found.scenes)
        picture_of = (copies or NO_COPIES).picture_of
        scenes = split_scenes(allowed, recipe.split, recipe.test_fraction, picture_of)
        dropped = {**found.dropped, **left_out}
        _check_enough_images(recipe, len(scenes), len(allowed))
    content = [(scene.image_id, Path(scene.path).name, scene.captions, *cuttable(scene)) for scene in scenes]
    return Source(
        scenes=scenes,
        load_image=image_loader(side),
        fingerprint=f"{digest(content):032x}",
        copies=copies or NO_COPIES,
        dropped=dropped,
    )


def make_sample_at(recipe: Recipe, source: Source, i: int, taken: Set[str] = frozenset()) -> MadeSample:
    """Make the i-th sample of a recipe; see ``make_unit``."""
    return make_unit(recipe, source, i // recipe.unit_size, taken)[i % recipe.unit_size]


def make_unit(recipe: Recipe, source: Source, unit: int, taken: Set[str] = frozenset()) -> tuple[MadeSample, ...]:
    """Make one sample, or with twins a sample and its twin. The next address replaces one that gives nothing good.

    Args:
        taken: content hashes of the samples before this one.

    Raises:
        UserError: too many addresses in a row gave nothing.
    """
    task, index, _ = task_and_index(recipe, unit * recipe.unit_size)
    primitive = primitives_of(recipe.tasks)[task]
    attempts = Attempts(task)
    for attempt in count():
        addresses = [
            address_of(recipe, task, index + attempt * MAX_INDEX, twin) for twin in (False, True)[: recipe.unit_size]
        ]
        made: list[MadeSample] = []
        try:
            plans = [_plan(recipe, source, primitive, address) for address in addresses]
            hashes = [content_hash(plan) for plan in plans]
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


def _finish(recipe: Recipe, source: Source, primitive: Primitive, plan: ScenePlan, plan_hash: str) -> MadeSample:
    """Make the sample of a plan: encode its clip and recover its answer from the pixels that a reader will see.

    Raises:
        SampleRejected: an image is missing or broken, or the frames lead to another answer than the log.
    """
    sample = make_sample(primitive, plan, recipe.style, recipe.answer_format)
    plan = with_upright_outlines(plan)
    clip = None
    if recipe.storage == "mp4":
        clip = encode(render_i420(plan, source.load_image), plan.fps, recipe.codec)
    else:
        for scene in scenes_of(plan):  # find a broken image now, not while a model trains
            source.load_image(scene)
    verdict = _verdict(recipe, source, primitive, plan, sample, clip) if recipe.check_pixels else None
    if verdict is Verdict.DIFFERS:
        raise SampleRejected(ANSWER_NOT_SEEN, f"the frames lead to another option than {sample.question.letter}")
    return MadeSample(sample=sample, plan=plan, content_hash=plan_hash, clip=clip, verdict=verdict)


def _verdict(
    recipe: Recipe, source: Source, primitive: Primitive, plan: ScenePlan, sample: Sample, clip: Clip | None
) -> Verdict:
    frames_THWC = render(plan, source.load_image) if clip is None else decode(clip.data)
    sampling = recipe.canvas.sampling
    return check_pixels(primitive, plan, sample.question, frames_THWC, source.load_image, sampling)


def plan_sample(recipe: Recipe, source: Source, address: Address) -> tuple[ScenePlan, Sample]:
    """Plan one address and ask its question. With twins, both of a pair must be good, or neither is used.

    Raises:
        SampleRejected: this address gives nothing good.
    """
    primitive = primitives_of(recipe.tasks)[address.task]
    if recipe.twins:
        _plan(recipe, source, primitive, replace(address, twin=not address.twin))
    plan = _plan(recipe, source, primitive, address)
    return plan, make_sample(primitive, plan, recipe.style, recipe.answer_format)


def _plan(recipe: Recipe, source: Source, primitive: Primitive, address: Address) -> ScenePlan:
    scenes, canvas = _candidates(source.scenes, address), recipe.canvas_at(address)
    plan = primitive.plan(scenes, canvas, address)
    if recipe.wordings is not None:
        plan = replace(plan, facts={**plan.facts, "wording": plan.facts["wording"] % recipe.wordings})
    plan = dress(plan, recipe.backdrops, recipe.camera_drift, scenes, address)
    plan = choose_look(plan, recipe.surfaces, recipe.lightings, may_be_light=primitive.may_be_light)
    _check_shown(canvas, primitive, plan)
    return add_decoys(plan, scenes, address)


def _check_shown(canvas: Canvas, primitive: Primitive, plan: ScenePlan) -> None:
    for frames in canvas.sampling.choices(plan.num_frames, plan.fps):
        if not primitive.survives(plan, frames):
            raise SampleRejected(
                LOST_TO_SAMPLING, f"{len(frames)} of {plan.num_frames} frames are shown, which do not give the answer"
            )


def render_address(recipe: Recipe, source: Source, address: Address) -> Frames:
    """Render the frames of an address again: frames_THWC uint8 RGB."""
    plan, _ = plan_sample(recipe, source, address)
    return render(with_upright_outlines(plan), source.load_image)


def _candidates(scenes: tuple[Scene, ...], address: Address) -> tuple[Scene, ...]:
    if len(scenes) <= NUM_CANDIDATE_SCENES:
        return scenes
    chosen = rng_at(*address.parts(), "candidates").choice(len(scenes), NUM_CANDIDATE_SCENES, replace=False)
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
