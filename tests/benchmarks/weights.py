"""One version of weights from a trainer to engines, whole and bucket by bucket: `make bench-weights` prints the tables.

Trainer and engines are processes that hold real tensors: the trainer float32, an engine bfloat16, as on GPUs. An engine
loads a version by copying it into its model. Nothing is computed.

before: the whole state in float32, CRC-32, one argument of an actor, a second copy there, CRC-32 again, load
after:  what runs use today, from ``publish`` to ``pull``
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
import tyro
from ray._private.internal_api import get_memory_info_reply, get_state_from_address
from temporay.workflows.grpo.mailbox import Mailbox
from temporay.workflows.rollouts.published_weights import PublishedWeights, publish, pull

MIB = 1 << 20
SAMPLE_INTERVAL_S = 0.01
FREEING_S = 3.0
WIDTH, MLP_WIDTH, VOCABULARY = 2048, 6144, 151936  # of Qwen3-VL-2B's text part
REDONE_STEPS = 10


@dataclass(frozen=True)
class Settings:
    engines: tuple[int, ...] = (1, 2, 4)
    repeats: int = 3
    layers: int = 4  # 50 million weights each, beside 311 million of the embedding
    bucket_mib: int = 256
    store_gib: int = 8


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What one version cost, in MiB."""

    store: float  # the most that the object store held, with the version before
    trainer: float  # beyond its weights
    engine: float  # beyond its weights, the most of any engine
    seconds: float


