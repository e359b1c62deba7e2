"""What temporay needs to know about a model family: one file each, found by the checkpoint's ``model_type``.

Shapes: N vision patches of all media together, V videos and pictures.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from temporay.models.weight_files import WeightFiles, read_weights
from temporay.operators.components import available, load
from temporay.operators.errors import UserError, said_by
from temporay.operators.media import ShownMedium
from temporay.operators.records import Prompt
from temporay.operators.sampling import ShownFrames
from torch import nn

FAMILIES = "temporay.models.families"
PROCESSOR_FILES = (
    ("tokenizer.json", "vocab.json"),
    ("preprocessor_config.json", "processor_config.json"),
)  # one of each
ModelPart = Literal["vision_tower", "projector", "text", "head"]  # in the order in which they are computed


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompts:
    """Prompts as the model takes them. Ids are ragged lists: padding belongs to the collator."""

    prompt_ids: tuple[tuple[int, ...], ...]  # one row per prompt, markers expanded
    # E.g. pixel_values_videos (N, D), video_grid_thw (V, 3); empty if blind. Pictures are among the videos, in the
    # order of all markers, so that the vision tower works once for both.
    media_tensors: dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionWork:
    """The amount of work of the vision tower for the media of one batch."""

    num_patches: int  # rows of the tower's matrix products
    num_merged: int  # rows of the projector's matrix products, which are the text part's video tokens
    attention_pairs: int  # query-key pairs, summed over the tower's layers
    attention_width: int  # heads x head size


class Family(ABC):
    """Loading, prompt encoding and layer structure of one model family."""

    model_types: ClassVar[tuple[str, ...]]  # values of config.json's ``model_type``
    vision_tower: ClassVar[tuple[str, ...]]  # prefixes of parameter names; the longest prefix of all parts decides
    projector: ClassVar[tuple[str, ...]]  # prefixes of the layers that bring patches into the text part
    head: ClassVar[tuple[str, ...]] = ("lm_head.",)

    @abstractmethod
    def build_model(self, path: Path, dtype: torch.dtype) -> nn.Module:
        """Make the model of a config: parameters on the meta device, buffers with their values on the CPU."""

    def weight_names(self, model: nn.Module) -> Callable[[str], str]:
        """Return what gives the model's name of a tensor by its name in the checkpoint's files."""
        return str

    def model_and_files(self, path: Path, dtype: torch.dtype) -> tuple[nn.Module, WeightFiles]:
        """Return the model of a config, as ``build_model`` makes it, and the files of its weights.

        Of the files, only the headers are read. Only safetensors are taken.

        Raises:
            UserError: a file cannot be read, or the files do not hold exactly the model's weights.
        """
        model = self.build_model(path, dtype)
        return model, WeightFiles(path, model, self.weight_names(model))

    def load_model(self, path: Path, dtype: torch.dtype) -> nn.Module:
        """Load the model with all its weights on the CPU.

        Raises:
            UserError: a file cannot be read, or the files do not hold exactly the model's weights.
        """
        model, files = self.model_and_files(path, dtype)
        read_weights(model, files, torch.device("cpu"))
        return model.eval()

    def load_config(self, path: Path) -> Any:
        """Load what config.json says of the layers' sizes, as transformers does."""
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(path, local_files_only=True)

    @abstractmethod
    def load_processor(self, path: Path) -> Any:
        """Load tokenizer, chat template and video processor, as transformers' ``AutoProcessor`` does."""

    @abstractmethod
    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> EncodedPrompts:
        """Return exactly the ids and tensors the processor makes, for all prompts in one call.

        Pixels may stay bytes; then the model makes the processor's floats of them.
        """

    @abstractmethod
    def positions(self, processor: Any, encoded: EncodedPrompts) -> list[npt.NDArray[np.int64]]:
        """Return the positions that the text part gives to the tokens of every prompt, (axes, tokens) each.

        What follows a prompt continues one after its largest position, on all axes.
        """

    @abstractmethod
    def token_types(self, processor: Any, input_ids_BL: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return inputs that are derived from ids, e.g. ``mm_token_type_ids``; empty when there are none."""

    def host_inputs(self, encoded: EncodedPrompts) -> dict[str, Any]:
        """Return arguments of the model's forward that stay on the host, not tensors; none unless a family has some."""
        return {}

    @abstractmethod
    def shard_blocks(self, model: nn.Module) -> list[nn.Module]:
        """Return the modules that FSDP2 wraps one by one, inner ones first; the caller wraps the root."""

    @abstractmethod
    def vision_work(self, model: nn.Module, model_inputs: Mapping[str, torch.Tensor]) -> VisionWork:
        """Count exactly, from the shapes of a batch's video tensors; ``model_inputs`` hold a video."""

    def part_of(self, name: str) -> ModelPart:
        """Return the part of the model that a parameter or module belongs to."""
        prefixes: dict[str, ModelPart] = {
            **dict.fromkeys(self.vision_tower, "vision_tower"),
            **dict.fromkeys(self.projector, "projector"),
            **dict.fromkeys(self.head, "head"),
        }
        found = [prefix for prefix in prefixes if f"{name}.".startswith(prefix)]
        return prefixes[max(found, key=len)] if found else "text"

    @abstractmethod
    def banned_token_ids(self, processor: Any) -> tuple[int, ...]:
        """Return the tokens that a policy must never sample: media placeholders."""


def video_metadata(video: ShownMedium) -> dict[str, Any]:
    """Return transformers' ``VideoMetadata`` of frames that are already chosen.

    Without it, processors assume 24 fps. Timestamps follow from the places of the frames in the clip.
    """
    num_shown, height, width, _ = video.frames_THWC.shape
    shown = video.shown or ShownFrames(indices=tuple(range(num_shown)), num_frames=num_shown)
    num_frames = shown.num_frames
    return {
        "total_num_frames": num_frames,
        "fps": video.fps,
        "frames_indices": list(shown.indices),
        "duration": num_frames / video.fps,
        "height": height,
        "width": width,
    }


def read_processor(path: Path) -> Any:
    """Load a checkpoint's ``AutoProcessor`` from its own folder.

    Raises:
        UserError: a file of tokenizer or processor is missing or damaged.
    """
    for names in PROCESSOR_FILES:  # looked for first: without vocabulary some tokenizers load, and know no word
        if not any((path / name).is_file() for name in names):
            raise UserError(f"{path} has no {' and no '.join(names)}; download the model again")
    from transformers import AutoProcessor

    try:
        return AutoProcessor.from_pretrained(path, local_files_only=True)
    except ImportError:
        raise  # no file's fault
    except Exception as error:  # the libraries meet a file of another form with any error
        fault = said_by(error).partition(". ")[0]  # what follows is advice about Hugging Face's hub
        if not isinstance(error, OSError | ValueError):
            fault = f"{type(error).__name__}: {fault}"
        raise UserError(
            f"the tokenizer or processor in {path} cannot be read ({fault}); download the model again"
        ) from error


def family_of(path: Path, *, with_weights: bool = True) -> Family:
    """Return the family of a checkpoint folder in Hugging Face layout, by ``model_type`` of its config.json.

    Args:
        with_weights: whether the folder must have its weights, and not only its config.

    Raises:
        UserError: the folder is missing or incomplete, brings its own code, or its family has no file here.
    """
    config = _read_config(path)
    if "auto_map" in config:
        raise UserError(
            f"{path} brings its own code (auto_map in config.json), which is never run; give a model without it"
        )
    if with_weights and not any(path.glob("*.safetensors")):
        raise UserError(f"{path} has no *.safetensors file; only that format is read, convert the weights first")
    model_type = config.get("model_type")
    known: list[str] = []
    for name in sorted(available(FAMILIES), key=lambda name: name != model_type):  # a file of that name is tried first
        family: type[Family] = load(FAMILIES, name)
        if model_type in family.model_types:
            return family()
        known.extend(family.model_types)
    raise UserError(f"{path} is a {model_type!r} model; give one of: {', '.join(sorted(known))}")


def check_weights(path: Path) -> None:
    """Refuse a checkpoint folder whose files do not hold the weights that its config.json describes.

    It takes seconds: no weight is read. Without it, a run would find out when its workers load the model.

    Raises:
        UserError: a file is missing, empty or cut short, or names or shapes differ.
    """
    family_of(path).model_and_files(path, torch.float32)


def _read_config(path: Path) -> dict[str, Any]:
    config_path = path / "config.json"
    try:
        config = json.loads(config_path.read_text())
    except OSError as error:
        raise UserError(
            f"{path} is not a model folder ({config_path}: {error.strerror}); give a downloaded one"
        ) from error
    except ValueError as error:
        raise UserError(f"{config_path} is not JSON ({error}); download the model again") from error
    if not isinstance(config, dict):
        raise UserError(f"{config_path} does not hold a JSON object; download the model again")
    return config
