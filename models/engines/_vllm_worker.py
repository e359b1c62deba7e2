"""What vLLM itself calls, in this process or in each worker process of a tensor parallel engine.

Workers are new processes: they find everything here by its name, and the import does what each worker needs.
"""

import multiprocessing
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from temporay.models.engines._shared_tensors import SharedTensors
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.distributed.weight_transfer.factory import WeightTransferEngineFactory
from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload
from vllm.v1.sample.logits_processor import LogitsProcessor

BACKEND = "state_dict"
WORKER_NAME = "VllmWorker"  # how the names of vLLM's worker processes begin
BANNED_IDS = "banned_token_ids"  # key of vLLM's ``additional_config``
PACKED = "cpu_linear"  # attribute by which a layer of vLLM holds a second copy of its weights, as a CPU multiplies them
HEAD = "lm_head"


class Forbidding(LogitsProcessor):  # type: ignore[misc]
    """A logits processor that makes some tokens impossible for every request."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        banned_ids = vllm_config.additional_config[BANNED_IDS]
        self.token_ids = torch.tensor(banned_ids, dtype=torch.long, device=device)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.index_fill_(-1, self.token_ids, -torch.inf)

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        """Do nothing: the rule is the same for all requests."""


@dataclass
class InitInfo(WeightTransferInitInfo):  # type: ignore[misc]
    """An empty record: tensors come from this machine."""


@dataclass
class UpdateInfo(WeightTransferUpdateInfo):  # type: ignore[misc]
    """Some tensors of a version by Hugging Face name: those of this process, or those that worker processes map."""

    weights: Mapping[str, torch.Tensor] = field(default_factory=dict)
    shared: SharedTensors | None = None


class StateDictTransfer(WeightTransferEngine[InitInfo, UpdateInfo]):  # type: ignore[misc]
    """Weights from parts of a state dict, through vLLM's layerwise reload.

    A bare ``model.load_weights`` fails on a CPU, where vLLM repacks the parameters it has loaded.
    """

    init_info_cls = InitInfo
    update_info_cls = UpdateInfo

    def init_transfer_engine(self, info: InitInfo) -> None:
        """Do nothing: there is nothing to connect."""

    def start_weight_update(self) -> None:
        for layer in self.model.modules():
            vars(layer).pop(PACKED, None)  # every layer packs its weights anew: not the old ones beside them
        initialize_layerwise_reload(self.model)

    def receive_weights(self, info: UpdateInfo) -> None:
        weights = info.weights if info.shared is None else info.shared.mapped()
        self.model.load_weights(iter(weights.items()))
        drop_packed_embeddings(self.model)

    def finish_weight_update(self) -> None:
        finalize_layerwise_reload(self.model, self.model_config)

    def shutdown(self) -> None:
        """Do nothing: nothing is held."""


def drop_packed_embeddings(model: torch.nn.Module) -> None:
    """Free the packed copies that vLLM makes of embeddings on a CPU, and that only an output layer is computed with.

    An embedding of 150,000 tokens is half the memory of a small model's engine.
    """
    named = list(model.named_modules(remove_duplicate=False))
    heads = {layer for name, layer in named if name.endswith(HEAD)}  # a tied one may be the embedding itself
    for _, layer in named:
        if isinstance(layer, VocabParallelEmbedding) and layer not in heads:
            vars(layer).pop(PACKED, None)


class Extension:
    """What a worker can be asked beyond vLLM's own methods."""

    model_runner: Any  # of the worker that this class is mixed into

    def drop_packed_embeddings(self) -> None:
        """Free what ``drop_packed_embeddings`` frees."""
        drop_packed_embeddings(self.model_runner.model)

    def layers_without_adapter(self) -> list[str]:
        """Return the layers of loaded adapters that the model does not have. vLLM leaves them out without a word."""
        manager = self.model_runner.lora_manager._adapter_manager
        loaded = {name for adapter in manager.list_adapters().values() for name in adapter.loras}
        return sorted(loaded - manager.modules.keys())


def end_with_parent() -> None:
    """Watch the process that started this worker, and end when it has ended.

    vLLM looks only after it has loaded: until then, a worker of a killed engine would go on and take memory.
    """
    parent = multiprocessing.parent_process()
    if parent is not None and multiprocessing.current_process().name.startswith(WORKER_NAME):
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(process: Any) -> None:
    process.join()
    os._exit(1)


end_with_parent()
if BACKEND not in WeightTransferEngineFactory._registry:
    WeightTransferEngineFactory.register_engine(BACKEND, StateDictTransfer)
