"""Named datasets of ``temporay generate``: each a function that returns a whole config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from temporay.operators.canvas import Canvas
from temporay.operators.pixels.clip import Codec
from temporay.workflows.data.generate import GenerateConfig

PSEUDO_VIDEO = ("scene_order", "before_after", "first_last", "adjacent_scene", "scene_count", "scene_at")
SHORT_TERM = (
    "bounce_count",
    "motion_direction",
    "trajectory_shape",
    "speed_perception",
    "motion_count",
    "attribute_change",
    "rotation",
    "relative_position",
    "acceleration",
    "velocity_ranking",
    "distance_estimation",
    "event_order",
)
LONG_TERM = ("card_stack", "chip_containers", "file_system", "symbol_path", "shell_game", "sliding_puzzle")
SYNRL = SHORT_TERM + LONG_TERM
RELATED_SCENES = ("recurring_scenes", "story_match")
RELATED_MOTION = ("playback_speed", "largest_motion", "time_arrow", "clip_jigsaw", "event_span", "same_moment")
OUT = Path("data")


def quickstart() -> GenerateConfig:
    """What ``temporay run quickstart`` makes and trains on: small clips that a tiny model reads."""
    from temporay.workflows.presets.quickstart import recipe  # imports torch, which the other presets do without

    return GenerateConfig(**dict(recipe()), out=OUT / "quickstart")


def pseudo_video() -> GenerateConfig:
    """The best Llama mixture of arXiv 2506.06928: 49,900 of R1 with S = 4, F = 20 and of R3 with S = 6, F = 5.

    Level 3 is the first that shows six scenes. The paper gives every scene the size of the video's largest image; here
    all share one canvas.
    """
    return GenerateConfig(
        out=OUT / "pseudo-video",
        tasks=("scene_order", "first_last"),
        limits_by_task=(("scene_order", 4, 20), ("first_last", 6, 5)),
        num_samples=99_800,
        level=3,
        canvas=photo_canvas(),
    )


def pseudo_video_qwen() -> GenerateConfig:
    """The best Qwen mixture of arXiv 2506.06928: R1 alone, S = 4, F = 5, 100,000 samples."""
    return GenerateConfig(
        out=OUT / "pseudo-video-qwen",
        tasks=("scene_order",),
        num_samples=100_000,
        level=1,
        canvas=replace(photo_canvas(), num_scenes=(2, 4), frames_per_scene=(1, 5)),
    )


def pseudo_video_all() -> GenerateConfig:
    """All six kinds of question of arXiv 2506.06928, alike."""
    update = {"out": OUT / "pseudo-video-all", "tasks": PSEUDO_VIDEO, "limits_by_task": ()}
    return pseudo_video().model_copy(update=update)


def synrl() -> GenerateConfig:
    """SynRL's synthetic fine-tuning set (arXiv 2603.17693): 6,700 chains of thought over its 18 primitives, alike.

    The paper adds 1,000 real questions with the answer alone: ``temporay.operators.dataset.video_qa`` reads those.
    """
    return GenerateConfig(
        out=OUT / "synrl",
        tasks=SYNRL,
        num_samples=6_700,
        level=2,
        style="detailed",
        canvas=motion_canvas(),
        codec=Codec(crf=18, preset="veryfast"),
        backdrops=("flat", "gradient", "noise", "photo"),
        camera_drift=True,
    )


def synrl_rl() -> GenerateConfig:
    """SynRL's first round of reinforcement learning: 7,000 samples, none of which the fine-tuning set has."""
    return synrl().model_copy(update={"out": OUT / "synrl-rl", "split": "rl", "num_samples": 7_000})


def synrl_rl_long() -> GenerateConfig:
    """SynRL's second round: 3,000 samples of double length, one level harder, from another seed than the first."""
    first = synrl_rl()
    shortest, longest = first.canvas.num_frames
    return first.model_copy(
        update={
            "out": OUT / "synrl-rl-long",
            "num_samples": 3_000,
            "level": first.level + 1,
            "seed": first.seed + 1,
            "canvas": replace(first.canvas, num_frames=(2 * shortest, 2 * longest)),
        }
    )


def combined() -> GenerateConfig:
    """Every kind of question there is; pseudo-videos and drawn motion, half and half."""
    scenes, motion = PSEUDO_VIDEO + RELATED_SCENES, SYNRL + RELATED_MOTION
    weights = (len(motion),) * len(scenes) + (len(scenes),) * len(motion)
    return GenerateConfig(
        out=OUT / "combined",
        tasks=scenes + motion,
        weights=weights,
        num_samples=20_000,
        level=2,
        style="detailed",
        canvas=photo_canvas(),
        backdrops=("flat", "gradient", "noise", "photo"),
        camera_drift=True,
    )


def photo_canvas() -> Canvas:
    """A quarter of COCO's usual area, the paper's jitter."""
    return Canvas(
        width=320, height=240, fps=8.0, num_frames=(24, 48), num_scenes=(2, 6), frames_per_scene=(1, 20), jitter="paper"
    )


def motion_canvas() -> Canvas:
    """Drawn motion of 3 to 6 seconds."""
    return Canvas(
        width=448, height=448, fps=8.0, num_frames=(24, 48), num_scenes=(2, 4), frames_per_scene=(8, 16), jitter="none"
    )


PRESETS: dict[str, Callable[[], GenerateConfig]] = {
    "quickstart": quickstart,
    "pseudo-video": pseudo_video,
    "pseudo-video-qwen": pseudo_video_qwen,
    "pseudo-video-all": pseudo_video_all,
    "synrl": synrl,
    "synrl-rl": synrl_rl,
    "synrl-rl-long": synrl_rl_long,
    "combined": combined,
}
