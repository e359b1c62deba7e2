"""Qwen3-VL (``model_type`` qwen3_vl): every pair of frames is a grid of its own behind a timestamp in text.

Architecture and processor: transformers ``models/qwen3_vl``; report arXiv 2511.21631.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from temporay.models.families._base import EncodedPrompts, Family, VisionWork, video_metadata
from temporay.models.families._positions import Positions, position_by, video_cells
from temporay.models.families._vision_attention import attend_in_batches
from temporay.operators.records import Prompt
from torch import nn
from torch.nn import functional as F
from transformers import AutoProcessor, Qwen3VLForConditionalGeneration

FORBIDDEN_LOGIT = -1e4  # its probability is exactly 0 in every float type, and it has no gradient
VIDEO_TOKEN_TYPE = 2  # transformers: 0 text, 1 image, 2 video
MEDIA_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")


class LinearPatchEmbed(nn.Module):
    """The patch embedding as the matrix product it is; parameters keep their names and shapes.

    Stride equals kernel size, so the convolution sees every patch once. As ``Conv3d`` its backward took a third of a
    training step on a CPU.
    """

    def __init__(self, proj: nn.Conv3d) -> None:
        super().__init__()
        self.proj = proj

    def forward(self, patches_ND: torch.Tensor) -> torch.Tensor:
        """(N, D) flattened patches to (N, hidden)."""
        weight = self.proj.weight
        return F.linear(patches_ND.to(weight.dtype), weight.flatten(1), self.proj.bias)


class Qwen3Vl(Family):
    """Dense Qwen3-VL checkpoints of every size, and the tiny one of ``temporay.models.tiny``."""

    model_types: ClassVar[tuple[str, ...]] = ("qwen3_vl",)
    model_class: ClassVar[Any] = Qwen3VLForConditionalGeneration
    video_tensors: ClassVar[tuple[str, ...]] = ("pixel_values_videos", "video_grid_thw")  # of what the processor makes
    vision_tower: ClassVar[tuple[str, ...]] = ("model.visual.",)
    projector: ClassVar[tuple[str, ...]] = ("model.visual.merger.", "model.visual.deepstack_merger_list.")

    def load_model(self, path: Path, dtype: torch.dtype) -> nn.Module:
        """The policy on the CPU; it cannot say media tokens, in training as in generation."""
        model = self.model_class.from_pretrained(
            path, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, local_files_only=True
        )
        visual = model.model.visual
        visual.patch_embed = LinearPatchEmbed(visual.patch_embed.proj)
        attend_in_batches(visual)
        position_by(model.model, self.video_cells)
        forbid_tokens(model.lm_head, self.banned_token_ids(self.load_processor(path)))
        return model.eval()  # type: ignore[no-any-return]

    def load_processor(self, path: Path) -> Any:
        processor = AutoProcessor.from_pretrained(path, local_files_only=True)
        if processor.video_processor.cap_pixels_per_frame is None:
            processor.video_processor.cap_pixels_per_frame = False  # what the engine does; else the default will change
        return processor

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> EncodedPrompts:
        videos = [prompt.frames_THWC for prompt in prompts if prompt.frames_THWC is not None]
        # The processor pads odd clips by appending to frames_indices in place: the lists must be fresh.
        metadata = [video_metadata(prompt) for prompt in prompts if prompt.frames_THWC is not None]
        media = {"videos": videos, "video_metadata": metadata, "do_sample_frames": False} if videos else {}
        encoded = processor(text=[prompt.text for prompt in prompts], padding=False, **media)
        return EncodedPrompts(
            prompt_ids=tuple(tuple(ids) for ids in encoded["input_ids"]),
            video_tensors={name: torch.as_tensor(encoded[name]) for name in self.video_tensors if name in encoded},
        )

    def token_types(self, processor: Any, input_ids_BL: torch.Tensor) -> dict[str, torch.Tensor]:
        """``mm_token_type_ids``; without it the model would take a video for text in silence."""
        return {"mm_token_type_ids": (input_ids_BL == processor.video_token_id).int() * VIDEO_TOKEN_TYPE}

    def video_cells(self, vision: Any, grid_V3: torch.Tensor, inputs: Mapping[str, Any]) -> Iterable[Positions]:
        """Positions of every run of video tokens, for ``temporay.models.families._positions``: here of every pair of frames.

        Args:
            vision: the vision part of the model's config.
            grid_V3: cells before merging.
            inputs: what else the processor made of the videos.
        """
        merge = vision.spatial_merge_size
        for num_t, num_h, num_w in grid_V3.tolist():
            for _ in range(num_t):
                yield video_cells(1, num_h // merge, num_w // merge, 1.0)

    def shard_blocks(self, model: nn.Module) -> list[nn.Module]:
        inner: Any = model.model
        return [*inner.visual.blocks, *inner.language_model.layers]

    def vision_work(self, model: nn.Module, model_inputs: Mapping[str, torch.Tensor]) -> VisionWork:
        """Every patch attends to those of its own pair of frames."""
        visual: Any = model.model.visual  # type: ignore[union-attr]
        attention = visual.blocks[0].attn
        num_patches = int(model_inputs["video_grid_thw"].prod(-1).sum())
        return VisionWork(
            num_patches=num_patches,
            num_merged=num_patches // visual.spatial_merge_size**2,
            attention_pairs=self.attention_pairs(visual, model_inputs["video_grid_thw"]),
            attention_width=attention.num_heads * attention.head_dim,
        )

    def attention_pairs(self, visual: Any, grid_V3: torch.Tensor) -> int:
        """Query-key pairs of all layers."""
        num_t, num_h, num_w = grid_V3.unbind(-1)
        return len(visual.blocks) * int((num_t * (num_h * num_w) ** 2).sum())

    def banned_token_ids(self, processor: Any) -> tuple[int, ...]:
        vocabulary = processor.tokenizer.get_vocab()
        return tuple(sorted(vocabulary[token] for token in MEDIA_TOKENS if token in vocabulary))


def forbid_tokens(lm_head: nn.Linear, token_ids: Sequence[int]) -> None:
    """Makes a model unable to say some tokens, through a bias that is neither trained nor saved.

    An engine that forbids tokens samples from a renormalised distribution; with the same rule in the model, the
    trainer's log-probabilities are of that distribution too.
    """
    bias = torch.zeros(lm_head.out_features, dtype=lm_head.weight.dtype, device=lm_head.weight.device)
    bias[list(token_ids)] = FORBIDDEN_LOGIT
    del lm_head.bias
    lm_head.register_buffer("bias", bias, persistent=False)
