"""Samples of real primitives, and completions of them, for the tests of rewards and scores."""

import functools
from dataclasses import replace

from temporay.operators.canvas import Canvas
from temporay.operators.dataset.rows import make_sample
from temporay.operators.primitives._base import Style
from temporay.operators.records import LETTERS, Address, FinishReason, Group, Question, Rollout, Sample, Score
from temporay.operators.sampling import EVERY_FRAME
from temporay.operators.scoring.scores import WeightedReward, score_group

from tests.operators.primitives.planning import SCENES, make_primitive

CANVAS = Canvas(
    width=96,
    height=96,
    fps=8.0,
    num_frames=(24, 32),
    num_scenes=(2, 4),
    frames_per_scene=(2, 4),
    jitter="none",
    sampling=EVERY_FRAME,
)
MAX_TOKENS = 16_384


@functools.cache  # they are never changed, and planning one takes some ten milliseconds
def real_sample(task: str, *, index: int = 0, level: int = 2, twin: bool = False, style: Style = "detailed") -> Sample:
    """Return a question of any primitive, with its event log and chain of thought."""
    primitive = make_primitive(task)
    plan = primitive.plan(SCENES, CANVAS, Address(task=task, split="rl", index=index, seed=0, level=level, twin=twin))
    return make_sample(primitive, plan, style)


def plain_sample(options: tuple[str, ...], answer_index: int, *, index: int = 0) -> Sample:
    """Return a sample with these options and an empty log."""
    question = Question(text="Which way?", options=options, answer_index=answer_index)
    sample = real_sample("motion_direction", index=index)
    return replace(sample, question=question, rationale="It goes right.", events=(), facts={})


def wrong_letter(sample: Sample) -> str:
    return LETTERS[(sample.question.answer_index + 1) % len(sample.question.options)]


def answered(answer: str, thought: str = "I see.") -> str:
    return f"<think>{thought}</think><answer>{answer}</answer>"


def rollout(text: str) -> Rollout:
    """Return a completion whose tokens are its bytes, up to ``MAX_TOKENS``."""
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


def score_of(text: str | Rollout, sample: Sample, rewards: tuple[WeightedReward, ...]) -> Score:
    """Return the score of one completion alone."""
    one = rollout(text) if isinstance(text, str) else text
    [score] = score_group(replace(group_of(sample), rollouts=(one,)), sample, rewards)
    return score
