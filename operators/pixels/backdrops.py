"""What lies behind drawn shapes: flat, gradient, noise or a dimmed photograph, over which the camera may drift.

A generator of its own chooses it after the plan, so it cannot depend on the truth. Photographs are dimmed and grayed,
so that no pixel of them has a color of the palette.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from temporay.operators.pixels.shapes import BACKGROUND_LEVELS
from temporay.operators.records import Address, Backdrop, BackdropKind, Frames, Scene, ScenePlan
from temporay.operators.seeding import rng_at

MAX_DRIFT = 0.3  # parts of the frame's side in the whole clip
NOISE_CELLS = 12  # blobs along the frame's longer side
NOISE_LEVELS = 22  # standard deviation
PHOTO_GAIN, PHOTO_SATURATION = 0.4, 0.35


def dress(
    plan: ScenePlan, kinds: Sequence[BackdropKind], drifts: bool, scenes: Sequence[Scene], address: Address
) -> ScenePlan:
    """Put a plan before one of these backdrops. Plans that show images are left as they are.

    Args:
        scenes: photographs to choose from, needed when ``kinds`` has "photo".
        drifts: the camera may move over the backdrop; shapes keep their place in the frame.
    """
    if plan.shots or (tuple(kinds) == ("flat",) and not drifts):
        return plan
    rng = rng_at(*address.parts(), "backdrop")
    color, end_color = ((int(level),) * 3 for level in rng.integers(*BACKGROUND_LEVELS, 2))
    share = rng.uniform(-MAX_DRIFT, MAX_DRIFT, 2) / max(1, plan.num_frames - 1)
    kind = kinds[int(rng.integers(len(kinds)))]
    scene = scenes[int(rng.integers(len(scenes)))] if kind == "photo" else None
    backdrop = Backdrop(
        kind=kind,
        color=color if kind != "flat" else plan.backdrop.color,
        end_color=end_color,
        seed=int(rng.integers(2**31)),
        scene=scene,
        drift_px=(float(share[0] * plan.width), float(share[1] * plan.height)) if drifts else (0.0, 0.0),
    )
    return replace(plan, backdrop=backdrop)


def paint_backdrop(
    backdrop: Backdrop, num_frames: int, width: int, height: int, load_image: Callable[[Scene], Frames] | None
) -> Frames:
    """Paint the backdrop of every frame: (T, H, W, 3) uint8, fresh memory to draw on."""
    drift = np.array(backdrop.drift_px)
    shifts_T2 = np.rint(np.arange(num_frames)[:, None] * drift - np.minimum(0, (num_frames - 1) * drift)).astype(int)
    margin = shifts_T2.max(axis=0)
    canvas_HWC = _canvas(backdrop, width + int(margin[0]), height + int(margin[1]), load_image)
    if not margin.any():
        return np.repeat(canvas_HWC[None], num_frames, axis=0)
    return np.stack([canvas_HWC[y : y + height, x : x + width] for x, y in shifts_T2])


def _canvas(backdrop: Backdrop, width: int, height: int, load_image: Callable[[Scene], Frames] | None) -> Frames:
    if backdrop.kind == "flat":
        canvas_HWC = np.empty((height, width, 3), np.uint8)
        canvas_HWC[:] = backdrop.color
        return canvas_HWC
    if backdrop.kind == "gradient":
        return _gradient(backdrop, width, height)
    if backdrop.kind == "noise":
        return _noise(backdrop, width, height)
    if load_image is None or backdrop.scene is None:
        raise ValueError("this plan's backdrop is a photograph, but no image loader or no scene was given")
    return _dimmed(load_image(backdrop.scene), width, height)


def _gradient(backdrop: Backdrop, width: int, height: int) -> Frames:
    angle = np.random.default_rng(backdrop.seed).uniform(0, 2 * np.pi)
    x_W, y_H = np.linspace(-0.5, 0.5, width), np.linspace(-0.5, 0.5, height)
    share_HW = np.clip(0.5 + x_W * np.cos(angle) + y_H[:, None] * np.sin(angle), 0, 1)
    start, end = np.array(backdrop.color, float), np.array(backdrop.end_color, float)
    canvas_HWC: Frames = np.rint(start + share_HW[..., None] * (end - start)).astype(np.uint8)
    return canvas_HWC


def _noise(backdrop: Backdrop, width: int, height: int) -> Frames:
    rng = np.random.default_rng(backdrop.seed)
    cell = max(width, height) / NOISE_CELLS
    coarse = rng.normal(0, NOISE_LEVELS, (max(2, round(height / cell)), max(2, round(width / cell)))).astype(np.float32)
    smooth_HW = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    gray_HW = np.clip(np.mean(backdrop.color) + smooth_HW, 0, 90).astype(np.uint8)
    return np.repeat(gray_HW[..., None], 3, axis=2)


def _dimmed(image_HWC: Frames, width: int, height: int) -> Frames:
    """Return the middle of the photograph, dimmed; it fills the frame."""
    scale = max(width / image_HWC.shape[1], height / image_HWC.shape[0])
    size = (max(width, round(image_HWC.shape[1] * scale)), max(height, round(image_HWC.shape[0] * scale)))
    large = cv2.resize(image_HWC, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    cut = large[top : top + height, left : left + width].astype(np.float32)
    gray = cut.mean(axis=2, keepdims=True)
    dimmed_HWC: Frames = (PHOTO_GAIN * (gray + PHOTO_SATURATION * (cut - gray))).astype(np.uint8)
    return dimmed_HWC
