"""Each clip is decoded once for all questions and arms, and a killed evaluation goes on with the same rows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.media import Clips, Medium, ShownMedium
from temporay.operators.records import FinishReason, Group, Prompt, Rollout, Sampling
from temporay.operators.scoring.arms import Arm
from temporay.operators.scoring.evaluation import EvaluationRow, read_rows
from temporay.workflows.evaluation.asking import ask, chunks_of, greedy, not_asked, tell_not_asked
from temporay.workflows.evaluation.kept_rows import KeptRows

ARMS: tuple[Arm, ...] = ("ordered", "reversed", "blind")
NUM_CHUNKS = 8  # of 50 clips: 21 questions under three arms, 64 prompts and those that share a clip with them


class ThreeAClip:
    """Three questions about each of some clips, which count how often they are decoded."""

    def __init__(self, num_clips: int, even_only: Sequence[Arm] = ()) -> None:
        self.num_clips, self.even_only = num_clips, even_only
        self.decodes: Counter[int] = Counter()

    def __len__(self) -> int:
        return 3 * self.num_clips

    def clip_of(self, i: int) -> int:
        return i // 3

    def frames_shown(self, clip: int) -> Clips:
        self.decodes[clip] += 1
        return (np.full((2, 2, 2, 3), clip, np.uint8),)

    def media_shown(self, clip: int) -> Sequence[Medium]:
        return [Medium(width=2, height=2, fps=1.0, num_frames=2)]

    def obstacle(self, i: int, arm: Arm) -> SampleRejected | None:
        return SampleRejected("is_odd", "its number is odd") if arm in self.even_only and i % 2 else None

    def prompt(self, processor: Any, i: int, arm: Arm, clips: Clips) -> Prompt:
        (frames_THWC,) = clips
        assert frames_THWC[0, 0, 0, 0] == self.clip_of(i)
        return Prompt(key=str(i), text=f"{i} {arm}", media=(ShownMedium(frames_THWC=frames_THWC, fps=1.0),))

    def row(self, i: int, arm: Arm, rollout: Rollout) -> EvaluationRow:
        return EvaluationRow(key=str(i), task="t", arm=arm, score=1.0, parsed="", text=rollout.text, chance=0.5)


class OneOdd(ThreeAClip):
    """A single question, whose number is odd."""

    def __len__(self) -> int:
        return 1

    def obstacle(self, i: int, arm: Arm) -> SampleRejected | None:
        return super().obstacle(2 * i + 1, arm)


class Echo:
    """Engines that write their prompt, and can be killed at a call."""

    processor: Any = None

    def __init__(self, killed_at: int | None = None) -> None:
        self.killed_at, self.calls = killed_at, 0

    async def generate(self, prompts: Sequence[Any], sampling: Sampling) -> list[Group]:
        if self.calls == self.killed_at:
            raise KeyboardInterrupt
        self.calls += 1
        rollouts = [
            Rollout(
                completion_ids=(1,),
                logprobs=(0.0,),
                text=prompt.text,
                finish_reason=FinishReason.STOP,
                weight_versions=(0,),
            )
            for prompt in prompts
        ]
        return [Group(key=p.key, prompt_ids=(1,), rollouts=(r,)) for p, r in zip(prompts, rollouts, strict=True)]

    async def sleep(self, *, keep_weights: bool) -> None: ...

    async def load_weights(self, weights: Any) -> None: ...

    def counters(self) -> dict[str, float]:
        return {}

    def settings(self) -> dict[str, Any]:
        return {}

    def weight_format(self) -> None: ...


def asked(pool: Echo, questions: ThreeAClip, kept: KeptRows | None = None) -> list[EvaluationRow]:
    return asyncio.run(ask(pool, questions, ARMS, greedy(4), kept=kept))


def test_questions_about_one_clip_stay_in_one_chunk() -> None:
    chunks = chunks_of(ThreeAClip(50), 20)
    assert [i for chunk in chunks for i in chunk] == list(range(150))
    assert {len(chunk) for chunk in chunks[:-1]} == {21}


def test_prompts_of_all_arms_go_to_the_engines_at_once() -> None:
    pool, seconds = Echo(), dict[str, float]()
    rows = asyncio.run(ask(pool, ThreeAClip(50), ARMS, greedy(4), log_seconds=seconds.__setitem__))
    assert len(rows) == 450 and pool.calls == NUM_CHUNKS
    assert seconds.keys() == {"answers", "waiting for clips"} and min(seconds.values()) >= 0


def test_every_clip_is_decoded_once_for_all_arms_and_questions() -> None:
    questions = ThreeAClip(50)
    rows = asked(Echo(), questions)
    assert set(questions.decodes.values()) == {1} and len(questions.decodes) == 50
    assert Counter((row.key, row.arm) for row in rows) == Counter((str(i), arm) for i in range(150) for arm in ARMS)
    assert all(row.text == f"{row.key} {row.arm}" for row in rows)


def test_what_an_arm_cannot_ask_is_counted_and_not_asked(capsys: pytest.CaptureFixture[str]) -> None:
    questions = ThreeAClip(50, even_only=("reversed",))
    counts = not_asked(questions, ARMS)
    assert counts == {"reversed": {"is_odd": 75}}
    tell_not_asked(counts)
    assert capsys.readouterr().out == "reversed: not asked of 75 (is_odd)\n"
    asked_of = Counter(row.arm for row in asked(Echo(), questions))
    assert asked_of == {"ordered": 150, "reversed": 75, "blind": 150}


def test_an_arm_that_can_ask_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"arm reversed can ask none of 1 questions: its number is odd \(is_odd\)"):
        not_asked(OneOdd(1, even_only=("reversed",)), ARMS)


@pytest.mark.parametrize("killed_at", range(NUM_CHUNKS))
def test_a_killed_evaluation_gives_the_same_file(tmp_path: Path, killed_at: int) -> None:
    whole = KeptRows(tmp_path / "whole.jsonl")
    whole.finish(asked(Echo(), ThreeAClip(50), whole))
    again = KeptRows(tmp_path / "again.jsonl")
    with pytest.raises(KeyboardInterrupt):
        asked(Echo(killed_at), ThreeAClip(50), again)
    assert not again.is_whole
    pool = Echo()
    again.finish(asked(pool, ThreeAClip(50), again))
    assert pool.calls == NUM_CHUNKS - killed_at  # chunks that were answered are not asked again
    assert again.path.read_bytes() == whole.path.read_bytes()
    assert read_rows(again.path) == again.whole()
    assert asked(pool, ThreeAClip(50), again) == again.whole()  # killed after the last chunk: nothing is asked again
    assert pool.calls == NUM_CHUNKS - killed_at
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.jsonl", "whole.jsonl"]
