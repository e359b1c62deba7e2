"""The planes that are encoded show what the RGB frames show."""

import numpy as np
from temporay.operators.canvas import Canvas
from temporay.operators.pixels.clip import Codec, decode, encode
from temporay.operators.pixels.render import one_after_another, render, render_i420, to_i420
from temporay.operators.primitives.scenes.scene_order import SceneOrder
from temporay.operators.records import Address, Frames, Scene
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.seeding import rng_at

CANVAS = Canvas(
    width=96,
    height=64,
    fps=8.0,
    num_frames=(8, 8),
    num_scenes=(3, 3),
    frames_per_scene=(2, 3),
    jitter="paper",
    sampling=EVERY_FRAME,
)
SCENES = tuple(
    Scene(image_id=i, path=str(i), captions=(f"{word} alone",), license_id=None, source_url="")
    for i, word in enumerate(("cat", "dog", "bus"))
)


def smooth_picture(scene: Scene) -> Frames:
    coarse = rng_at("picture", scene.image_id).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return np.repeat(np.repeat(coarse, 16, axis=0), 16, axis=1)


def test_planes_are_the_rgb_frames_converted() -> None:
    plan = SceneOrder().plan(SCENES, CANVAS, Address(task="scene_order", split="train", index=0, seed=0, level=0))
    planes_TXW, converted = render_i420(plan, smooth_picture), to_i420(render(plan, smooth_picture))
    assert planes_TXW.shape == converted.shape == (plan.num_frames, 96, 96)
    difference = np.abs(planes_TXW.astype(int) - converted)
    assert difference.mean() < 2.0  # interpolated in another order, and chroma at its own resolution
    assert abs(planes_TXW[:, 64:].astype(float).mean() - converted[:, 64:].mean()) < 0.5


def test_planes_and_rgb_frames_encode_alike() -> None:
    frames_THWC = np.stack([smooth_picture(SCENES[i % 3]) for i in range(4)])
    codec = Codec(crf=10)
    assert encode(frames_THWC, 8.0, codec) == encode(to_i420(frames_THWC), 8.0, codec)
    assert np.abs(decode(encode(to_i420(frames_THWC), 8.0, codec).data).astype(int) - frames_THWC).mean() < 6


def test_media_follow_each_other_in_a_clip_that_can_be_encoded() -> None:
    """It has the first one's size, made even; what has another shape stands in its middle, on black."""
    wide = np.full((1, 21, 32, 3), 200, np.uint8)
    high = np.full((3, 40, 20, 3), 100, np.uint8)
    joined_THWC = one_after_another((wide, high))
    assert joined_THWC.shape == (4, 22, 32, 3)
    assert decode(encode(joined_THWC, 4.0, Codec(pad_bytes=1)).data).shape == joined_THWC.shape
    assert joined_THWC[1:, 11, 16].min() == 100 and joined_THWC[1:, 11, :10].max() == 0
    even = np.zeros((2, 8, 8, 3), np.uint8)
    assert np.array_equal(one_after_another((even,)), even)
