"""Presets of ``temporay generate`` and ``temporay plan``."""

from dataclasses import replace
from pathlib import Path

from temporay.operators import components
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.drawn_coco import DrawnScenes
from temporay.operators.dataset.recipe import primitives_of
from temporay.operators.pixels.clip import Codec
from temporay.operators.records import BackdropKind, Lighting, Surface
from temporay.operators.sampling import EVERY_FRAME, FrameSampling
from temporay.workflows.config import replaced
from temporay.workflows.data.generate import GenerateConfig

# The primitives of arXiv 2506.06928 and of arXiv 2603.17693, short-term and long-term.
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
# Where tasks stand in a recipe decides its bytes. These came before the order was by name.
RELATED_MOTION = ("playback_speed", "largest_motion", "time_arrow", "clip_jigsaw", "event_span", "same_moment")
OUT = Path("data")
BACKDROPS: tuple[BackdropKind, ...] = ("flat", "gradient", "noise", "photo")
SURFACES: tuple[Surface, ...] = ("plain", "shaded", "textured", "outlined")
LIGHTINGS: tuple[Lighting, ...] = ("dark", "light")
DARK_AND_PLAIN = {"backdrops": ("flat",), "surfaces": ("plain",), "lightings": ("dark",), "camera_drift": False}
# A quarter of COCO's usual area, with the jitter of arXiv 2506.06928.
PHOTOS = Canvas(
    width=320, height=240, fps=8.0, num_frames=(24, 48), num_scenes=(2, 6), frames_per_scene=(1, 20), jitter="paper"
)
# As in the paper: a model is shown every frame, here by two frames a second, and any number of scenes up to S is as
# likely. Level 1 asks as the paper does.
AS_PUBLISHED = replace(PHOTOS, fps=2.0, sampling=FrameSampling(fps=2.0, max_frames=128), scenes_by_level=False)
# Drawn motion of 3 to 6 seconds, and as much longer as a course needs.
MOTION = Canvas(
    width=448, height=448, fps=8.0, num_frames=(24, 48), num_scenes=(2, 4), frames_per_scene=(8, 16), jitter="none"
)


def quickstart() -> GenerateConfig:
    """Three questions about four scenes, small enough for a tiny model on two cores.

    All need the same reading of the scenes. ``scene_order`` asks for nothing else and teaches it fast. Answers are
    words, so that no letter has to be bound to an option.
    """
    return GenerateConfig(
        out=OUT / "quickstart",
        tasks=("scene_order", "scene_at", "first_last"),
        weights=(0.5, 0.25, 0.25),
        num_samples=4400,
        level=0,
        answer_format="text",
        instruct=False,
        wordings=4,  # a model of a million weights needs longer for all eight
        test_fraction=0.25,
        canvas=Canvas(
            width=48,
            height=48,
            fps=4.0,
            num_frames=(8, 8),
            num_scenes=(4, 4),
            frames_per_scene=(2, 2),
            jitter="paper",
            sampling=EVERY_FRAME,
        ),
        codec=Codec(crf=15, pad_bytes=8192),
        drawn=DrawnScenes(side=48, variants=200, shapes=("circle",)),  # of three it still confuses half
        samples_per_shard=500,
        check_pixels=False,  # recognizing drawn scenes takes eight times as long as making them; a test checks them
    )


def pseudo_video() -> GenerateConfig:
    """Return the best Llama mixture of arXiv 2506.06928: 49,900 of R1 with S = 4, F = 20 and of R3 with S = 6, F = 5.

    In the paper every scene has the size of the video's largest image. Here all share one canvas.
    """
    return GenerateConfig(
        out=OUT / "pseudo-video",
        tasks=("scene_order", "first_last"),
        limits_by_task=(("scene_order", 4, 20), ("first_last", 6, 5)),
        num_samples=99_800,
        level=1,
        canvas=AS_PUBLISHED,
    )


def pseudo_video_qwen() -> GenerateConfig:
    """Return the best Qwen mixture of arXiv 2506.06928: R1 alone, S = 4, F = 5, 100,000 samples."""
    return GenerateConfig(
        out=OUT / "pseudo-video-qwen",
        tasks=("scene_order",),
        num_samples=100_000,
        level=1,
        canvas=replace(AS_PUBLISHED, num_scenes=(2, 4), frames_per_scene=(1, 5)),
    )


