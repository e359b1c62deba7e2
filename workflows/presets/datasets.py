"""Named datasets of ``temporay generate``: each a function that returns a whole config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from operators.clip import Codec
from operators.primitives._base import Canvas
from operators.sources.drawn_scenes import DrawnScenes
from workflows.generate import GenerateConfig

PSEUDO_VIDEO = ("scene_order", "before_after", "first_last", "adjacent_scene", "scene_count", "scene_at")
DRAWN_MOTION = ("bounce_count", "motion_direction", "speed_perception", "acceleration", "event_order", "shell_game")
OUT = Path("data")


def quickstart() -> GenerateConfig:
    """Small clips that a tiny model reads: drawn motion and drawn scenes, 48 x 48 px."""
    return GenerateConfig(
        out=OUT / "quickstart",
        tasks=("motion_direction", "first_last"),
        num_samples=512,
        level=0,
        canvas=Canvas(
            width=48, height=48, fps=8.0, num_frames=(8, 8), num_scenes=(2, 2), frames_per_scene=(4, 4), jitter="smooth"
        ),
        codec=Codec(crf=10, preset="veryfast"),
        drawn=DrawnScenes(side=48, variants=24),
    )


def pseudo_video() -> GenerateConfig:
    """The best Llama mixture of arXiv 2506.06928, at equal parts: R1 and R3 over up to 4 scenes of up to 20 frames.

    The paper trains on 49,900 of each with S = 4, F = 20 for R1 and S = 6, F = 5 for R3. Here S = 4, F = 20 for both;
    the other four tasks are a ``--tasks`` away.
    """
    return GenerateConfig(
        out=OUT / "pseudo-video",
        tasks=("scene_order", "first_last"),
        num_samples=99_800,
        level=1,
        canvas=photo_canvas(),
    )


def pseudo_video_all() -> GenerateConfig:
    """All six kinds of question of arXiv 2506.06928, alike."""
    return pseudo_video().model_copy(update={"out": OUT / "pseudo-video-all", "tasks": PSEUDO_VIDEO})


def synrl() -> GenerateConfig:
    """Drawn motion at the size of SynRL's synthetic fine-tuning set (arXiv 2603.17693): 6,700 samples."""
    return GenerateConfig(
        out=OUT / "synrl",
        tasks=DRAWN_MOTION,
        num_samples=6_700,
        level=2,
        style="detailed",
        canvas=Canvas(
            width=448,
            height=448,
            fps=8.0,
            num_frames=(24, 48),
            num_scenes=(2, 4),
            frames_per_scene=(8, 16),
            jitter="none",
        ),
        codec=Codec(crf=18, preset="veryfast"),
    )


def combined() -> GenerateConfig:
    """Pseudo-videos and drawn motion, half and half."""
    weights = (len(DRAWN_MOTION),) * len(PSEUDO_VIDEO) + (len(PSEUDO_VIDEO),) * len(DRAWN_MOTION)
    return GenerateConfig(
        out=OUT / "combined",
        tasks=PSEUDO_VIDEO + DRAWN_MOTION,
        weights=weights,
        num_samples=20_000,
        level=2,
        canvas=photo_canvas(),
    )


def photo_canvas() -> Canvas:
    return Canvas(
        width=320, height=240, fps=8.0, num_frames=(16, 32), num_scenes=(2, 4), frames_per_scene=(1, 20), jitter="paper"
    )


PRESETS: dict[str, Callable[[], GenerateConfig]] = {
    "quickstart": quickstart,
    "pseudo-video": pseudo_video,
    "pseudo-video-all": pseudo_video_all,
    "synrl": synrl,
    "combined": combined,
}
