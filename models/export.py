"""A trained policy as a model in the Hugging Face layout, which transformers and vLLM load."""

import json
import shutil
from pathlib import Path

from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from temporay.models.lora import adapter_scales, has_adapters, merged, save_adapter
from temporay.models.policy import Policy
from torch import Tensor

ADAPTER = "adapter"
WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf"}


def export(policy: Policy, source: Path, out: Path, *, max_shard_bytes: int = 5 << 30) -> None:
    """Write the weights as safetensors, beside the config, tokenizer and processor files of the starting model.

    Transformers and vLLM load the folder as it is. Adapters are merged, and also written to ``out/adapter`` as peft
    loads them. Every rank must call it; rank 0 writes, and ``out`` appears whole.
    """
    full = policy.full_state()
    if policy.parallel.rank == 0:
        partial = out.with_name(out.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _copy_all_but_weights(source, partial)
        if has_adapters(policy.model):
            save_adapter(policy.model, full, source, partial / ADAPTER)
        state = {name: tensor.contiguous() for name, tensor in merged(full, adapter_scales(policy.model))}
        _write_safetensors(state, partial, max_shard_bytes)
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    policy.parallel.barrier()


def _copy_all_but_weights(source: Path, out: Path) -> None:
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix not in WEIGHT_SUFFIXES and not file.name.endswith(".index.json"):
            shutil.copyfile(file, out / file.name)


def _write_safetensors(state: dict[str, Tensor], out: Path, max_shard_bytes: int) -> None:
    split = split_torch_state_dict_into_shards(state, max_shard_size=max_shard_bytes)
    for name, keys in split.filename_to_tensors.items():
        save_file({key: state[key] for key in keys}, out / name, metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