def pseudo_video_all() -> GenerateConfig:
    """Return all six kinds of question of arXiv 2506.06928, each as in its comparison of kinds: 100,000, F = 5.

    S is 4 for R1 and R2 and 6 for the others. The paper trains on one kind at a time.
    """
    limits = tuple((task, 4 if task in PSEUDO_VIDEO[:2] else 6, 5) for task in PSEUDO_VIDEO)
    changes = {"tasks": PSEUDO_VIDEO, "limits_by_task": limits, "num_samples": 600_000}
    return replaced(pseudo_video(), {"out": OUT / "pseudo-video-all", **changes})


def pseudo_video_direct() -> GenerateConfig:
    """Return ``pseudo_video`` with targets as in the paper: the answer alone, without a chain of thought."""
    return replaced(pseudo_video(), {"out": OUT / "pseudo-video-direct", "style": "answer_only"})


def synrl() -> GenerateConfig:
    """Return the synthetic fine-tuning set of SynRL (arXiv 2603.17693): 6,700 chains of thought, 18 primitives.

    The paper adds 1,000 real questions with the answer alone: ``temporay.operators.dataset.video_qa`` reads those.
    """
    return GenerateConfig(
        out=OUT / "synrl",
        tasks=SYNRL,
        num_samples=6_700,
        level=2,
        style="detailed",
        canvas=MOTION,
        codec=Codec(crf=18, preset="veryfast"),
        backdrops=BACKDROPS,
        surfaces=SURFACES,
        lightings=LIGHTINGS,
        camera_drift=True,
    )


def synrl_paper() -> GenerateConfig:
    """Return SynRL's own frames: 512 px, 30 frames a second, dark. Its counts and courses are those of level 4."""
    canvas = replace(MOTION, width=512, height=512, fps=30.0, num_frames=(120, 240))
    changes = {"out": OUT / "synrl-paper", "level": 4, "canvas": canvas, **DARK_AND_PLAIN}
    return replaced(synrl(), changes)


def synrl_shell_game() -> GenerateConfig:
    """Return SynRL's hardest task as the paper has it: a grid of 4 x 4, 10 to 15 exchanges, 21 to 31 seconds."""
    canvas = {"canvas.num_frames": (645, 945), "num_samples": 1_000}
    return replaced(synrl_paper(), {"out": OUT / "synrl-shell-game", "tasks": ("shell_game",), **canvas})


def synrl_rl() -> GenerateConfig:
    """SynRL's first round of reinforcement learning: 7,000 samples; none is in the fine-tuning set."""
    return replaced(synrl(), {"out": OUT / "synrl-rl", "split": "rl", "num_samples": 7_000})


def synrl_rl_long() -> GenerateConfig:
    """SynRL's second round: 3,000 samples of double length, one level harder, from another seed than the first."""
    changes = {"out": OUT / "synrl-rl-long", "num_samples": 3_000, "level": 3, "seed": 1, "canvas.num_frames": (48, 96)}
    return replaced(synrl_rl(), changes)


def combined() -> GenerateConfig:
    """Every primitive there is; half of the samples are pseudo-videos, half are drawn motion."""
    known = PSEUDO_VIDEO + SYNRL + RELATED_MOTION
    names = components.available("temporay.operators.primitives")
    ordered = sorted(names, key=lambda name: known.index(name) if name in known else len(known))
    family = {name: primitive.family for name, primitive in primitives_of(tuple(ordered)).items()}
    scenes = tuple(name for name in ordered if family[name] == "pseudo_video")
    motion = tuple(name for name in ordered if family[name] != "pseudo_video")
    return GenerateConfig(
        out=OUT / "combined",
        tasks=scenes + motion,
        weights=(len(motion),) * len(scenes) + (len(scenes),) * len(motion),
        num_samples=20_000,
        level=2,
        style="detailed",
        canvas=PHOTOS,
        rates=(8.0, 12.0, 24.0),
        sizes=((320, 240), (240, 320), (288, 288)),
        backdrops=BACKDROPS,
        surfaces=SURFACES,
        lightings=LIGHTINGS,
        camera_drift=True,
    )
