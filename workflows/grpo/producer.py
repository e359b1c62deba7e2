"""How a batch of GRPO comes to be: prompts are chosen, answered, scored, and refilled until enough carry a signal.

    cursor → chosen prompts (each clip decoded once) → groups (engines) → scores (reward tasks)
           → flat groups replaced by further prompts, ``max_refills`` times → advantages → RUN/rollouts → Produced

Everything a batch depends on is in ``RunState``, which is stored with the batch. A run that resumes finds batches it
had already made, trains on those, and goes on from where they end.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

from temporay.models.chat import to_prompt
from temporay.operators.dataset.opening import Samples, frames_needed
from temporay.operators.errors import UserError
from temporay.operators.media import Clips
from temporay.operators.records import Group, Outcome, Prompt, Sample, Sampling, ScoredGroup
from temporay.operators.reinforcement.curriculum import PassRates, level_shares
from temporay.operators.reinforcement.prompt_stream import ChosenPrompt, Cursor, PromptStream
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in, write_step
from temporay.operators.rewards._base import is_right
from temporay.operators.scoring.arms import apply_arm
from temporay.operators.seeding import digest
from temporay.workflows.grpo.batches import TrainingBatch, TrainingGroup
from temporay.workflows.grpo.guards import check_usable
from temporay.workflows.grpo.reward_needs import compared_with, prompt_stream
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.grpo.state import AnsweredPrompt, RunState, StageClock
from temporay.workflows.rollouts.media import ClipSource, MediaStore, StoredPrompt
from temporay.workflows.rollouts.pool import Pool
from temporay.workflows.rollouts.reward_tasks import score_groups

SHUFFLED_SHARE = 0.5  # rollouts on shuffled frames for each on ordered ones (Video-R1: 4 for 8)
NUM_SHOWN = 4  # groups of a step whose log-probs under the trainer are kept for the report


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWork:
    """What the batch of a step starts from, and what it takes."""

    step: int
    state: RunState  # before the step
    clock: StageClock = field(default_factory=StageClock)
    media: MediaStore = field(default_factory=MediaStore)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """Chosen prompts, ready to be sent. Lists have one entry per prompt."""

    chosen: list[ChosenPrompt]
    samples: list[Sample]
    frames: list[Clips]
    prompts: list[StoredPrompt]
    cursor: Cursor  # behind them
    work: StepWork  # the step they are for


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """A batch, the whole account of it, and where the run stands after it."""

    groups: tuple[ScoredGroup, ...]  # all that were sampled for the step
    batch: TrainingBatch  # those that are trained on
    state: RunState
    clock: StageClock
    media: dict[str, float]  # decodes per prompt, bytes of frames


@dataclass(slots=True)
class Producer:
    """Makes the batches of a run, or finds them where an earlier call of the same run left them."""

    config: GrpoConfig
    dataset: Samples
    pool: Pool
    stream: PromptStream
    needs_shuffled: bool  # whether a reward compares with rollouts on shuffled frames

    @classmethod
    def open(cls, config: GrpoConfig, dataset: Samples, pool: Pool) -> Self:
        """Set up a producer over the dataset's rows, in pairs when a reward compares twins.

        Raises:
            UserError: a reward needs twins that the data does not have.
        """
        stream, needs_shuffled = prompt_stream(config, dataset), "shuffled" in compared_with(config)
        return cls(config=config, dataset=dataset, pool=pool, stream=stream, needs_shuffled=needs_shuffled)

    def state_before(self, step: int) -> RunState:
        """Read where the run stood before the batch of a step.

        Raises:
            UserError: the rollouts of the step before are missing or damaged.
        """
        if step == 0:
            return RunState()
        return RunState.from_json(read_step(path_of(self.config.out, step - 1)).state)

    async def prepared(self, step: int, state: RunState) -> Prompts | None:
        """Make the first prompts of a step in a thread, while the trainer is at work; None when its batch is there."""
        if self.config.mode == "from_rollouts" or path_of(self.config.out, step).exists():
            return None
        work = StepWork(step=step, state=state)
        return await asyncio.to_thread(self._prompts, work, state.cursor, self.config.prompts_per_step)

    async def batch_of(self, step: int, state: RunState, first: Prompts | None) -> Produced:
        """Return the batch of a step: made of the prompts that ``prepared`` gave and written, or read from its file."""
        folder = self.config.rollouts if self.config.mode == "from_rollouts" else self.config.out
        assert folder is not None
        path = path_of(folder, step)
        if first is not None:
            return await self._make(path, first)
        return await asyncio.to_thread(self._read, path, StepWork(step=step, state=state))

    async def _make(self, path: Path, first: Prompts) -> Produced:
        work, cursor = first.work, first.cursor
        answered = await self.answer(0, first)
        for attempt in range(1, 1 + self.config.max_refills):
            missing = self.config.prompts_per_step - sum(one.outcome == Outcome.TRAINED for one in answered)
            if missing <= 0:
                break
            further = await asyncio.to_thread(self._prompts, work, cursor, missing)
            answered, cursor = answered + await self.answer(attempt, further), further.cursor
        after = self._state_after(work.state, cursor, answered)
        groups = tuple(one.scored(self.config, work.step, after.scales) for one in answered)
        write_step(path, groups, after.to_json())
        return self._produced(work, groups, [one.prompt for one in answered], after)

    def choose(self, cursor: Cursor, rates: PassRates, num_prompts: int) -> tuple[list[ChosenPrompt], Cursor]:
        """Choose the next prompts. A curriculum steers all but its static share by what each level is worth now."""
        curriculum = self.config.curriculum
        if not curriculum.enabled:
            return self.stream.choose(cursor, num_prompts)
        shares = level_shares(self.stream.sizes(), rates, curriculum.floor)
        return self.stream.choose(cursor, num_prompts, shares, curriculum.static_share)

    def _prompts(self, work: StepWork, cursor: Cursor, num_prompts: int) -> Prompts:
        """Make the prompts at the cursor; every clip is decoded here once and nowhere else."""
        with work.clock("prompts"):
            chosen, cursor = self.choose(cursor, work.state.rates, num_prompts)
            samples = [self.dataset.sample(one.row) for one in chosen]
            frames = work.media.decode(partial(frames_needed, self.dataset), [one.row for one in chosen])
            prompts = [
                work.media.put(self._prompt(sample, clip), self.config.group_size, self._source(one.row))
                for one, sample, clip in zip(chosen, samples, frames, strict=True)
            ]
        return Prompts(chosen=chosen, samples=samples, frames=frames, prompts=prompts, cursor=cursor, work=work)

    async def answer(self, attempt: int, given: Prompts) -> list[AnsweredPrompt]:
        """Have prompts answered by the engines and the answers scored."""
        config, samples, work = self.config, given.samples, given.work
        sampling = Sampling(
            num_rollouts=config.group_size,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            segment_tokens=config.segment_tokens,
            seed=digest("rollout", config.seed, work.step, attempt) % 2**31,
        )
        with work.clock("generate"):
            groups = await self.pool.generate(given.prompts, sampling)
            shuffled = await self._shuffled(samples, given.frames, sampling)
        with work.clock("reward"):
            scores = await score_groups(groups, samples, config.rewards, shuffled)
        rows = zip(given.chosen, samples, given.prompts, groups, scores, strict=True)
        return [AnsweredPrompt(chosen=c, sample=s, prompt=p, group=g, scores=r) for c, s, p, g, r in rows]

    async def _shuffled(
        self, samples: Sequence[Sample], frames: Sequence[Clips], sampling: Sampling
    ) -> dict[str, Group]:
        """Sample on shuffled frames, by key, where a reward compares with that; these are never trained on."""
        chosen = [i for i, sample in enumerate(samples) if self.needs_shuffled and sample.order_dependent]
        prompts = [self._prompt(samples[i], apply_arm("shuffled", frames[i], samples[i].address)) for i in chosen]
        fewer = max(1, round(SHUFFLED_SHARE * sampling.num_rollouts))
        groups = await self.pool.generate(prompts, replace(sampling, num_rollouts=fewer))
        return {samples[i].key: group for i, group in zip(chosen, groups, strict=True)}

    def _prompt(self, sample: Sample, clips: Clips) -> Prompt:
        return to_prompt(self.pool.processor, sample, clips, instruction=self.config.instruction)

    def _state_after(self, state: RunState, cursor: Cursor, answered: Sequence[AnsweredPrompt]) -> RunState:
        usable = any(one.outcome != Outcome.UNSCORED for one in answered)
        right = [sum(is_right(r, one.sample) for r in one.group.rollouts) for one in answered]
        pass_rates = [n / max(1, len(one.group.rollouts)) for one, n in zip(answered, right, strict=True)]
        tasks, strata = [one.sample.address.task for one in answered], [one.chosen.stratum for one in answered]
        return RunState(
            cursor=cursor,
            scales=state.scales.updated(tasks, [one.rewards_G for one in answered]),
            rates=state.rates.updated(strata, pass_rates, self.config.curriculum.decay),
            num_unusable=0 if usable else state.num_unusable + 1,
        )

    def _read(self, path: Path, work: StepWork) -> Produced:
        found = read_step(path)
        groups = found.groups
        if self.config.mode == "from_rollouts":  # that run only observed them, this one trains on them
            groups = tuple(
                replace(one, outcome=Outcome.TRAINED) if one.outcome == Outcome.OBSERVED else one for one in groups
            )
        with work.clock("prompts"):
            again = self._prompts_again([one for one in groups if one.outcome == Outcome.TRAINED], work.media)
            prompts = [next(again) if one.outcome == Outcome.TRAINED else None for one in groups]
        return self._produced(work, groups, prompts, RunState.from_json(found.state))

    def _prompts_again(self, scored: Sequence[ScoredGroup], media: MediaStore) -> Iterator[StoredPrompt]:
        samples = [self.dataset.sample(one.row) for one in scored]
        for one, sample in zip(scored, samples, strict=True):
            if sample.key != one.group.key:
                raise UserError(
                    f"the rollouts were sampled from other data: row {one.row} of {self.config.data} is {sample.key}, "
                    f"not {one.group.key}; give the --data they were sampled from"
                )
        frames = media.decode(partial(frames_needed, self.dataset), [one.row for one in scored])
        for one, sample, clip in zip(scored, samples, frames, strict=True):
            yield media.put(self._prompt(sample, clip), len(one.group.rollouts), self._source(one.row))

    def _source(self, row: int) -> ClipSource:
        return ClipSource(data=self.dataset.path.absolute(), row=row, videos=self.config.video_reading.absolute())

    def _produced(
        self, work: StepWork, groups: Sequence[ScoredGroup], prompts: Sequence[StoredPrompt | None], state: RunState
    ) -> Produced:
        details = [score.detail for one in groups for score in one.scores]
        check_usable(state.num_unusable, details, self.config.guards)
        trained = [
            TrainingGroup(prompt=prompt, group=one.group, advantages=one.advantages)
            for one, prompt in zip(groups, prompts, strict=True)
            if one.outcome == Outcome.TRAINED and prompt is not None
        ]
        batch = TrainingBatch(
            weight_version=oldest_version(work.step, groups),
            groups=trained,
            num_shown=NUM_SHOWN if self.config.keeps_rollouts_of(work.step) else 0,
        )
        counted = work.media.counters()
        counted["decodes_per_prompt"] = counted.pop("decodes") / max(1, sum(prompt is not None for prompt in prompts))
        return Produced(groups=tuple(groups), batch=batch, state=state, clock=work.clock, media=counted)


def oldest_version(step: int, groups: Sequence[ScoredGroup]) -> int:
    """Return the oldest weights that wrote on a step's rollouts.

    Raises:
        RuntimeError: they are newer than any the trainer has made. Engines were given another model than it began with.
    """
    version = min((rollout.weight_version for one in groups for rollout in one.group.rollouts), default=step)
    if version > step:
        raise RuntimeError(f"the rollouts of step {step} were written under weights of version {version}")
    return version


def prune(run: Path, *, before: int, keep_every: int) -> None:
    """Delete the rollouts of steps that no checkpoint will ask for again, except every ``keep_every``-th."""
    for step in steps_in(run):
        if step < before and step % keep_every:
            path_of(run, step).unlink()
