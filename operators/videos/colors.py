"""A decoded frame as an ordinary screen shows it: bright light is toned down, and what is transparent is black.

High dynamic range codes light up to 1,000 nits and more (ITU-R BT.2100). Its codes, taken as ordinary ones, give a gray
picture. Here they become light; what is above an ordinary white is rolled off (BT.2390-11, 5.4.1), with the hue kept.
"""

from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorTrc
from temporay.operators.records import Frames

WHITE_NITS = 203.0  # of an ordinary picture beside a bright one (ITU-R BT.2408)
PEAK_NITS = 1000.0  # what is brighter is white
DEEPEST_CODE = 65_535  # of 16 bits
# Light of the primaries of BT.2020 → of BT.709 (ITU-R BT.2087).
TO_ORDINARY_RGB = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
LUMA = np.array([0.2627, 0.6780, 0.0593])  # of the primaries of BT.2020
# Decoders of transparency, which WebM keeps as a second picture and FFmpeg's own decoders leave out.
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}

Light = npt.NDArray[np.float64]


def decoder_of(stream: Any) -> Any:
    """Return what decodes a stream with all that it shows, in one thread."""
    name = ALPHA_DECODERS.get(stream.codec_context.name)
    decoder = stream.codec_context
    if name is not None and stream.metadata.get("alpha_mode") == "1":
        decoder = av.CodecContext.create(name, "r")
    decoder.thread_count = 1
    return decoder


def rgb_of(frame: Any, size: tuple[int, int]) -> Frames:
    """Return the pixels of a frame, scaled to a width and height: frame_HWC uint8 RGB."""
    if frame.color_trc == ColorTrc.SMPTE2084:
        return _toned_down(pq_light(_codes(frame, size)))
    if frame.color_trc == ColorTrc.ARIB_STD_B67:
        return _toned_down(hlg_light(_codes(frame, size)))
    if any(component.is_alpha for component in frame.format.components):
        rgba_HWC = frame.to_ndarray(format="rgba", threads=1).astype(np.uint16)
        rgb_HWC = ((rgba_HWC[..., :3] * rgba_HWC[..., 3:] + 127) // 255).astype(np.uint8)
    else:
        rgb_HWC = frame.to_ndarray(format="rgb24", threads=1)
    return np.asarray(_scaled(rgb_HWC, size), np.uint8)


def pq_light(codes: Light) -> Light:
    """Return the light in nits of codes from 0 to 1 (SMPTE ST 2084)."""
    root = codes ** (32 / 2523)
    light: Light = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return np.asarray(10_000 * light ** (16384 / 2610))


def pq_codes(nits: Light) -> Light:
    """Return the codes of light, as ``pq_light`` reads them."""
    root = (nits / 10_000) ** (2610 / 16384)
    return np.asarray(((3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)) ** (2523 / 32))


def hlg_light(codes_HWC: Light) -> Light:
    """Return the light in nits, on a screen of ``PEAK_NITS``, of codes from 0 to 1 (ARIB STD-B67)."""
    bright = (np.exp((codes_HWC - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene_HWC = np.where(codes_HWC <= 0.5, codes_HWC**2 / 3, bright)
    luma_HW1 = np.maximum(scene_HWC @ LUMA, 1e-6)[..., None]
    return np.asarray(PEAK_NITS * scene_HWC * luma_HW1**0.2)


def _codes(frame: Any, size: tuple[int, int]) -> Light:
    return np.asarray(_scaled(frame.to_ndarray(format="rgb48le", threads=1), size) / DEEPEST_CODE)


def _toned_down(nits_HWC: Light) -> Frames:
    brightest_HW1 = np.clip(nits_HWC.max(axis=-1, keepdims=True), 1e-3, None)
    gain_HW1 = pq_light(_rolled_off(pq_codes(brightest_HW1))) / brightest_HW1
    light_HWC = np.clip((nits_HWC * gain_HW1 / WHITE_NITS) @ TO_ORDINARY_RGB.T, 0, 1)
    codes_HWC = np.where(light_HWC <= 0.0031308, 12.92 * light_HWC, 1.055 * light_HWC ** (1 / 2.4) - 0.055)  # sRGB
    return np.asarray(np.rint(255 * codes_HWC), np.uint8)


def _rolled_off(codes: Light) -> Light:
    """Map codes of light up to ``PEAK_NITS`` to ones up to ``WHITE_NITS``: straight below a knee, a cubic above it."""
    white, peak = pq_codes(np.array([WHITE_NITS, PEAK_NITS]))
    top, e1 = white / peak, np.minimum(codes / peak, 1)
    knee = 1.5 * top - 0.5
    t = (e1 - knee) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * top
    return np.asarray(peak * np.where(e1 < knee, e1, curve))


def _scaled(frame_HWC: Any, size: tuple[int, int]) -> Any:
    height, width, _ = frame_HWC.shape
    if (width, height) == size:
        return frame_HWC
    shrinks = size[0] <= width and size[1] <= height
    return cv2.resize(frame_HWC, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
