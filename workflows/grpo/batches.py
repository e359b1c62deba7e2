"""What driver and training workers send each other. It loads without torch, for the mailbox between them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from temporay.operators.records import Group
from temporay.workflows.rollouts.media import StoredPrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingGroup:
    """The rollouts of a prompt, with what each is worth."""

    prompt: StoredPrompt  # frames stay where the engines read them
    group: Group
    advantages: Sequence[float | None]  # None: not trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingBatch:
    """Whole prompt groups with a reason to be trained on."""

    weight_version: int  # every token was sampled under these weights or newer ones
    groups: list[TrainingGroup]
    num_shown: int = 0  # first groups whose log-probs under the trainer are reported, for people to look at

    def without_frames(self) -> Self:
        """Return the same batch, which holds no frames in the object store that can be decoded again."""
        groups = [dataclasses.replace(one, prompt=one.prompt.without_frames()) for one in self.groups]
        return dataclasses.replace(self, groups=groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateReport:
    """What the workers report of a batch."""

    metrics: dict[str, float]
    trained: tuple[str, ...] = ()  # keys of the groups in the updates, a key as often as its group was there
    logprobs: dict[str, list[list[float]]] = field(default_factory=dict)  # by key: for each rollout, by token
    publish_s: float = 0.0  # in which the workers published the weights that the batch led to
    publish_bytes: int = 0  # of these weights, in the object store
