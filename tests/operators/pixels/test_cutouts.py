from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.cutouts import Sprite, add_decoys, choose_cutouts, cutout_radius_px, mute
from temporay.operators.pixels.render import render
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.primitives._base import Doubt
from temporay.operators.primitives.motion._stage import choose_actors, color_of, to_track
from temporay.operators.records import Address, Backdrop, Cutout, Frames, Instance, Scene, ScenePlan
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.seeding import rng_at

SQUARE = ((0.25, 0.25, 0.75, 0.25, 0.75, 0.75, 0.25, 0.75),)
CANVAS = Canvas(
    width=96,
    height=96,
    fps=8.0,
    num_frames=(8, 8),
    num_scenes=(1, 1),
    frames_per_scene=(1, 1),
    jitter="none",
    sampling=EVERY_FRAME,
)
ADDRESS = Address(task="motion_direction", split="train", index=0, seed=0, level=0)


def scene(image_id: int, *categories: str) -> Scene:
    instances = tuple(Instance(category=name, polygons=SQUARE) for name in categories)
    return Scene(image_id=image_id, path="", captions=("a",), license_id=4, source_url="", instances=instances)


SCENES = (scene(1, *["person"] * 20, "dog"), scene(2, "cat", "orange"), scene(3, "bus", "dog"))


def load(_: Scene) -> Frames:
    image_HWC = np.full((40, 40, 3), 10, np.uint8)
    image_HWC[10:30, 10:20] = (255, 0, 0)
    image_HWC[10:30, 20:30] = (0, 0, 255)
    return image_HWC


def cutout(**changes: object) -> Cutout:
    return Cutout(scene=SCENES[1], instance=SCENES[1].instances[0], **changes)  # type: ignore[arg-type]


def test_categories_are_equally_likely_different_and_not_named_like_a_color() -> None:
    first: Counter[str] = Counter()
    for i in range(400):
        drawn = [one.instance.category for one in choose_cutouts(rng_at("test", i), SCENES, 9)]
        assert sorted(drawn) == ["bus", "cat", "dog", "person"]
        first[drawn[0]] += 1
    assert min(first.values()) > 60, "twenty persons are one category"
    assert {c.instance.category for c in choose_cutouts(rng_at("test"), SCENES, 9, taken={"dog", "cat"})} == {
        "bus",
        "person",
    }


def test_some_actors_become_cut_outs_and_none_without_instances() -> None:
    plain = [choose_actors(rng_at("actors", i), CANVAS, 3) for i in range(200)]
    without = [choose_actors(rng_at("actors", i), CANVAS, 3, scenes=(scene(4),)) for i in range(200)]
    assert plain == without, "scenes without instances change nothing"
    drawn = [choose_actors(rng_at("actors", i), CANVAS, 3, scenes=SCENES) for i in range(200)]
    share = sum(actor.cutout is not None for actors in drawn for actor in actors) / 600
    assert 0.4 < share < 0.6
    for actors in drawn:
        assert len({actor.name for actor in actors}) == 3
        assert all(actor.radius_px >= 12 for actor in actors if actor.cutout is not None)
        for actor in actors:
            with nullcontext() if actor.cutout is None else pytest.raises(Doubt):
                assert color_of(actor.name) == COLORS[actor.color_name]
    assert cutout_radius_px(4.0, 48) == 4.0


def test_no_pixel_of_a_sprite_is_taken_for_a_color_of_the_palette() -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    muted = mute(cube)
    assert muted.min() >= 45 and muted.max() <= 255
    for name, color in COLORS.items():
        assert np.abs(muted - np.array(color)).sum(axis=-1).min() > 80, name


def test_a_sprite_is_pasted_centered_mirrored_and_moves_between_pixels() -> None:
    def paste(x: float, **changes: object) -> Frames:
        frame_HWC = np.zeros((40, 40, 3), np.uint8)
        Sprite.cut(cutout(**changes), 8.0, load).paste(frame_HWC, (x, 20.0))
        return frame_HWC

    plain, mirrored, shifted = paste(20.0), paste(20.0, mirrored=True), paste(20.5)
    red = plain[..., 0] > plain[..., 2] + 20
    rows, columns = np.nonzero(plain.max(axis=-1) > 0)
    assert abs(rows.mean() - 19.5) < 0.6 and abs(columns.mean() - 19.5) < 0.6
    assert 14 <= np.ptp(columns) + 1 <= 20
    assert np.nonzero(red)[1].mean() < 19 < np.nonzero(mirrored[..., 0] > mirrored[..., 2] + 20)[1].mean()
    mass = [frame.sum(axis=(0, 2)) @ np.arange(40) / frame.sum() for frame in (plain, shifted)]
    assert mass[1] - mass[0] == pytest.approx(0.5, abs=0.1)
    Sprite.cut(cutout(), 8.0, load).paste(np.zeros((40, 40, 3), np.uint8), (-30.0, 90.0))  # wholly outside


def plan_with(*actors_cut: bool) -> ScenePlan:
    actors = choose_actors(rng_at("plan"), CANVAS, len(actors_cut))
    kinds = choose_cutouts(rng_at("kinds"), SCENES, 2)
    tracks = []
    for i, (actor, cut) in enumerate(zip(actors, actors_cut, strict=True)):
        given = actor if not cut else replace(actor, radius_px=14.0, cutout=kinds[i])
        tracks.append(to_track(given, np.tile((10.0 * i, 5.0), (4, 1)), wraps=True))
    return ScenePlan(
        address=ADDRESS, width=96, height=96, fps=8.0, num_frames=4, backdrop=Backdrop(), tracks=tuple(tracks)
    )


def test_decoys_stand_still_behind_what_moves_and_are_cut_the_same_way() -> None:
    plain = plan_with(False, False)
    assert add_decoys(plain, SCENES, ADDRESS) is plain
    plan = add_decoys(plan_with(True, True, False), SCENES, ADDRESS)
    decoys, rest = plan.tracks[:2], plan.tracks[2:]
    assert [track.name for track in rest] == [track.name for track in plan_with(True, True, False).tracks]
    assert not {track.name for track in decoys} & {track.name for track in rest}
    for track in decoys:
        assert track.cutout is not None and track.cutout.feather_px > 0
        assert track.radius_px == 14.0
        assert np.ptp(track.xy_T2, axis=0).max() == 0
    frames_THWC = render(plan, load)
    assert (frames_THWC.max(axis=-1) > 40).any()
