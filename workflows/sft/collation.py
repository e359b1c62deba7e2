"""Steps as the model takes them: clips of a step → micro-batches, made by a thread of the worker while it trains."""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
import torch
from temporay.models.chat import answer_tokens, num_opening_tokens, to_prompt, to_target
from temporay.models.collate import Batch, collate_samples
from temporay.models.families._base import Family
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.media import Clips
from temporay.operators.records import Prompt, Sample
from temporay.workflows.learner.ahead import ahead
from temporay.workflows.sft.clips import LoadedClip, RankSteps, clips_by_step
from temporay.workflows.sft.mixture import Mixture
from temporay.workflows.sft.schedule import Numbers, Pass
from temporay.workflows.sft.settings import SftSettings
from temporay.workflows.sft.unread import UnreadSample

PREFETCH_STEPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatches:
    """One rank's micro-batches of a step, and which of their samples weigh nothing."""

    batches: list[Batch]
    unread: tuple[UnreadSample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collate:
    """Rows and their frames → micro-batches, in the training worker."""

    family: Family
    processor: Any
    mixture: Mixture
    tokens_N: Numbers  # by row of the mixture; a collated row must have as many
    settings: SftSettings
    pin: bool = False  # whether a GPU copies the batches
    lock: Lock  # held while the processor is used: a fast tokenizer must not be called from two threads

    def step(self, loaded: Sequence[LoadedClip], passes: Sequence[Pass]) -> StepBatches:
        """Make the micro-batches of one step from its clips, which come pass by pass.

        Raises:
            UserError: a dataset cannot be read.
        """
        for clip in loaded:
            if isinstance(clip.fault, UserError):
                raise UserError(f"{self._name(clip.row)} cannot be read ({clip.fault})") from clip.fault
        unread = {
            clip.row: UnreadSample(row=clip.row, reason=clip.fault.reason, detail=clip.fault.detail)
            for clip in loaded
            if isinstance(clip.fault, SampleRejected)
        }
        frames = iter([self._black(clip.row) if clip.row in unread else clip.frames or () for clip in loaded])
        batches = [self.batch(one, [next(frames) for _ in one.rows], unread.keys()) for one in passes]
        batches = [batch.pinned() for batch in batches] if self.pin else batches
        return StepBatches(batches=batches, unread=tuple(unread.values()))

    def batch(self, one: Pass, frames: Sequence[Clips], unread: Set[int] = frozenset()) -> Batch:
        """Collate one pass with the frames of its rows; none make a blind prompt.

        Args:
            unread: rows that weigh nothing, because their frames are not their own.

        Raises:
            RuntimeError: a row has another number of tokens than was counted.
        """
        samples = [self.settings.as_taught(self.mixture.sample(row)) for row in one.rows]
        prompts = [self._prompt(sample, clips) for sample, clips in zip(samples, frames, strict=True)]
        with self.lock:
            targets = [to_target(prompt, sample) for prompt, sample in zip(prompts, samples, strict=True)]
            batch = collate_samples(self.family, self.processor, prompts, targets)
            for b, row in enumerate(one.rows):
                if self.settings.learns_form_only(self.mixture.sample(row)):
                    batch.completion_mask_BT[b, answer_tokens(self.processor.tokenizer, prompts[b], samples[b])] = 0.0
        for row, shown, num_tokens in zip(one.rows, frames, batch.lengths_R, strict=True):
            if shown and num_tokens != self.tokens_N[row]:
                raise RuntimeError(
                    f"{self._name(row)} has {num_tokens} tokens and was counted as {self.tokens_N[row]}; its "
                    f"frames are {', '.join(str(clip.shape) for clip in shown)}, or counting is wrong"
                )
        for b, row in enumerate(one.rows):
            if row in unread:
                batch.completion_mask_BT[b] = 0.0
        if one.is_blank:
            return replace(batch, completion_mask_BT=torch.zeros_like(batch.completion_mask_BT))
        return batch

    def num_opening_tokens(self, sample: Sample) -> int:
        """Count the tokens by which the target of a sample, as it is taught, begins to reason or to answer."""
        with self.lock:
            return num_opening_tokens(self.processor.tokenizer, self._prompt(sample, ()), sample)

    def _prompt(self, sample: Sample, clips: Clips) -> Prompt:
        return to_prompt(self.processor, sample, clips, instruction=self.settings.instruction_for(sample))

    def _black(self, row: int) -> Clips:
        """Return frames of a sample's shapes: every rank's passes must have a video, of as many tokens as planned."""
        return tuple(np.zeros(medium.shape, np.uint8) for medium in self.mixture.sample(row).media)

    def _name(self, row: int) -> str:
        return f"{self.mixture.sample(row).key} of {self.mixture.path(row)}"


def collated_steps(
    blocks: Iterable[list[LoadedClip]], steps: RankSteps, collate: Collate
) -> Iterator[tuple[int, StepBatches]]:
    """Yield step numbers and micro-batches, one step after the other; the next ones are collated meanwhile."""
    by_step = clips_by_step(blocks, steps)
    return ahead(((step, collate.step(loaded, steps.passes(step))) for step, loaded in by_step), PREFETCH_STEPS)
