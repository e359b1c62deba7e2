"""What Qwen's vision language models have in common, from Qwen2-VL to Qwen3-VL; a file for each says what differs.

Shapes: N patches of all videos together, V videos, B sequences, L positions.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from temporay.models.families._base import EncodedPrompts, Family, VisionWork, video_metadata
from temporay.models.families._positions import Positions, position_by, row_positions
from temporay.models.families._shared_prompt import ATTENTION
from temporay.models.families._vision_attention import attend_in_batches
from temporay.operators.records import Prompt
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoProcessor
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import rename_source_key

FORBIDDEN_LOGIT = -1e4  # its probability is exactly 0 in every float type, and it has no gradient
VIDEO_TOKEN_TYPE = 2  # transformers: 0 text, 1 image, 2 video
MEDIA_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")


class LinearPatchEmbed(nn.Module):
    """The patch embedding as the matrix product it is; parameters keep their names and shapes.

    Stride equals kernel size, so the convolution reads every patch once. As ``Conv3d`` its backward pass took a third
    of a training step on a CPU.
    """

    def __init__(self, proj: nn.Conv3d) -> None:
        super().__init__()
        self.proj = proj

    def forward(self, patches_ND: Tensor) -> Tensor:
        """Turn (N, D) flattened patches into (N, hidden)."""
        weight = self.proj.weight
        return F.linear(patches_ND.to(weight.dtype), weight.flatten(1), self.proj.bias)


class QwenVl(Family):
    """A Qwen vision language model of any size."""

    model_class: ClassVar[Any]  # transformers' class
    video_tensors: ClassVar[tuple[str, ...]] = ("pixel_values_videos", "video_grid_thw")  # taken from the processor
    vision_tower: ClassVar[tuple[str, ...]] = ("model.visual.",)
    projector: ClassVar[tuple[str, ...]] = ("model.visual.merger.",)

    @abstractmethod
    def video_cells(self, vision: Any, grid_V3: Tensor, inputs: Mapping[str, Any]) -> Iterable[Positions]:
        """Yield the positions of every run of video tokens, in order.

        Args:
            vision: the vision part of the model's config.
            grid_V3: cells of each video in time, height and width, before merging.
            inputs: what else the processor made of the videos.
        """

    def build_model(self, path: Path, dtype: torch.dtype) -> nn.Module:
        """Make the policy without weights, unable to sample media tokens in training as in generation."""
        config = self.model_class.config_class.from_pretrained(path, local_files_only=True)
        with torch.device("meta"):
            model = self.model_class._from_config(config, dtype=dtype, attn_implementation=ATTENTION)
        compute_buffers(model)
        visual = model.model.visual
        visual.patch_embed = LinearPatchEmbed(visual.patch_embed.proj)
        attend_in_batches(visual)
        position_by(model.model, self.video_cells)
        forbid_tokens(model.lm_head, self.banned_token_ids(self.load_processor(path)))
        return model  # type: ignore[no-any-return]

    def weight_names(self, model: nn.Module) -> Callable[[str], str]:
        """Rename as transformers does: older checkpoints have other names."""
        renamings: list[Any] = get_model_conversion_mapping(model)
        own = dict(model.named_parameters(remove_duplicate=False))
        prefix: Any = model.base_model_prefix
        return lambda name: rename_source_key(name, renamings, [], prefix, own)[0]

    def load_processor(self, path: Path) -> Any:
        processor = AutoProcessor.from_pretrained(path, local_files_only=True)
        if processor.video_processor.cap_pixels_per_frame is None:
            processor.video_processor.cap_pixels_per_frame = False  # as in the engine; transformers' default may change
        processor.vision_config = AutoConfig.from_pretrained(path, local_files_only=True).vision_config
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

    def positions(self, processor: Any, encoded: EncodedPrompts) -> list[Positions]:
        """Return (3, tokens) positions of every prompt in time, height and width."""
        videos = encoded.video_tensors
        cells = self.video_cells(processor.vision_config, videos["video_grid_thw"], videos) if videos else ()
        each, video = iter(cells), processor.video_token_id
        return [row_positions([token == video for token in ids], each) for ids in encoded.prompt_ids]

    def token_types(self, processor: Any, input_ids_BL: Tensor) -> dict[str, Tensor]:
        """Return ``mm_token_type_ids``. Without it, the model silently takes a video for text."""
        return {"mm_token_type_ids": (input_ids_BL == processor.video_token_id).int() * VIDEO_TOKEN_TYPE}

    def shard_blocks(self, model: nn.Module) -> list[nn.Module]:
        inner: Any = model.model
        return [*inner.visual.blocks, *inner.language_model.layers]

    def vision_work(self, model: nn.Module, model_inputs: Mapping[str, Tensor]) -> VisionWork:
        visual: Any = model.model.visual  # type: ignore[union-attr]
        attention = visual.blocks[0].attn
        num_patches = int(model_inputs["video_grid_thw"].prod(-1).sum())
        return VisionWork(
            num_patches=num_patches,
            num_merged=num_patches // visual.spatial_merge_size**2,
            attention_pairs=self.attention_pairs(visual, model_inputs["video_grid_thw"]),
            attention_width=attention.num_heads * attention.head_dim,
        )

    def attention_pairs(self, visual: Any, grid_V3: Tensor) -> int:
        """Count the query-key pairs of all layers: every patch attends to the patches of its own pair of frames."""
        return len(visual.blocks) * pairs_within_frames(grid_V3)

    def banned_token_ids(self, processor: Any) -> tuple[int, ...]:
        vocabulary = processor.tokenizer.get_vocab()
        return tuple(sorted(vocabulary[token] for token in MEDIA_TOKENS if token in vocabulary))


def pairs_within_frames(grid_V3: Tensor) -> int:
    """Count the query-key pairs of one layer that attends within each temporal cell."""
    num_t, num_h, num_w = grid_V3.unbind(-1)
    return int((num_t * (num_h * num_w) ** 2).sum())


def compute_buffers(model: Any) -> None:
    """Give a model's buffers, which no checkpoint has, their values on the CPU, as transformers computes them."""
    for parameter in model.parameters():
        parameter._is_hf_initialized = True  # or it would be drawn at random
    for name, buffer in list(model.named_buffers()):
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, torch.empty_like(buffer, device="cpu"))
    model.initialize_weights()


def forbid_tokens(lm_head: nn.Linear, token_ids: Sequence[int]) -> None:
    """Make a model unable to sample some tokens, through a bias that is neither trained nor saved.

    An engine that forbids tokens samples from a renormalized distribution. With the same rule in the model, the
    trainer's log-probabilities belong to that distribution too.
    """
    bias = torch.zeros(lm_head.out_features, dtype=lm_head.weight.dtype)
    bias[list(token_ids)] = FORBIDDEN_LOGIT
    del lm_head.bias
    lm_head.register_buffer("bias", bias, persistent=False)
