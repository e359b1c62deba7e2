"""Adapters that vLLM computes beside its weights: a folder in shared memory, read once by every worker of an engine.

vLLM 0.31 takes adapters only from a folder. It computes them in the linear layers of text part, vision tower and
projector of all families here, on CPUs by plain tensor operations that halve the speed of a small model. There is one
set of adapters at a time, always under the same id, so that the old one goes when the new one comes.
"""

import tempfile
from pathlib import Path
from typing import Any

from temporay.models.adapters import Adapters, layers_by_name
from temporay.models.engines._settings import AppliedAdapters
from temporay.models.engines._shared_tensors import SHARED_MEMORY
from temporay.operators.errors import UserError
from vllm.lora.request import LoRARequest

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # for which vLLM can reserve memory
ID = 1


def adapter_arguments(path: Path, adapters: AppliedAdapters) -> dict[str, Any]:
    """Return the arguments of ``vllm.LLM`` for one set of adapters at a time."""
    return {
        "enable_lora": True,
        "max_loras": 1,
        "max_lora_rank": min(rank for rank in RANKS if rank >= adapters.rank),
        # None: vLLM computes adapters of embedding and head as well. It refuses a name that a convolution has too.
        "lora_target_modules": layers_by_name(path, adapters.modules, in_vision=adapters.in_vision),
        "enable_tower_connector_lora": adapters.in_vision,
    }


def load_adapters(llm: Any, adapters: Adapters, version: int) -> LoRARequest:
    """Replace an engine's adapters; return what its next requests must name.

    Raises:
        UserError: vLLM does not compute the adapter of one of the layers.
    """
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY, prefix="temporay_adapters_") as folder:
        adapters.write(Path(folder))
        llm.llm_engine.add_lora(LoRARequest(str(version), ID, folder, load_inplace=True))
    missing = {name for names in llm.collective_rpc("layers_without_adapter") for name in names}
    if missing:
        raise UserError(
            f"vLLM computes no adapter beside {min(missing)} ({len(missing)} such layers); give pool.adapters merged"
        )
    return LoRARequest(str(version), ID, folder)  # not to be loaded again: the folder is gone