def shapes(layers: int) -> dict[str, tuple[int, ...]]:
    """Return the large tensors of a text part with so many layers; none at all is a small model."""
    if layers == 0:
        return {f"w{i}": (WIDTH, WIDTH) for i in range(2)}
    found: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (VOCABULARY, WIDTH)}
    for layer in range(layers):
        found |= {f"{layer}.{name}.weight": (WIDTH, WIDTH) for name in ("q", "o")}
        found |= {f"{layer}.{name}.weight": (WIDTH // 2, WIDTH) for name in ("k", "v")}
        found |= {f"{layer}.{name}.weight": (MLP_WIDTH, WIDTH) for name in ("gate", "up")}
        found[f"{layer}.down.weight"] = (WIDTH, MLP_WIDTH)
    return found


@contextmanager
def peak_of(measure: Callable[[], float]) -> Iterator[list[float]]:
    """Watch a quantity from a thread; the list holds the first and the largest value once the block has ended."""
    seen, ended = [measure()], threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLE_INTERVAL_S):
            seen.append(measure())

    thread = threading.Thread(target=watch)
    thread.start()
    found: list[float] = []
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found.extend((seen[0], max(seen)))


def own_mib() -> float:
    """Return this process's memory without what it maps from the object store."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def store_mib() -> float:
    """Return what the object store of this machine holds."""
    state = get_state_from_address(ray.get_runtime_context().gcs_address)
    stats = get_memory_info_reply(state).store_stats
    return float(stats.object_store_bytes_used) / MIB


def settled_store_mib() -> float:
    """Return what the object store holds when Ray has freed what nobody refers to, which it does every second."""
    time.sleep(FREEING_S)
    return store_mib()


def crc32(arrays: Mapping[str, np.ndarray[Any, Any]]) -> int:
    crc = 0
    for array in arrays.values():
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return crc


class OldMailbox:
    """Where a version lay before: it puts what it was given into the store again, and keeps it until the next take."""

    def __init__(self) -> None:
        self._packets: dict[int, Any] = {}

    def put(self, step: int, packet: Any) -> None:
        self._packets[step] = ray.put(packet)

    def take(self, step: int) -> list[Any]:
        for old in [known for known in self._packets if known < step]:
            del self._packets[old]
        return [self._packets[step]]


class Trainer:
    """Rank 0, with weights in float32."""

    def __init__(self, layers: int, bucket_mib: int) -> None:
        self._weights = {name: torch.randn(shape) for name, shape in shapes(layers).items()}
        self._bucket_bytes = bucket_mib * MIB

    def before(self, mailbox: Any, step: int) -> float:
        """Publish the old way and return the highest memory."""
        with peak_of(own_mib) as peak:
            state = {name: tensor.clone() for name, tensor in self._weights.items()}  # as gathering does
            arrays = {name: tensor.numpy() for name, tensor in state.items()}
            ray.get(mailbox.put.remote(step, (crc32(arrays), arrays)))
        return peak[1] - peak[0]

    def after(self, mailbox: Any, step: int) -> float:
        """Publish as a run does, unless nobody waits for the step, and return the highest memory."""
        with peak_of(own_mib) as peak:
            if ray.get(mailbox.wants_result.remote(step)):
                weights = publish(
                    ((name, tensor.to(torch.bfloat16)) for name, tensor in self._weights.items()),
                    step,
                    bucket_bytes=self._bucket_bytes,
                    store=lambda bucket: ray.get(mailbox.hold.remote(bucket))[0],
                )
                ray.get(mailbox.put_result.remote(step, None, weights))
        return peak[1] - peak[0]


class Engine:
    """An engine with weights in bfloat16."""

    def __init__(self, layers: int) -> None:
        self._weights = {name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in shapes(layers).items()}

    def before(self, references: Sequence[Any]) -> float:
        with peak_of(own_mib) as peak:
            checksum, arrays = ray.get(references[0])
            if crc32(arrays) != checksum:
                raise RuntimeError("damaged")
            self._load({name: torch.from_numpy(array) for name, array in arrays.items()})
        return peak[1] - peak[0]

    def after(self, weights: PublishedWeights) -> float:
        with peak_of(own_mib) as peak:
            for tensors in pull(weights, []):
                self._load(tensors)
        return peak[1] - peak[0]

    def _load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        for name, tensor in tensors.items():
            self._weights[name].copy_(tensor)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two ways: its actors, and a version that engines hold."""

    name: str
    mailbox: Any
    trainer: Any
    engines: Sequence[Any]
    held: list[Any]

    def taken(self, step: int) -> Any:
        """Take a version from the mailbox."""
        if self.name == "before":
            return ray.get(self.mailbox.take.remote(step))
        return ray.get(self.mailbox.take_result.remote(step))[1]

    def transfer(self, step: int) -> Transfer:
        """Bring one version from the trainer to all engines."""
        settled_store_mib()
        start_s = time.perf_counter()
        with peak_of(store_mib) as store:
            trainer = ray.get(getattr(self.trainer, self.name).remote(self.mailbox, step))
            weights = self.taken(step)
            engines = ray.get([getattr(engine, self.name).remote(weights) for engine in self.engines])
        seconds = time.perf_counter() - start_s
        self.held[:] = [weights]  # as the pool does, for engines that come later
        return Transfer(store=store[1], trainer=trainer, engine=max(engines), seconds=seconds)


@contextmanager
def started(name: str, settings: Settings, num_engines: int, layers: int) -> Iterator[Side]:
    """Start the processes of one way, and end them."""
    mailbox = ray.remote(num_cpus=0)(OldMailbox).remote() if name == "before" else None
    mailbox = mailbox or ray.remote(num_cpus=0, max_concurrency=8)(Mailbox).remote(1)
    trainer = ray.remote(num_cpus=0)(Trainer).remote(layers, settings.bucket_mib)
    engines = [ray.remote(num_cpus=0)(Engine).remote(layers) for _ in range(num_engines)]
    try:
        yield Side(name=name, mailbox=mailbox, trainer=trainer, engines=engines, held=[])
    finally:
        for actor in (mailbox, trainer, *engines):
            ray.kill(actor)
        while store_mib() > 1:
            time.sleep(SAMPLE_INTERVAL_S)


def table_of_transfers(settings: Settings) -> None:
    weights_mib = sum(np.prod(shape) for shape in shapes(settings.layers).values()) * 2 / MIB
    print(f"{weights_mib:.0f} MiB of weights in bfloat16; MiB, medians (ranges) of {settings.repeats}")
    print(f"{'':20}{'store':>24}{'trainer':>24}{'engine':>24}{'seconds':>24}")
    for num_engines in settings.engines:
        for name in ("before", "after"):
            with started(name, settings, num_engines, settings.layers) as side:
                side.transfer(0)  # the first one touches memory for the first time
                found = [side.transfer(1 + i) for i in range(settings.repeats)]
            cells = [
                figures([getattr(one, column) for one in found], digits)
                for column, digits in (("store", 0), ("trainer", 0), ("engine", 0), ("seconds", 1))
            ]
            print(f"{num_engines} engines, {name:9}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def figures(values: Sequence[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table_of_redone_steps(settings: Settings) -> None:
    """Kill the trainer after some steps; another one does them again, and nobody takes them."""
    for name in ("before", "after"):
        with started(name, settings, 1, layers=0) as side:
            for step in range(REDONE_STEPS):
                ray.get(getattr(side.trainer, name).remote(side.mailbox, step))
                side.held[:] = [side.taken(step)]
            at_kill_mib = settled_store_mib()
            ray.kill(side.trainer)
            again = ray.remote(num_cpus=0)(Trainer).remote(0, settings.bucket_mib)
            for step in range(REDONE_STEPS):
                ray.get(getattr(again, name).remote(side.mailbox, step))
            print(
                f"{REDONE_STEPS} steps done again, {name:6}: the store holds {at_kill_mib:.0f} MiB before, "
                f"{settled_store_mib():.0f} MiB after"
            )
            ray.kill(again)


def main() -> None:
    settings = tyro.cli(Settings)
    ray.init(
        num_cpus=2, include_dashboard=False, object_store_memory=settings.store_gib << 30, logging_level=logging.ERROR
    )
    table_of_transfers(settings)
    table_of_redone_steps(settings)
    ray.shutdown()


if __name__ == "__main__":
    main()
