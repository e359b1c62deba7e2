"""One rollout engine in a process of its own.

StoredPrompts, groups begun, weights to use → EngineActor → groups, and which weights it really held

Adapters go to an engine that computes them. Any other one gets whole weights, to which they were added here.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from temporay.models.adapters import Adapters
from temporay.models.engines._base import AdapterEngine, Engine
from temporay.models.engines._settings import ENGINES, EngineSettings
from temporay.models.weights import checksum_of_version, in_buckets
from temporay.operators.components import load
from temporay.operators.records import Group, Sampling
from temporay.workflows.rollouts.media import StoredPrompt
from temporay.workflows.rollouts.published_weights import OF_CHECKPOINT, PublishedWeights, pull
from temporay.workflows.rollouts.settings import AUTO, BUCKET_MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Groups and the weights that the engine held while it wrote on them."""

    groups: list[Group]
    version: int
    checksum: int | None  # computed over the bytes that arrived


class EngineActor:
    """One engine. Loaded by a call and not by the constructor, so that its errors reach the caller as they are."""

    def __init__(self, engine: str, model: Path, settings: EngineSettings) -> None:
        self._process = uuid.uuid4().hex
        self._requested = engine
        self._model = model
        self._settings = settings
        self._engine: Engine | None = None
        # Version and checksum of its weights; None: it dropped them, or new ones did not arrive whole.
        self._held: tuple[int, int | None] | None = (OF_CHECKPOINT.version, OF_CHECKPOINT.checksum)
        self._asleep = False
        self._reason = ""

    def ping(self) -> str:
        """Return a name of this process, which no other one has, as soon as it is there."""
        return self._process

    def start(self) -> tuple[str, str]:
        """Load the engine and return its name and why it was chosen."""
        engine = self._started()
        return engine.name, self._reason

    def generate(
        self,
        prompts: Sequence[StoredPrompt],
        sampling: Sampling,
        begun: Sequence[Group | None],
        weights: PublishedWeights,
    ) -> Answer:
        """Write groups on under some weights, which are pulled first if this engine holds others."""
        self.load_weights(weights)
        engine = self._started()
        groups = engine.generate([prompt.load() for prompt in prompts], sampling, begun)
        assert self._held is not None
        return Answer(groups=groups, version=engine.weight_version, checksum=self._held[1])

    def sleep(self, *, keep_weights: bool) -> None:
        """Give back the device's memory; ``load_weights`` takes it again."""
        if not self._asleep:
            self._started().sleep(keep_weights=keep_weights)
            self._held = self._held if keep_weights else None
        self._asleep = True

    def load_weights(self, weights: PublishedWeights) -> None:
        """Pull a version unless this engine holds it, and wake the engine if it sleeps."""
        engine = self._started()
        if self._held == (weights.version, weights.checksum):
            if self._asleep:
                engine.wake_up()
            self._asleep = False
            return
        if not weights.bucket_refs:
            raise RuntimeError(f"version {weights.version} was never published, and the engine holds another")
        self._held = None
        arrived: list[int] = []
        if weights.adapters is None:
            engine.load_weights(pull(weights, arrived), weights.version)
        else:
            factors = {name: tensor for tensors in pull(weights, arrived) for name, tensor in tensors.items()}
            self._load_adapters(Adapters(form=weights.adapters, factors=factors), weights.version)
        self._held, self._asleep = (weights.version, checksum_of_version(arrived)), False

    def _load_adapters(self, adapters: Adapters, version: int) -> None:
        engine = self._started()
        if self._settings.adapters and isinstance(engine, AdapterEngine):
            if adapters.form.base != self._model:
                raise RuntimeError(f"adapters of {adapters.form.base} came to an engine with weights of {self._model}")
            engine.load_adapters(adapters, version)
            return
        whole = adapters.whole_weights(getattr(torch, self._settings.dtype))
        engine.load_weights(in_buckets(whole, BUCKET_MIB << 20), version)

    def _started(self) -> Engine:
        if self._engine is None:
            name, self._reason = choose_engine(self._requested)
            self._engine = load(ENGINES, name)(self._model, self._settings)
        return self._engine


def choose_engine(requested: str) -> tuple[str, str]:
    """Return the engine to use on this machine, and why."""
    if requested != AUTO:
        return requested, "as configured"
    try:
        load(ENGINES, "vllm")
    except ImportError as error:
        return "local", f"vLLM cannot be imported: {error}"
    return "vllm", "vLLM can be imported"
