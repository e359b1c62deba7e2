"""What rollout engines can be told. It loads without torch, for processes that compute no model."""

from typing import Literal

from pydantic import Field
from temporay.operators.errors import UserError
from temporay.operators.settings import Settings

ENGINES = "temporay.models.engines"
MEMORY_SHARE = 0.9  # of a GPU that only an engine uses


class OpenEngineSettings(Settings):
    """How any engine computes. What is None is resolved before engines start, from machine, model and data."""

    dtype: Literal["float32", "bfloat16"] | None = None  # None: bfloat16 on GPUs, float32 on CPUs
    # Tokens of prompt and completion together. None: the longest prompt of the data and max_tokens.
    max_model_len: int | None = Field(default=None, ge=1)
    # Completions computed at a time. None: 256 on GPUs, 128 on CPUs, and never more than one call brings.
    max_num_seqs: int | None = Field(default=None, ge=1)
    # vLLM only. None: on GPUs vLLM's own share of the device's memory, on CPUs what max_num_seqs completions need.
    kv_cache_mib: int | None = Field(default=None, ge=16)
    # vLLM only: torch.compile and CUDA graphs; minutes at the start, faster after. None: on GPUs.
    compile: bool | None = None
    # vLLM only: GPUs, or processes on CPUs, that share one engine's model.
    tensor_parallel: int = Field(default=1, ge=1)
    # vLLM on GPUs only: share of a GPU's memory that an engine takes. None: 0.9, or less on the GPU of a trainer.
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)


class AppliedAdapters(Settings):
    """The adapters that an engine computes beside its weights."""

    rank: int = Field(ge=1)
    modules: tuple[str, ...] = ()  # last names of the layers that have one; (): all
    in_vision: bool = True  # whether layers of vision tower or projector have one


class EngineSettings(OpenEngineSettings):
    """How an engine computes, with nothing left open; as they stand, what a small model needs on two cores."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    max_model_len: int = Field(default=4096, ge=1)
    max_num_seqs: int = Field(default=128, ge=1)
    kv_cache_mib: int | None = Field(default=256, ge=16)  # None: vLLM's own share
    compile: bool = False
    gpu_memory_utilization: float = Field(default=MEMORY_SHARE, gt=0, le=1)
    max_videos: int = Field(default=1, ge=0)  # of one prompt
    max_images: int = Field(default=0, ge=0)
    sleep_mode: bool = False  # vLLM on GPUs only: memory is taken in a way that ``sleep`` can give back
    adapters: AppliedAdapters | None = None  # vLLM only; None: it gets whole weights, with adapters added to them


def refuse_workers(engine: str, tensor_parallel: int) -> None:
    """Refuse several workers for an engine that computes in one process.

    Raises:
        UserError: there are several.
    """
    if tensor_parallel > 1:
        raise UserError(
            f"tensor_parallel is {tensor_parallel}, but the {engine} engine computes in one process; give 1, or the "
            "vllm engine"
        )
