"""How engines are asked: chunks of clips → frames, decoded once for all arms and questions → engines → rows.

chunk k      prompts of each arm → engines
chunk k + 1  clips → frames, in threads, meanwhile
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from temporay.models.token_lengths import TokenLengths, shapes_alone
from temporay.operators.errors import UserError
from temporay.operators.media import Clips
from temporay.operators.records import Group, Prompt, Sampling
from temporay.operators.scoring.arms import WHOLE_CLIP, Arm
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.workflows.evaluation.kept_rows import KeptRows
from temporay.workflows.evaluation.questions import Questions
from temporay.workflows.rollouts.defaults import Demand
from temporay.workflows.rollouts.media import MediaStore

CHUNK = 64  # prompts in flight at a time; the frames of two chunks are held
ANSWERS, CLIPS = "answers", "waiting for clips"  # parts of the time that asking takes

DecodedClips = dict[int, Clips]  # by number


class Engines(Protocol):
    """What answers: the engines of a pool, or one in this process."""

    processor: Any  # makes prompts for the model's family

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Group]: ...


def _no_log(part: str, seconds: float) -> None:
    """Log nothing."""


async def ask(
    pool: Engines,
    questions: Questions,
    arms: Sequence[Arm],
    sampling: Sampling,
    *,
    kept: KeptRows | None = None,
    share: tuple[int, int] = (0, 1),
    log_seconds: Callable[[str, float], None] = _no_log,
) -> list[EvaluationRow]:
    """Return rows for every question and arm, chunk by chunk. The engines keep whatever weights they hold.

    Args:
        kept: where answered chunks are kept, so that the same call after a kill goes on; None: nowhere.
        share: rank, number of ranks: each asks every so many chunks, and returns the rows of those.
        log_seconds: told how long engines took to answer, and how long they waited for clips.

    Raises:
        UserError: a clip cannot be decoded, or a prompt does not fit the engines.
    """
    if kept and kept.is_whole:
        return kept.whole()
    chunks = chunks_of(questions, max(1, CHUNK // len(arms)))[share[0] :: share[1]]
    found = [kept.of_chunk(n) if kept else None for n in range(len(chunks))]
    missing = [n for n, rows in enumerate(found) if rows is None]
    began, answering_s = time.monotonic(), 0.0
    async for n, clips in clips_ahead(questions, chunks, missing):
        asked = time.monotonic()
        rows = await ask_chunk(pool, questions, chunks[n], clips, arms, sampling)
        answering_s += time.monotonic() - asked
        if kept:
            kept.keep(n, rows)
        found[n] = rows
    log_seconds(ANSWERS, answering_s)
    log_seconds(CLIPS, time.monotonic() - began - answering_s)
    return [row for rows in found for row in rows or ()]


def not_asked(questions: Questions, arms: Sequence[Arm]) -> dict[Arm, dict[str, int]]:
    """Count the questions that arms cannot ask, by arm and reason. Arms that can ask all are not in it.

    Raises:
        UserError: an arm can ask none.
    """
    counts: dict[Arm, dict[str, int]] = {}
    for arm in arms:
        found = [error for i in range(len(questions)) if (error := questions.obstacle(i, arm)) is not None]
        if found and len(found) == len(questions):
            raise UserError(
                f"arm {arm} can ask none of {len(questions)} questions: {found[0].detail} ({found[0].reason}); leave "
                "it out, or give questions for which it means something"
            )
        if found:
            counts[arm] = dict(Counter(error.reason for error in found))
    return counts


def tell_not_asked(counts: Mapping[Arm, Mapping[str, int]]) -> None:
    """Print a line for each arm that cannot ask all questions."""
    for arm, reasons in counts.items():
        print(f"{arm}: not asked of {', '.join(f'{n} ({reason})' for reason, n in reasons.items())}", flush=True)


def demand_of(questions: Questions, arms: Sequence[Arm], sampling: Sampling, lengths: TokenLengths) -> Demand:
    """Return the most that ``ask`` asks of its engines. Whole clips and captions make the longest prompts."""
    longest = [arm for arm in arms if arm in WHOLE_CLIP or arm == "caption_only"]
    prompts = [
        questions.prompt(lengths.processor, i, arm, shapes_alone(questions.media_shown(questions.clip_of(i))))
        for arm in dict.fromkeys(["ordered", *longest])
        for i in range(len(questions))
        if questions.obstacle(i, arm) is None
    ]
    return Demand.of_prompts(
        prompts, lengths, max_tokens=sampling.max_tokens, num_prompts=CHUNK, num_rollouts=sampling.num_rollouts
    )


def chunks_of(questions: Questions, size: int) -> list[list[int]]:
    """Cut all questions into chunks. Those about one clip stay together, so that it is decoded once."""
    chunks: list[list[int]] = []
    for i in range(len(questions)):
        of_last_clip = i > 0 and questions.clip_of(i) == questions.clip_of(i - 1)
        if not chunks or (len(chunks[-1]) >= size and not of_last_clip):
            chunks.append([])
        chunks[-1].append(i)
    return chunks


async def clips_ahead(
    questions: Questions, chunks: Sequence[Sequence[int]], wanted: Sequence[int]
) -> AsyncIterator[tuple[int, DecodedClips]]:
    """Yield the clips of the wanted chunks; those of the next one are decoded in threads meanwhile."""

    def decode(chunk: int) -> DecodedClips:
        clips = sorted({questions.clip_of(i) for i in chunks[chunk]})
        return dict(zip(clips, MediaStore().decode(questions.frames_shown, clips), strict=True))

    following = asyncio.create_task(asyncio.to_thread(decode, wanted[0])) if wanted else None
    for n, chunk in enumerate(wanted):
        assert following is not None
        clips = await following
        following = asyncio.create_task(asyncio.to_thread(decode, wanted[n + 1])) if n + 1 < len(wanted) else None
        yield chunk, clips


async def ask_chunk(
    pool: Engines,
    questions: Questions,
    chunk: Sequence[int],
    clips: DecodedClips,
    arms: Sequence[Arm],
    sampling: Sampling,
) -> list[EvaluationRow]:
    """Return the rows of a chunk, arm by arm. All prompts go to the engines at once."""
    cells = [(arm, i) for arm in arms for i in chunk if questions.obstacle(i, arm) is None]
    prompts = [questions.prompt(pool.processor, i, arm, clips[questions.clip_of(i)]) for arm, i in cells]
    groups = await pool.generate(prompts, sampling) if prompts else []
    return [
        replace(questions.row(i, arm, rollout), answer=n)
        for (arm, i), group in zip(cells, groups, strict=True)
        for n, rollout in enumerate(group.rollouts)
    ]


def greedy(max_tokens: int) -> Sampling:
    """Return how one answer is written that is the same in every call."""
    return Sampling(num_rollouts=1, temperature=0.0, max_tokens=max_tokens, seed=0)
