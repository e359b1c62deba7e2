"""Rollout engines in Ray actors: prompts are split over those that live, weights are pulled by version.

    prompts → chunks → least busy engines → groups, in the order of the prompts
    weights → object store → every engine, or whoever comes later, before it serves

An engine that dies or hangs is started again by Ray, pulls the newest weights, and its prompts are sent once more.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import ray
from pydantic import Field
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayActorError

from models.engines._base import ENGINES, Engine, EngineSettings
from models.families._base import family_of
from models.weights import WeightPacket, unpack
from operators.errors import unknown_name
from operators.plugins import available, load
from operators.records import Group, Prompt, Sampling
from workflows.config import Config

AUTO = "auto"
REVIVE_INTERVAL_S = 0.5


class PoolConfig(Config):
    """How many engines there are and what each gets."""

    engine: str = AUTO  # a name in models/engines or "module:Class"; auto: vllm where it can be imported, else local
    num_engines: int = Field(default=1, ge=1)
    num_cpus: float = Field(default=0.5, ge=0)  # Ray's share per engine; trainer and engines take turns on few cores
    num_gpus: float = Field(default=0.0, ge=0)  # per engine
    # CPU threads of each engine. On busy cores threads wait for each other: with 2 on two shared cores, rollouts of the
    # tiny model came at 600 tokens/s instead of 4,000.
    threads: int = Field(default=1, ge=1)
    prompts_per_call: int = Field(default=64, ge=1)
    call_timeout_s: float = Field(default=1800.0, gt=0)  # an engine that takes longer is ended and started again
    max_restarts: int = Field(default=3, ge=0)  # of each engine
    max_attempts: int = Field(default=3, ge=1)  # times the same prompts are sent before the run fails
    settings: EngineSettings = EngineSettings()


class EngineActor:
    """One engine in a process of its own. Started by a call, so that its errors reach the caller as they are."""

    def __init__(self, engine: str, model: Path, settings: EngineSettings) -> None:
        self._requested = engine
        self._model = model
        self._settings = settings
        self._engine: Engine | None = None
        self._reason = ""

    def start(self) -> tuple[str, str]:
        """Loads the engine; its name and why it was chosen."""
        engine = self._started()
        return engine.name, self._reason

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, version: int, packet_refs: Sequence[Any]
    ) -> list[Group]:
        """Groups under the weights of ``version``, pulled first if this engine holds others."""
        self.load_weights(version, packet_refs)
        return self._started().generate(prompts, sampling)

    def load_weights(self, version: int, packet_refs: Sequence[Any]) -> None:
        """Takes the packet (a list of one reference, so that Ray does not fetch it when it is not needed)."""
        engine = self._started()
        if engine.weight_version == version:
            return
        packet: WeightPacket = ray.get(packet_refs[0])
        if packet.version != version:
            raise RuntimeError(f"asked for weights of version {version}, got those of {packet.version}")
        engine.load_weights(unpack(packet), version)

    def _started(self) -> Engine:
        if self._engine is None:
            name, self._reason = choose_engine(self._requested)
            self._engine = load(ENGINES, name)(self._model, self._settings)
        return self._engine


def choose_engine(requested: str) -> tuple[str, str]:
    """The engine to use on this machine, and why."""
    if requested != AUTO:
        return requested, "as configured"
    try:
        load(ENGINES, "vllm")
    except ImportError as error:
        return "local", f"vLLM cannot be imported: {error}"
    return "vllm", "vLLM can be imported"


@dataclass(slots=True, eq=False)
class Slot:
    """An actor and how many prompts it is working on."""

    actor: Any
    num_in_flight: int = 0


@dataclass(slots=True)
class Chunk:
    """Prompts sent together."""

    first: int  # place of its first prompt among all
    prompts: list[Prompt]
    attempts: int = 0


@dataclass(slots=True)
class RolloutPool:
    """The engines of a run. ``generate`` and ``load_weights`` may overlap: each engine does one thing at a time."""

    config: PoolConfig
    engine_name: str
    processor: Any  # of the model's family, for prompts
    slots: list[Slot]
    num_resent: int = 0  # prompts sent again because their engine died or hung
    _version: int = 0
    _packet_refs: list[Any] = field(default_factory=list)  # none while the engines hold the checkpoint's weights

    @classmethod
    def start(cls, config: PoolConfig, model: Path) -> Self:
        """Starts the engines and prints which and why.

        Raises:
            UserError: the model folder or a setting is not valid.
        """
        if config.engine != AUTO and ":" not in config.engine and config.engine not in available(ENGINES):
            raise unknown_name("engine", config.engine, (AUTO, *available(ENGINES)))
        model = model.absolute()
        processor = family_of(model).load_processor(model)
        remote = ray.remote(EngineActor).options(
            num_cpus=config.num_cpus,
            num_gpus=config.num_gpus,
            max_restarts=config.max_restarts,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(config.threads)}},
        )
        slots = [Slot(remote.remote(config.engine, model, config.settings)) for _ in range(config.num_engines)]
        try:
            started = ray.get([slot.actor.start.remote() for slot in slots])
        except BaseException:
            _kill(slots)
            raise
        counts = Counter(started)
        print("rollouts: " + "; ".join(f"{n} x {name} ({why})" for (name, why), n in counts.items()), flush=True)
        engine_name = "+".join(sorted({name for name, _ in started}))
        return cls(config=config, engine_name=engine_name, processor=processor, slots=slots)

    @classmethod
    @contextmanager
    def started(cls, config: PoolConfig, model: Path) -> Iterator[Self]:
        """A pool that is closed at the end of the block."""
        pool = cls.start(config, model)
        try:
            yield pool
        finally:
            pool.close()

    def close(self) -> None:
        """Ends the engines."""
        _kill(self.slots)
        self.slots = []

    async def generate(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Group]:
        """One group per prompt, in order.

        Raises:
            UserError: a prompt does not fit the engine.
            RuntimeError: the engines are gone for good, or the same prompts ended them ``max_attempts`` times.
        """
        pending = deque(self._chunks(prompts))
        done: dict[int, list[Group]] = {}
        num_chunks = len(pending)
        while len(done) < num_chunks:
            slots = sorted(self.slots, key=lambda slot: slot.num_in_flight)
            if not slots:
                raise RuntimeError(
                    f"no engine is left after {self.config.max_restarts} restarts of each; see Ray's logs"
                )
            workers = [asyncio.create_task(self._drain(slot, pending, done, sampling)) for slot in slots]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
        return [group for first in sorted(done) for group in done[first]]

    async def load_weights(self, version: int, packet: WeightPacket | ray.ObjectRef) -> None:
        """Publishes a version and waits until every engine has it; who starts later pulls it before serving.

        Args:
            packet: a packet, or a reference to one whose owner outlives the next call of this method.
        """
        self._packet_refs = [ray.put(packet) if isinstance(packet, WeightPacket) else packet]
        self._version = version
        await asyncio.gather(*(self._publish(slot) for slot in list(self.slots)))

    def _chunks(self, prompts: Sequence[Prompt]) -> Iterator[Chunk]:
        share = -(-len(prompts) // max(1, len(self.slots)))
        size = max(1, min(self.config.prompts_per_call, share))
        for first in range(0, len(prompts), size):
            yield Chunk(first=first, prompts=list(prompts[first : first + size]))

    async def _drain(self, slot: Slot, pending: deque[Chunk], done: dict[int, list[Group]], sampling: Sampling) -> None:
        """Serves chunks on one engine until none is pending or the engine is gone."""
        while pending:
            chunk = pending.popleft()
            chunk.attempts += 1
            slot.num_in_flight += len(chunk.prompts)
            prompts_ref = ray.put(chunk.prompts)  # frames are written to the object store once, whoever reads them
            try:
                done[chunk.first] = await self._call(
                    slot, "generate", prompts_ref, sampling, self._version, self._packet_refs
                )
                continue
            except (RayActorError, TimeoutError) as error:
                pending.append(chunk)
                self.num_resent += len(chunk.prompts)
                self._check_attempts(chunk, error)
            finally:
                slot.num_in_flight -= len(chunk.prompts)
            if not await self._revive(slot):
                return

    async def _publish(self, slot: Slot) -> None:
        try:
            await self._call(slot, "load_weights", self._version, self._packet_refs)
        except (RayActorError, TimeoutError):
            await self._revive(slot)  # it pulls the weights with its next prompts

    async def _call(self, slot: Slot, method: str, *arguments: Any) -> Any:
        reference = getattr(slot.actor, method).remote(*arguments)
        try:
            async with asyncio.timeout(self.config.call_timeout_s):
                return await reference
        except TimeoutError:
            ray.kill(slot.actor, no_restart=False)
            raise

    async def _revive(self, slot: Slot) -> bool:
        """Waits for Ray to start the engine again; False, and the slot is dropped, when Ray has given up on it."""
        while True:
            try:
                await slot.actor.start.remote()
                return True
            except ActorUnavailableError:
                await asyncio.sleep(REVIVE_INTERVAL_S)
            except ActorDiedError as error:
                print(f"rollouts: an engine is gone for good, {len(self.slots) - 1} left: {error}", flush=True)
                if slot in self.slots:
                    self.slots.remove(slot)
                return False

    def _check_attempts(self, chunk: Chunk, error: Exception) -> None:
        if chunk.attempts >= self.config.max_attempts:
            keys = ", ".join(prompt.key for prompt in chunk.prompts)
            raise RuntimeError(f"{chunk.attempts} engines ended while they answered: {keys}") from error


def _kill(slots: Sequence[Slot]) -> None:
    for slot in slots:
        ray.kill(slot.actor)
