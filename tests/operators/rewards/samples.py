"""Samples of real primitives, and completions of them, for the tests of rewards."""

from itertools import product

from temporay.operators.canvas import Canvas
from temporay.operators.components import load
from temporay.operators.dataset.rows import make_sample
from temporay.operators.pixels.shapes import EASY_COLORS, EASY_SHAPES
from temporay.operators.primitives._base import Style
from temporay.operators.records import Address, FinishReason, Group, Rollout, Sample, Scene

CANVAS = Canvas(
    width=96, height=96, fps=8.0, num_frames=(24, 32), num_scenes=(2, 4), frames_per_scene=(2, 4), jitter="none"
)

SCENES = tuple(
    Scene(image_id=i, path="", captions=(f"a {color} {shape}",), license_id=None, source_url="")
    for i, (color, shape) in enumerate(product(EASY_COLORS, EASY_SHAPES))
)
MAX_TOKENS = 16_384


def real_sample(task: str, *, index: int = 0, level: int = 2, twin: bool = False, style: Style = "detailed") -> Sample:
    """A question of any primitive, with its event log and chain of thought."""
    primitive = load("temporay.operators.primitives", task)()
    plan = primitive.plan(SCENES, CANVAS, Address(task=task, split="rl", index=index, seed=0, level=level, twin=twin))
    return make_sample(primitive, plan, style)


def wrong_letter(sample: Sample) -> str:
    return "ABCDEFGHIJ"[(sample.question.answer_index + 1) % len(sample.question.options)]


def rollout(text: str) -> Rollout:
    """A completion whose tokens are its bytes, as many as one may have."""
    ids = tuple(text[:MAX_TOKENS].encode("utf-8", "surrogatepass"))
    return Rollout(
        completion_ids=ids,
        logprobs=(0.0,) * len(ids),
        text=text,
        finish_reason=FinishReason.STOP,
        weight_versions=(0,) * len(ids),
    )


def group_of(sample: Sample, *texts: str) -> Group:
    return Group(key=sample.key, prompt_ids=(), rollouts=tuple(rollout(text) for text in texts))
