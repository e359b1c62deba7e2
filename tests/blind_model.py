"""A model that is given videos and cannot see them."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def write_blind(model: Path, out: Path) -> Path:
    """Copy a model with a vision tower that ends in zeros."""
    shutil.copytree(model, out)
    path = out / "model.safetensors"
    state = load_file(path)
    silenced = [name for name in state if ".visual." in name and "merger" in name]
    assert silenced
    save_file({n: torch.zeros_like(t) if n in silenced else t for n, t in state.items()}, path, {"format": "pt"})
    return out
