"""Objects cut out of photographs, as sprites that move: polygon → soft mask → pasted at any place, between pixels.

Edges are feathered and decoys that stand still are cut in the same way (2506.06928 proposes moving objects; "Cut, Paste
and Learn", arXiv 1708.01642, on what seams give away), so that a seam says nothing about what moves. Sprites are grayed
a little, so that none of their pixels has a color of the palette. They are lifted, so that dark ones stand out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.pixels.shapes import COLORS
from temporay.operators.records import Address, Cutout, Frames, Instance, Scene, ScenePlan, Track
from temporay.operators.seeding import rng_at

FEATHER_PX = (0.7, 1.6)
# No pixel of a sprite is nearer than 80 (sum over RGB) to a color of the palette, and none is darker than LIFT.
SPRITE_LIFT, SPRITE_GAIN, SPRITE_SATURATION = 50.0, 0.62, 0.55
MIN_RADIUS_PX = 12.0  # half the longer side of a cut-out, on frames whose shorter side is MIN_SIDE_PX or more
MIN_SIDE_PX = 96
MAX_DECOYS = 3


def cutout_radius_px(radius_px: float, side_px: int) -> float:
    """Return half the longer side of a cut-out that replaces a shape of this radius; smaller ones cannot be named."""
    return max(radius_px, MIN_RADIUS_PX) if side_px >= MIN_SIDE_PX else radius_px


def choose_cutouts(
    rng: np.random.Generator, scenes: Sequence[Scene], num_cutouts: int, taken: Collection[str] = ()
) -> list[Cutout]:
    """Choose objects of different categories, each with the same chance; fewer if the scenes hold fewer.

    Categories named like a color are left out: "the orange" may not be an orange circle.

    Args:
        taken: names that are not to be chosen.
    """
    by_category: dict[str, list[tuple[Scene, Instance]]] = {}
    for scene in sorted(scenes, key=lambda scene: scene.image_id):
        for instance in scene.instances:
            by_category.setdefault(instance.category, []).append((scene, instance))
    names = sorted(name for name in by_category if name not in COLORS and name not in taken)
    cutouts = []
    for i in rng.permutation(len(names))[:num_cutouts]:
        choices = by_category[names[i]]
        scene, instance = choices[int(rng.integers(len(choices)))]
        mirrored, feather_px = bool(rng.integers(2)), float(rng.uniform(*FEATHER_PX))
        cutouts.append(Cutout(scene=scene, instance=instance, mirrored=mirrored, feather_px=feather_px))
    return cutouts


def add_decoys(plan: ScenePlan, scenes: Sequence[Scene], address: Address) -> ScenePlan:
    """Add as many cut-outs that stand still behind everything as there are moving ones.

    Plans without cut-outs are left as they are. Decoys come from a generator of their own and a twin's are the same.
    """
    moving = [track for track in plan.tracks if track.cutout is not None]
    if not moving:
        return plan
    rng = rng_at(*address.parts(), "decoys")
    taken = {track.name for track in plan.tracks}
    decoys = [
        Track(
            name=cutout.instance.category,
            shape="cutout",
            color=(0, 0, 0),
            radius_px=like.radius_px,
            xy_T2=np.tile(rng.uniform((0.0, 0.0), (plan.width, plan.height)), (plan.num_frames, 1)),
            visible_T=np.ones(plan.num_frames, np.bool_),
            wraps=True,
            cutout=cutout,
        )
        for cutout, like in zip(choose_cutouts(rng, scenes, min(MAX_DECOYS, len(moving)), taken), moving, strict=False)
    ]
    return replace(plan, tracks=(*decoys, *plan.tracks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """An object's pixels and how much of each shows."""

    rgb_HWC: npt.NDArray[np.float32]
    alpha_HW: npt.NDArray[np.float32]  # 0 to 1

    @classmethod
    def cut(cls, cutout: Cutout, radius_px: float, load_image: Callable[[Scene], Frames] | None) -> Sprite:
        """Cut out the object, its longer side ``2 * radius_px``, with an empty margin for shifts between pixels."""
        if load_image is None:
            raise ValueError("this plan shows a cut-out, but no image loader was given")
        image_HWC = load_image(cutout.scene)
        height, width = image_HWC.shape[:2]
        outlines = [np.array(flat).reshape(-1, 2) * (width, height) for flat in cutout.instance.polygons]
        points = np.concatenate(outlines)
        low, high = points.min(axis=0), points.max(axis=0)
        scale = 2 * radius_px / float(max(high - low))
        size = tuple(int(n) for n in np.ceil((high - low) * scale) + 4)
        matrix = np.array([[scale, 0, 2 - low[0] * scale], [0, scale, 2 - low[1] * scale]])
        rgb = mute(cv2.warpAffine(image_HWC, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        alpha = np.zeros((size[1], size[0]), np.uint8)
        fixed = [np.rint((outline * scale + matrix[:, 2]) * 16).astype(np.int32) for outline in outlines]
        cv2.fillPoly(alpha, fixed, 255, cv2.LINE_AA, 4)
        if cutout.feather_px > 0:
            alpha = cv2.GaussianBlur(cv2.erode(alpha, np.ones((3, 3), np.uint8)), (0, 0), cutout.feather_px)
        if cutout.mirrored:
            rgb, alpha = rgb[:, ::-1], alpha[:, ::-1]
        return cls(
            rgb_HWC=np.ascontiguousarray(rgb, dtype=np.float32),
            alpha_HW=np.ascontiguousarray(alpha, dtype=np.float32) / 255.0,
        )

    def paste(self, frame_HWC: Frames, xy: tuple[float, float]) -> None:
        """Blend the sprite into a frame in place, its middle at ``xy``; parts outside are cut off."""
        height, width = self.alpha_HW.shape
        left, top = xy[0] - width / 2, xy[1] - height / 2
        x0, y0 = int(np.floor(left)), int(np.floor(top))
        shift = np.array([[1, 0, left - x0], [0, 1, top - y0]])
        rgb = cv2.warpAffine(self.rgb_HWC, shift, (width + 1, height + 1), borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpAffine(self.alpha_HW, shift, (width + 1, height + 1))
        x_low, y_low = max(0, -x0), max(0, -y0)
        x_high = min(width + 1, frame_HWC.shape[1] - x0)
        y_high = min(height + 1, frame_HWC.shape[0] - y0)
        if x_low >= x_high or y_low >= y_high:
            return
        part = frame_HWC[y0 + y_low : y0 + y_high, x0 + x_low : x0 + x_high]
        share = alpha[y_low:y_high, x_low:x_high, None]
        part[:] = np.rint(part * (1 - share) + rgb[y_low:y_high, x_low:x_high] * share).astype(np.uint8)


def mute(image_HWC: Frames) -> npt.NDArray[np.float32]:
    """Lift and gray an image a little: (H, W, 3) float32, 0 to 255."""
    rgb = image_HWC.astype(np.float32)
    gray = rgb.mean(axis=2, keepdims=True)
    return np.asarray(SPRITE_LIFT + SPRITE_GAIN * (gray + SPRITE_SATURATION * (rgb - gray)))
