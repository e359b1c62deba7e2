"""Rollout engines in Ray actors: prompts are split over those that live, weights are pulled by version.

    prompts → frames into the object store, once → chunks → engines → groups, in the order of the prompts
                                                      ↑          │
                                                      └──────────┘ cut by ``segment_tokens``, or their engine was lost
    weights → object store → every engine, or whoever comes later, before it serves

Engines may come and go at any time (``roster``); whatever they hold, groups say which weights wrote each token,
and the checksum of those weights is compared with what was published.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import ray
import torch
from ray.exceptions import ObjectLostError, RayActorError
from temporay.models.engines._base import EngineLostError
from temporay.models.engines._tensor_parallel import check_divides
from temporay.models.families._base import family_of
from temporay.operators.errors import UserError, said_by
from temporay.operators.records import Group, Prompt, Sampling
from temporay.workflows.config import to_json
from temporay.workflows.rollouts.actor import Answer, EngineActor
from temporay.workflows.rollouts.adapters import said_of_adapters
from temporay.workflows.rollouts.media import MediaStore, StoredPrompt
from temporay.workflows.rollouts.pool_call import PendingPrompt, PoolCall, accept
from temporay.workflows.rollouts.published_weights import OF_CHECKPOINT, PublishedWeights, WeightFormat
from temporay.workflows.rollouts.roster import EngineRoster, Slot
from temporay.workflows.rollouts.settings import ResolvedPool
from temporay.workflows.rollouts.starting import REFRESH_INTERVAL_S, wait_for_engines

LOST = (RayActorError, ObjectLostError, TimeoutError, EngineLostError)  # engine, node, or answer on the way


class Pool(Protocol):
    """What a loop asks of its engines. ``RolloutPool`` has some."""

    processor: Any  # makes prompts for the model's family

    async def generate(self, prompts: Sequence[Prompt | StoredPrompt], sampling: Sampling) -> list[Group]: ...

    async def sleep(self, *, keep_weights: bool) -> None: ...

    async def load_weights(self, weights: PublishedWeights) -> None: ...

    def counters(self) -> dict[str, float]: ...

    def settings(self) -> dict[str, Any]: ...

    def weight_format(self) -> WeightFormat | None: ...


class NoPool:
    """The engines of a run whose rollouts are there already."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    async def generate(self, prompts: Sequence[Prompt | StoredPrompt], sampling: Sampling) -> list[Group]:
        raise RuntimeError("a run from rollouts asked for new ones")

    async def sleep(self, *, keep_weights: bool) -> None:
        """Do nothing: there is no engine."""

    async def load_weights(self, weights: PublishedWeights) -> None:
        """Load nothing: no engine serves."""

    def counters(self) -> dict[str, float]:
        return {"engines": 0.0}

    def settings(self) -> dict[str, Any]:
        """Return nothing: no engine has any."""
        return {}

    def weight_format(self) -> None:
        """Return nothing: no engine takes weights."""


