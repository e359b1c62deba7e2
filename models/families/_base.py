"""What temporay needs to know about a model family; one file per family, found by the checkpoint's ``model_type``.

Shapes: N vision patches of all videos together, V videos.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from operators.records import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompts:
    """Prompts as the model takes them. Ids are ragged lists: padding belongs to the collator."""

    prompt_ids: tuple[tuple[int, ...], ...]  # one row per prompt, video markers expanded
    video_tensors: dict[str, torch.Tensor]  # e.g. pixel_values_videos (N, D), video_grid_thw (V, 3); empty when blind


class Family(ABC):
    """Loading, prompt encoding and layer structure of one model family."""

    model_types: ClassVar[tuple[str, ...]]  # values of config.json's ``model_type``

    @abstractmethod
    def load_model(self, path: Path, dtype: torch.dtype) -> nn.Module:
        """The policy with its weights, on the CPU. Only safetensors are read."""

    @abstractmethod
    def load_processor(self, path: Path) -> Any:
        """Tokenizer, chat template and video processor, as transformers' ``AutoProcessor`` gives them."""

    @abstractmethod
    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> EncodedPrompts:
        """Exactly the ids and tensors the processor makes, for all prompts in one call."""

    @abstractmethod
    def token_types(self, processor: Any, input_ids_BL: torch.Tensor) -> dict[str, torch.Tensor]:
        """Inputs the forward pass derives from ids, e.g. ``mm_token_type_ids``; empty when there are none."""

    @abstractmethod
    def shard_blocks(self, model: nn.Module) -> list[nn.Module]:
        """Modules that FSDP2 wraps one by one, inner ones first; the root is wrapped by the caller."""

    @abstractmethod
    def banned_token_ids(self, processor: Any) -> tuple[int, ...]:
        """Tokens a policy must never sample: media placeholders."""
