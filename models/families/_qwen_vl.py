"""What Qwen's vision language models have in common, from Qwen2-VL to Qwen3-VL; a file for each says what differs.

Shapes: N patches of all videos together, V videos, B sequences, L positions.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from temporay.models.families._base import EncodedPrompts, Family, VisionWork, read_processor, video_metadata
from temporay.models.families._positions import Positions, position_by, row_positions
from temporay.models.families._text_attention import ATTENTION
from temporay.models.families._vision_attention import attend_in_batches, plan_on_host
from temporay.operators.records import Prompt
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import rename_source_key
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids

FORBIDDEN_LOGIT = -1e4  # its probability is exactly 0 in every float type, and it has no gradient
VIDEO_TOKEN_TYPE = 2  # transformers: 0 text, 1 image, 2 video
MEDIA_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")


class LinearPatchEmbed(nn.Module):
    """The patch embedding as the matrix product it is; parameters keep their names and shapes.

    Stride equals kernel size, so the convolution reads every patch once. As ``Conv3d`` its backward pass took a third
    of a training step on a CPU.

    Patches come as bytes, a quarter of their floats, and are normalized here with the processor's own arithmetic.
    """

    mean_D: Tensor
    std_D: Tensor

    def __init__(self, proj: nn.Conv3d, mean_C: Sequence[float], std_C: Sequence[float], rescale_factor: float) -> None:
        super().__init__()
        self.proj = proj
        for name, values_C in (("mean_D", mean_C), ("std_D", std_C)):
            values = torch.tensor(values_C) * (1.0 / rescale_factor)
            self.register_buffer(name, values.repeat_interleave(proj.weight[0, 0].numel()), persistent=False)

    def normalized(self, patches_ND: Tensor) -> Tensor:
        """Return in float32 what the processor makes of (N, D) values from 0 to 255."""
        return patches_ND.float().sub(self.mean_D).div_(self.std_D)

    def forward(self, patches_ND: Tensor) -> Tensor:
        """Turn (N, D) flattened patches, values from 0 to 255 of any type, into (N, hidden)."""
        weight = self.proj.weight
        return F.linear(self.normalized(patches_ND).to(weight.dtype), weight.flatten(1), self.proj.bias)


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
        processor = self.load_processor(path)
        videos = processor.video_processor
        visual.patch_embed = LinearPatchEmbed(
            visual.patch_embed.proj, videos.image_mean, videos.image_std, videos.rescale_factor
        )
        attend_in_batches(visual)
        plan_on_host(visual, self.tower_plan)
        position_by(model.model, self.video_cells)
        forbid_tokens(model.lm_head, self.banned_token_ids(processor))
        return model  # type: ignore[no-any-return]

    def weight_names(self, model: nn.Module) -> Callable[[str], str]:
        """Rename as transformers does: older checkpoints have other names."""
        renamings: list[Any] = get_model_conversion_mapping(model)
        own = dict(model.named_parameters(remove_duplicate=False))
        prefix: Any = model.base_model_prefix
        return lambda name: rename_source_key(name, renamings, [], prefix, own)[0]

    def load_processor(self, path: Path) -> Any:
        processor = read_processor(path)
        if processor.video_processor.cap_pixels_per_frame is None:
            processor.video_processor.cap_pixels_per_frame = False  # as in the engine; transformers' default may change
        processor.vision_config = AutoConfig.from_pretrained(path, local_files_only=True).vision_config
        return processor

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> EncodedPrompts:
        """Return ids and patches in bytes; ``LinearPatchEmbed`` normalizes them."""
        videos = [prompt.frames_THWC for prompt in prompts if prompt.frames_THWC is not None]
        # The processor pads odd clips by appending to frames_indices in place: the lists must be fresh.
        metadata = [video_metadata(prompt) for prompt in prompts if prompt.frames_THWC is not None]
        as_bytes = {"do_sample_frames": False, "do_rescale": False, "do_normalize": False}  # floats on the device
        media = {"videos": videos, "video_metadata": metadata, **as_bytes} if videos else {}
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

    def host_inputs(self, encoded: EncodedPrompts) -> dict[str, Any]:
        """Return the grids as numbers for ``plan_on_host``; transformers takes the prefix off the name."""
        if not encoded.video_tensors:
            return {}
        return {"video_host_grid": tuple(map(tuple, encoded.video_tensors["video_grid_thw"].tolist()))}

    def tower_plan(self, visual: Any, grid_V3: Tensor) -> dict[str, Tensor]:
        """Return what the tower's forward derives from the grids, by its own names for it."""
        return {
            "position_ids": get_vision_position_ids(grid_V3, visual.spatial_merge_size),
            "cu_seqlens": get_vision_cu_seqlens(grid_V3),
        }

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