@dataclass(slots=True)
class RolloutPool:
    """The engines of a run. ``generate`` and ``load_weights`` may overlap: each engine does one thing at a time.

    May be used from one event loop after the other.
    """

    config: ResolvedPool
    engine_name: str
    processor: Any  # makes prompts for the model's family
    roster: EngineRoster
    num_resent: int = 0  # prompts sent again because their engine died or hung
    num_segments: int = 0  # prompts sent to an engine, however often
    _weights: PublishedWeights | None = OF_CHECKPOINT  # None: the next version has not come yet
    _num_further: int = 0  # engines that are not asked for yet

    @classmethod
    def start(cls, config: ResolvedPool, model: Path) -> Self:
        """Ask for the engines, wait for ``num_engines`` of them and print which and why.

        Raises:
            UserError: the model folder is not valid, or its heads do not divide into ``tensor_parallel``.
        """
        model = model.absolute()
        processor = family_of(model).load_processor(model)
        if config.settings.tensor_parallel > 1:
            check_divides(model, config.settings.tensor_parallel)
        remote = ray.remote(EngineActor).options(
            **config.need.actor_options,
            max_restarts=-1,  # the roster counts: a node that leaves is no fault of the engine on it
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(config.threads)}},
        )
        roster = EngineRoster(
            lambda: remote.remote(config.engine, model, config.settings),
            max_restarts=config.max_restarts,
            start_timeout_s=config.call_timeout_s,
        )
        try:
            engine_name = wait_for_engines(roster, config.num_engines, config.need)
        except BaseException:
            roster.close()
            raise
        further = (config.max_engines or config.num_engines) - config.num_engines
        return cls(config=config, engine_name=engine_name, processor=processor, roster=roster, _num_further=further)

    @classmethod
    @contextmanager
    def started(cls, config: ResolvedPool, model: Path) -> Iterator[Self]:
        """Start a pool that is closed at the end of the block."""
        pool = cls.start(config, model)
        try:
            yield pool
        finally:
            pool.close()

    def close(self) -> None:
        """End the engines."""
        self.roster.close()

    def add_engine(self) -> None:
        """Ask for one more engine, which joins as soon as it is up, also in the middle of ``generate``."""
        self.roster.add()

    def _ask_for_further(self) -> None:
        """Ask for the engines beyond ``num_engines``, now that whatever else the run needs has its place."""
        for _ in range(self._num_further):
            self.roster.add()
        self._num_further = 0

    def remove_engine(self) -> None:
        """End one engine after what it is working on; one that is not up yet goes first.

        Raises:
            ValueError: it is the last one.
        """
        self.roster.remove()

    def counters(self) -> dict[str, float]:
        """Return what a step's line says of the engines; all but the first count from the start of the pool."""
        return {
            "engines": len(self.roster.serving()),
            "engines_joined": self.roster.num_joined,
            "engines_left": self.roster.num_left,
            "prompts_resent": self.num_resent,
            "prompts_sent": self.num_segments,
        }

    def settings(self) -> dict[str, Any]:
        """Return the resolved settings as JSON values, for the summary of a run."""
        return to_json(self.config)

    def weight_format(self) -> WeightFormat:
        """Return how a trainer must publish weights for these engines."""
        return WeightFormat(
            dtype=getattr(torch, self.config.settings.dtype),
            bucket_bytes=self.config.weight_bucket_mib << 20,
            of_adapters=said_of_adapters(self.config, self.engine_name),
        )

    async def generate(self, prompts: Sequence[Prompt | StoredPrompt], sampling: Sampling) -> list[Group]:
        """Return one finished group per prompt, in order.

        With ``segment_tokens``, weights that are published meanwhile are used from the next segment on.

        Raises:
            UserError: a prompt does not fit the engine.
            RuntimeError: the engines are gone for good, the same prompts ended them ``max_attempts`` times, or an
                engine held other weights than were published.
        """
        if sampling.segment_tokens is not None and sampling.segment_tokens < 1:
            raise UserError(f"segment_tokens is {sampling.segment_tokens}; give at least 1, or none")
        media = MediaStore()
        stored = [p if isinstance(p, StoredPrompt) else media.put(p, sampling.num_rollouts) for p in prompts]
        self._ask_for_further()
        self.roster.refresh()
        share = -(-len(stored) // max(1, len(self.roster.serving())))
        call = PoolCall(
            sampling=sampling,
            pending=deque(PendingPrompt(place=i, prompt=prompt) for i, prompt in enumerate(stored)),
            chunk_size=max(1, min(self.config.prompts_per_call, share)),
        )
        try:
            while len(call.done) < len(stored):
                self._dispatch(call)
                await self._wait(call)
        finally:
            for task in call.serving:
                task.cancel()
            await asyncio.gather(*call.serving, return_exceptions=True)
        return [call.done[place] for place in range(len(stored))]

    async def sleep(self, *, keep_weights: bool) -> None:
        """Have engines that take turns with the trainer give it their memory; ``load_weights`` wakes them.

        Args:
            keep_weights: they are kept in the host's memory. Otherwise other ones must be loaded next, and wherever
                engines stand, the version before leaves the object store.
        """
        if not keep_weights:
            self._weights = None
        if self.config.placement == "in_turns":
            self.roster.refresh()
            await asyncio.gather(*(self._tell(s, "sleep", keep_weights=keep_weights) for s in self.roster.serving()))

    async def load_weights(self, weights: PublishedWeights) -> None:
        """Wait until every engine that is up has some weights; later ones pull them before serving."""
        self._weights = weights
        self._ask_for_further()
        self.roster.refresh()
        await asyncio.gather(*(self._tell(slot, "load_weights", weights) for slot in self.roster.serving()))

    def _dispatch(self, call: PoolCall) -> None:
        """Give a chunk to every engine that is free."""
        self.roster.refresh()
        busy = {id(slot) for slot in call.serving.values()}
        for slot in self.roster.serving():
            if call.pending and id(slot) not in busy:
                chunk = [call.pending.popleft() for _ in range(min(call.chunk_size, len(call.pending)))]
                call.serving[asyncio.create_task(self._serve(slot, chunk, call))] = slot

    async def _wait(self, call: PoolCall) -> None:
        """Wait until a chunk is done or it is time to look for new engines; faults are raised here."""
        if not call.serving:
            self._check_someone_comes(call)
            await asyncio.sleep(REFRESH_INTERVAL_S)
            return
        call.stuck_since_s = None
        done, _ = await asyncio.wait(call.serving, timeout=REFRESH_INTERVAL_S, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del call.serving[task]
            task.result()

    def _check_someone_comes(self, call: PoolCall) -> None:
        now_s = time.monotonic()
        call.stuck_since_s = call.stuck_since_s or now_s
        if not self.roster.slots:
            fault = self.roster.fault
            why = "" if fault is None else f" (the last one could not be loaded: {said_by(fault)})"
            raise UserError(
                f"no engine is left after {self.config.max_restarts} restarts of each{why}; Ray's logs tell more; if "
                "memory was short, use fewer engines or lower pool.settings.kv_cache_mib"
            ) from fault
        if now_s - call.stuck_since_s > self.config.call_timeout_s:
            raise RuntimeError(f"no engine has been up for {self.config.call_timeout_s:g} s; see `ray status`")

    async def _serve(self, slot: Slot, chunk: Sequence[PendingPrompt], call: PoolCall) -> None:
        """Call one engine once."""
        weights = self._weights
        if weights is None:
            raise RuntimeError("engines were asked for rollouts between two versions of the weights")
        slot.num_in_flight += len(chunk)
        self.num_segments += len(chunk)
        try:
            prompts, begun = [work.prompt for work in chunk], [work.begun for work in chunk]
            answer: Answer = await self._call(slot, "generate", prompts, call.sampling, begun, weights)
        except LOST as error:
            self.num_resent += len(chunk)
            self.roster.lost(slot, error)
            self._send_again(chunk, call, error)
        else:
            self.roster.served(slot)
            accept(answer, weights, chunk, call)
        finally:
            slot.num_in_flight -= len(chunk)
            self.roster.release(slot)

    async def _tell(self, slot: Slot, method: str, *arguments: Any, **named: Any) -> None:
        try:
            await self._call(slot, method, *arguments, **named)
        except LOST as error:
            self.roster.lost(slot, error)  # it pulls the weights with its next prompts

    async def _call(self, slot: Slot, method: str, *arguments: Any, **named: Any) -> Any:
        reference = getattr(slot.actor, method).remote(*arguments, **named)
        try:
            async with asyncio.timeout(self.config.call_timeout_s):
                return await reference
        except (TimeoutError, EngineLostError):
            self.roster.end_process(slot)
            raise

    def _send_again(self, chunk: Sequence[PendingPrompt], call: PoolCall, error: Exception) -> None:
        for work in chunk:
            work.attempts += 1
        call.pending.extendleft(reversed(chunk))
        worst = max(work.attempts for work in chunk)
        if worst >= self.config.max_attempts:
            keys = ", ".join(work.prompt.key for work in chunk if work.attempts == worst)
            raise RuntimeError(f"{worst} engines ended while they answered: {keys}") from error
