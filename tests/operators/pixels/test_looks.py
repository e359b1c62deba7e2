"""Surfaces and light worlds: seen, undone for recovery, and never a sign of the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from temporay.operators.dataset.content_hash import content_hash
from temporay.operators.dataset.label_check import Verdict, check_pixels
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.samples import make_unit, open_source
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.colors_seen import color_masks
from temporay.operators.pixels.looks import RELIEF, choose_look, paint_with_surface, turn_lightness
from temporay.operators.pixels.render import render
from temporay.operators.pixels.shapes import COLORS, OUTLINES, paint
from temporay.operators.primitives._base import primitive_called
from temporay.operators.records import PLAIN, Address, Look, Surface

from tests.operators.primitives.planning import CANVAS

SURFACES: tuple[Surface, ...] = ("shaded", "textured", "outlined")
MOVING = ("motion_direction", "bounce_count", "rotation", "shell_game", "collision_count", "attribute_change")


def frame(level: int = 20) -> np.ndarray:
    return np.full((64, 64, 3), level, np.uint8)


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("shape", ["circle", "cup", *OUTLINES])
def test_a_surface_stays_inside_its_shape_and_near_its_color(surface: Surface, shape: str) -> None:
    for color in COLORS.values():
        plain, dressed = frame(), frame()
        paint(plain, shape, color, (30.5, 33.0), 14.0, 30.0)
        paint_with_surface(dressed, shape, color, (30.5, 33.0), 14.0, 30.0, surface)
        gap = np.abs(dressed.astype(int) - plain)
        assert 0 < gap.max() <= RELIEF
        assert not gap[(plain == 20).all(axis=-1)].any()
        inside = color_masks(plain[None], color)
        assert (color_masks(dressed[None], color) | ~inside).mean() > 0.995


def test_a_shape_at_the_edge_is_painted_as_far_as_it_is_seen() -> None:
    for xy in ((0.0, 0.0), (63.9, 20.0), (-13.0, 30.0), (-30.0, 200.0)):
        shown = frame()
        paint_with_surface(shown, "circle", COLORS["red"], xy, 14.0, 0.0, "shaded")
        assert shown.shape == (64, 64, 3)


def test_what_has_no_named_color_has_no_surface() -> None:
    plain, dressed = frame(), frame()
    paint(plain, "square", (160, 160, 160), (30.0, 30.0), 10.0)
    paint_with_surface(dressed, "square", (160, 160, 160), (30.0, 30.0), 10.0, 0.0, "textured")
    assert np.array_equal(plain, dressed)


def test_lightness_is_turned_round_and_back() -> None:
    frames_THWC = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
    turned = turn_lightness(frames_THWC)
    assert np.array_equal(turn_lightness(turned), frames_THWC)
    assert turn_lightness(frame()[None]).min() == 235
    for name, color in COLORS.items():  # hues keep their names
        light = turn_lightness(np.array(color, np.uint8)[None, None, None])[0, 0, 0].astype(int)
        if name != "white":
            assert [*np.argsort(light, kind="stable")] == [*np.argsort(color, kind="stable")]


@pytest.mark.parametrize("task", MOVING)
def test_answers_are_recovered_in_every_look(task: str) -> None:
    primitive, sure = primitive_called(task), 0
    for index in range(3):
        plan = primitive.plan((), CANVAS, Address(task=task, split="train", index=index, seed=1, level=2))
        question = primitive.ask(plan)
        for surface in SURFACES:
            seen = replace(plan, look=Look(surface=surface, lighting="light"))
            frames_THWC = decode(encode(render(seen), seen.fps, Codec()).data)
            verdict = check_pixels(primitive, seen, question, frames_THWC, None)
            assert verdict is not Verdict.DIFFERS
            sure += verdict is Verdict.AGREES
    assert sure >= 5


def recipe(**changes: object) -> Recipe:
    settings = {"tasks": ("motion_direction", "cell_count"), "num_samples": 24, "level": 1, "canvas": CANVAS}
    varied = {"surfaces": ("plain", *SURFACES), "lightings": ("dark", "light"), "twins": True}
    return Recipe.model_validate({**settings, **varied, **changes})


def test_looks_vary_twins_share_them_and_what_lights_up_stays_dark(tmp_path: Path) -> None:
    made_for = recipe()
    source = open_source(made_for, tmp_path)
    pairs = [make_unit(made_for, source, unit) for unit in range(12)]
    assert all(one.plan.look == other.plan.look for one, other in pairs)
    looks = {task: {one.plan.look for one, _ in pairs if one.plan.address.task == task} for task in made_for.tasks}
    assert len({look.surface for look in looks["motion_direction"]}) > 1
    assert {look.lighting for look in looks["motion_direction"]} == {"dark", "light"}
    assert {look.lighting for look in looks["cell_count"]} == {"dark"}


def test_white_things_and_photographs_stay_in_dark_worlds() -> None:
    address = Address(task="motion_direction", split="train", index=0, seed=1, level=2)
    plan = primitive_called("motion_direction").plan((), CANVAS, address)
    colored = replace(plan, tracks=tuple(replace(t, color=COLORS["red"], color_T3=None) for t in plan.tracks))
    white = replace(plan, tracks=tuple(replace(t, color=COLORS["white"]) for t in plan.tracks))
    photo = replace(colored, backdrop=replace(plan.backdrop, kind="photo"))
    for shown, lighting in ((colored, "light"), (white, "dark"), (photo, "dark")):
        look = choose_look(shown, ("plain",), ("light",), may_be_light=True).look
        assert look.lighting == lighting


def test_a_plain_look_leaves_the_hash_of_a_plan_as_it_is() -> None:
    address = Address(task="motion_direction", split="train", index=0, seed=1, level=2)
    plan = primitive_called("motion_direction").plan((), CANVAS, address)
    assert plan.look == PLAIN
    assert content_hash(replace(plan, look=Look())) == content_hash(plan)
    assert content_hash(replace(plan, look=Look(surface="shaded"))) != content_hash(plan)
