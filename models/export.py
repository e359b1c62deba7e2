"""A trained policy as a model in the Hugging Face layout, which transformers and vLLM load."""

import json
import shutil
from pathlib import Path

import torch
from huggingface_hub import StateDictSplit, split_state_dict_into_shards_factory
from safetensors.torch import save_file
from temporay.models.lora import has_adapters, is_factor, save_adapter
from temporay.models.policy import Policy
from temporay.models.weight_files import BASE, stored_dtype
from torch import Tensor

ADAPTER = "adapter"
WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf"}


def export(policy: Policy, source: Path, out: Path, *, max_file_bytes: int = 2 << 30) -> None:
    """Write the weights as safetensors, beside the config, tokenizer and processor files of the starting model.

    Transformers and vLLM load the folder as it is. Weights get the type that the starting model has, so that they fit
    its config; those in float32 are in the checkpoints. Adapters are merged, and also written to ``out/adapter`` as
    peft loads them. Every rank must call it; rank 0 writes, and ``out`` appears whole.

    Args:
        max_file_bytes: size of a file, and so what rank 0 holds at a time.
    """
    partial = out.with_name(out.name + ".partial")
    is_first = policy.parallel.rank == 0
    if is_first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _copy_all_but_weights(source, partial)
    if has_adapters(policy.model):
        state = policy.gathered()
        factors = {name: state[name] for name in state if is_factor(name)}
        if is_first:
            save_adapter(policy.model, factors, source, partial / ADAPTER)
    _write_weights(policy, partial, stored_dtype(source), max_file_bytes)
    if is_first:
        shutil.rmtree(out, ignore_errors=True)
        partial.rename(out)
    policy.parallel.wait_for_files()


def _copy_all_but_weights(source: Path, out: Path) -> None:
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix not in WEIGHT_SUFFIXES and not file.name.endswith(".index.json"):
            shutil.copyfile(file, out / file.name)


def _write_weights(policy: Policy, out: Path, dtype: torch.dtype, max_file_bytes: int) -> None:
    """Gather and write one file after another; a file is written when its last weight is there."""
    split = _split(policy, dtype, max_file_bytes)
    is_first = policy.parallel.rank == 0
    held: dict[str, Tensor] = {}
    for name, tensor in policy.whole_weights():
        if not is_first:
            continue
        held[name] = tensor.to("cpu", dtype).contiguous()
        file = split.tensor_to_filename[name]
        if len(held) == len(split.filename_to_tensors[file]):
            save_file(held, out / file, metadata={"format": "pt"})
            held.clear()
    if is_first and split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        (out / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))


def _split(policy: Policy, dtype: torch.dtype, max_file_bytes: int) -> StateDictSplit:
    """Share out the weights among files, in their order."""
    parts = policy.gathered().parts
    return split_state_dict_into_shards_factory(
        {name.replace(BASE, "."): part for name, part in parts.items() if not is_factor(name)},
        get_storage_size=lambda part: part.numel() * dtype.itemsize,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max_file_bytes,
    )
