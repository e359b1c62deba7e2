"""What Qwen's vision language models have in common, from Qwen2-VL to Qwen3-VL; a file for each says what differs.

A picture is patches of one grid, as a pair of frames is. So pictures are handed on as videos with one cell of time, in
the order in which all media stand in their prompts: the tower works once for both, and every rank of a sharded model
as often as the others. The tokens of a prompt stay those of the engine.

Shapes: N patches of all media together, V videos and pictures, B sequences, L positions.
"""

import types
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from temporay.models.families._base import EncodedPrompts, Family, VisionWork, read_processor, video_metadata
from temporay.models.families._positions import Positions, position_by, row_positions
from temporay.models.families._text_attention import ATTENTION
from temporay.models.families._vision_attention import attend_in_batches, plan_on_host
from temporay.operators.errors import UserError
from temporay.operators.media import MediumKind
from temporay.operators.records import Prompt
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import rename_source_key
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids

FORBIDDEN_LOGIT = -1e4  # its probability is exactly 0 in every float type, and it has no gradient
VIDEO_TOKEN_TYPE = 2  # transformers: 0 text, 1 image, 2 video
# What a processor makes of media of each kind: patches and grids. The model takes those of videos.
PROCESSED: dict[MediumKind, tuple[str, str]] = {
    "video": ("pixel_values_videos", "video_grid_thw"),
    "image": ("pixel_values", "image_grid_thw"),
}
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
    of_videos: ClassVar[tuple[str, ...]] = ()  # what the processor makes of videos beside patches and grids, (V,) each
    vision_tower: ClassVar[tuple[str, ...]] = ("model.visual.",)
    projector: ClassVar[tuple[str, ...]] = ("model.visual.merger.",)

    @abstractmethod
    def video_cells(self, vision: Any, grid_V3: Tensor, inputs: Mapping[str, Any]) -> Iterable[Positions]:
        """Yield the positions of every run of video or image tokens, in order.

        Args:
            vision: the vision part of the model's config.
            grid_V3: cells of each medium in time, height and width, before merging.
            inputs: what else the processor made of the media.
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
        place_as_videos(model.model)
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
        media = [medium for prompt in prompts for medium in prompt.media]
        videos = [medium for medium in media if medium.kind == "video"]
        pictures = [medium.frames_THWC[0] for medium in media if medium.kind == "image"]
        given: dict[str, Any] = {"do_rescale": False, "do_normalize": False} if media else {}  # floats on the device
        if videos:
            # The processor pads odd clips by appending to frames_indices in place: the lists must be fresh.
            metadata = [video_metadata(video) for video in videos]
            given |= {"videos": [video.frames_THWC for video in videos], "video_metadata": metadata}
            given["do_sample_frames"] = False
        if pictures:
            check_normalizes_alike(processor)
            given["images"] = pictures
        encoded = processor(text=[prompt.text for prompt in prompts], padding=False, **given)
        return EncodedPrompts(
            prompt_ids=tuple(tuple(ids) for ids in encoded["input_ids"]),
            media_tensors=self._in_order(encoded, [medium.kind for medium in media]),
        )

    def _in_order(self, encoded: Mapping[str, Any], kinds: Sequence[MediumKind]) -> dict[str, Tensor]:
        """Return patches and grids of all media, in the order in which they stand in their prompts."""
        names = (*PROCESSED["video"], *self.of_videos)
        if "image" not in kinds:  # nothing to put in order, and no copy of the patches
            return {name: torch.as_tensor(encoded[name]) for name in names if name in encoded}
        waiting = {kind: self._each(encoded, kind) for kind in set(kinds)}
        patches, *others = zip(*(next(waiting[kind]) for kind in kinds), strict=True)
        return dict(zip(names, (torch.cat(patches), *map(torch.stack, others)), strict=True))

    def _each(self, encoded: Mapping[str, Any], kind: MediumKind) -> Iterator[tuple[Tensor, ...]]:
        """Yield patches, grid and the rest of every medium of one kind."""
        patches_ND, grid_V3 = (torch.as_tensor(encoded[name]) for name in PROCESSED[kind])
        others = [  # a picture has one cell, at the start of its time, whatever a cell lasts
            torch.as_tensor(encoded[name]) if kind == "video" else torch.ones(len(grid_V3)) for name in self.of_videos
        ]
        yield from zip(torch.split(patches_ND, grid_V3.prod(-1).tolist()), grid_V3, *others, strict=True)

    def positions(self, processor: Any, encoded: EncodedPrompts) -> list[Positions]:
        """Return (3, tokens) positions of every prompt in time, height and width."""
        media = encoded.media_tensors
        cells = self.video_cells(processor.vision_config, media["video_grid_thw"], media) if media else ()
        each, tokens = iter(cells), {processor.video_token_id, processor.image_token_id}
        return [row_positions([token in tokens for token in ids], each) for ids in encoded.prompt_ids]

    def token_types(self, processor: Any, input_ids_BL: Tensor) -> dict[str, Tensor]:
        """Return ``mm_token_type_ids``. Without it, the model silently takes a video for text."""
        is_medium_BL = (input_ids_BL == processor.video_token_id) | (input_ids_BL == processor.image_token_id)
        return {"mm_token_type_ids": is_medium_BL.int() * VIDEO_TOKEN_TYPE}

    def host_inputs(self, encoded: EncodedPrompts) -> dict[str, Any]:
        """Return the grids as numbers for ``plan_on_host``; transformers takes the prefix off the name."""
        if not encoded.media_tensors:
            return {}
        return {"video_host_grid": tuple(map(tuple, encoded.media_tensors["video_grid_thw"].tolist()))}

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


def check_normalizes_alike(processor: Any) -> None:
    """Refuse pictures for a checkpoint that normalizes them in another way than videos: the model has one way.

    Raises:
        UserError: mean, deviation or factor differ.
    """
    for name in ("image_mean", "image_std", "rescale_factor"):
        of_videos, of_images = (getattr(one, name) for one in (processor.video_processor, processor.image_processor))
        if np.any(np.asarray(of_videos) != np.asarray(of_images)):
            raise UserError(
                f"the processor in {processor.tokenizer.name_or_path} has {name} {of_videos} for videos and "
                f"{of_images} for images, and no picture can be shown; give both the same in preprocessor_config.json"
            )


def place_as_videos(backbone: Any) -> None:
    """Let a backbone put what it makes of videos also where a prompt has image tokens."""
    plain: Any = type(backbone).get_placeholder_mask  # not bound: a copy of the model must use its own config

    def masks(self: Any, input_ids: Tensor, *inputs: Any, **named: Any) -> Any:
        ids = input_ids.masked_fill(input_ids == self.config.image_token_id, self.config.video_token_id)
        return plain(self, ids, *inputs, **named)

    backbone.get_placeholder_mask = types.MethodType(masks, backbone)


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
