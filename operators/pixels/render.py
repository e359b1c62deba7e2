"""ScenePlan → frames: backdrop or shots first, then tracks in order, each over those before (painter's algorithm)."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.media import Clips
from temporay.operators.pixels.backdrops import paint_backdrop
from temporay.operators.pixels.cutouts import Sprite
from temporay.operators.pixels.lettering import write_text
from temporay.operators.pixels.looks import paint_with_surface, turn_lightness
from temporay.operators.pixels.shapes import LABEL_SHARE, write_label
from temporay.operators.records import Frames, Scene, ScenePlan, Shot, Surface, Track

TEXT = "text"  # the shape of a track that is its label alone, from the center of the first letter on
BLACK_Y, NO_CHROMA = 16, 128  # black in limited range

ImageLoader = Callable[[Scene], Frames]  # Scene → (H, W, 3) uint8 RGB


def render(plan: ScenePlan, load_image: ImageLoader | None = None) -> Frames:
    """Draw every frame of a plan.

    Args:
        load_image: needed when the plan has shots; gives an image's pixels at any size.

    Returns:
        frames_THWC, uint8 RGB.
    """
    frames_THWC = paint_backdrop(plan.backdrop, plan.num_frames, plan.width, plan.height, load_image)
    for shot in plan.shots:
        if load_image is None:
            raise ValueError("this plan shows images, but no image loader was given")
        _show(frames_THWC, shot, load_image(shot.scene))
    for track in plan.tracks:
        _draw(frames_THWC, track, plan.look.surface, load_image)
    return turn_lightness(frames_THWC) if plan.look.lighting == "light" else frames_THWC


def render_i420(plan: ScenePlan, load_image: ImageLoader | None = None) -> Frames:
    """Render a plan as the encoder takes it: (T, 3 H / 2, W) uint8, planes Y, U and V below each other.

    Shots are warped plane by plane, which is half the samples of RGB and leaves no frame to convert; everything else is
    drawn in RGB and converted.
    """
    if not plan.shots or plan.tracks:
        return to_i420(render(plan, load_image))
    if load_image is None:
        raise ValueError("this plan shows images, but no image loader was given")
    out_TXW = np.empty((plan.num_frames, plan.height * 3 // 2, plan.width), np.uint8)
    for shot in plan.shots:
        fitted = cv2.cvtColor(fit(load_image(shot.scene), plan.width, plan.height), cv2.COLOR_RGB2YUV_I420)
        for offset, affine_23 in enumerate(shot.affine_T23):
            _warp_planes(fitted, affine_23, out_TXW[shot.start_frame + offset])
    return out_TXW


def to_i420(frames_THWC: Frames) -> Frames:
    """Convert RGB frames of even sides to (T, 3 H / 2, W) planes."""
    return np.stack([cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2YUV_I420) for frame_HWC in frames_THWC])


def _warp_planes(source_XW: Frames, affine_23: npt.NDArray[np.float64], out_XW: Frames) -> None:
    """Warp one frame. A chroma sample lies in the middle of four pixels: x = 2 x_chroma + 0.5."""
    width, height = source_XW.shape[1], source_XW.shape[0] * 2 // 3
    turn, shift = affine_23[:, :2], affine_23[:, 2]
    chroma_23 = np.column_stack([turn, (turn @ (0.5, 0.5) + shift - 0.5) / 2])
    out_XW[:height] = cv2.warpAffine(source_XW[:height], affine_23, (width, height), borderValue=BLACK_Y)
    half = (width // 2, height // 2)
    for source, out in zip(_chroma(source_XW), _chroma(out_XW), strict=True):
        out[:] = cv2.warpAffine(source, chroma_23, half, borderValue=NO_CHROMA)


def _chroma(planes_XW: Frames) -> tuple[Frames, Frames]:
    """Return views of U and V, (H / 2, W / 2) each. Each row of the array holds two of their rows."""
    width, height = planes_XW.shape[1], planes_XW.shape[0] * 2 // 3
    flat = planes_XW[height:].reshape(2, height // 2, width // 2)
    return flat[0], flat[1]


def fit(image_HWC: Frames, width: int, height: int) -> Frames:
    """Scale an image to fit inside the frame, centered on black; its aspect ratio is kept."""
    scale = min(width / image_HWC.shape[1], height / image_HWC.shape[0])
    size = (max(1, round(image_HWC.shape[1] * scale)), max(1, round(image_HWC.shape[0] * scale)))
    small = cv2.resize(image_HWC, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = small
    return out


def one_after_another(clips: Clips) -> Frames:
    """Return all media of a sample as one clip of the first one's size, for people and for what looks at one clip.

    Its sides are even, as an encoder needs them.
    """
    height, width = (side + side % 2 for side in clips[0].shape[1:3])
    frames = (one for clip in clips for one in clip)
    return np.stack([one if one.shape[:2] == (height, width) else fit(one, width, height) for one in frames])


def _show(frames_THWC: Frames, shot: Shot, image_HWC: Frames) -> None:
    height, width = frames_THWC.shape[1:3]
    fitted = fit(image_HWC, width, height)
    for offset, affine_23 in enumerate(shot.affine_T23):
        frames_THWC[shot.start_frame + offset] = cv2.warpAffine(fitted, affine_23, (width, height))


def _draw(frames_THWC: Frames, track: Track, surface: Surface, load_image: ImageLoader | None) -> None:
    height, width = frames_THWC.shape[1:3]
    left, top, right, bottom = track.window_px or (0, 0, width, height)
    frames_THWC, width, height = frames_THWC[:, top:bottom, left:right], right - left, bottom - top
    xy_T2 = track.xy_T2 - (left, top)
    shifts = [(dx, dy) for dx in (-width, 0, width) for dy in (-height, 0, height)] if track.wraps else [(0, 0)]
    sprite = None if track.cutout is None else Sprite.cut(track.cutout, track.radius_px, load_image)
    for t, frame_HWC in enumerate(frames_THWC):
        if not track.visible_T[t]:
            continue
        radius_px = track.radius_px * (1.0 if track.scale_T is None else float(track.scale_T[t]))
        for dx, dy in shifts:
            x, y = float(xy_T2[t, 0]) + dx, float(xy_T2[t, 1]) + dy
            if not (-radius_px < x < width + radius_px and -radius_px < y < height + radius_px):
                continue
            if sprite is not None:
                sprite.paste(frame_HWC, (x, y))
            else:
                _paint(frame_HWC, track, t, (x, y), radius_px, surface)


def _paint(
    frame_HWC: Frames, track: Track, t: int, xy: tuple[float, float], radius_px: float, surface: Surface
) -> None:
    red, green, blue = track.color if track.color_T3 is None else track.color_T3[t].tolist()
    if track.shape == TEXT:
        write_text(frame_HWC, track.label, xy, radius_px, (red, green, blue))
        return
    angle_deg = 0.0 if track.angle_deg_T is None else float(track.angle_deg_T[t])
    paint_with_surface(frame_HWC, track.shape, (red, green, blue), xy, radius_px, angle_deg, surface)
    if track.label:
        room_px = radius_px * LABEL_SHARE.get(track.shape, 1.0)
        write_label(frame_HWC, track.label, xy, room_px, (red, green, blue))
