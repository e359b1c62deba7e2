"""A repair that lets a CUDA-built torchvision load beside a CPU-only torch.

PyPI serves torchvision built for CUDA. Its operator library cannot load on a CPU torch, and its Python side then fails
on two operator schemas that are not defined. Defining these two (torchvision 0.28, ``_meta_registrations``) is enough:
transforms work, and no code here calls the operators. This runs in every process that imports torch, through the
entry-point group ``torch.backends``, and does nothing where torchvision's own library loads.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch calls `register` while it is being imported, so this file must load without it
    from torch.library import Library

_SCHEMAS = ("nms", "qnms")
_kept: list[Library] = []  # definitions vanish when the Library object is collected


def register() -> None:
    """Define the missing schemas; ``import torch`` calls it.

    It must never raise: that would break torch for every program in the environment.
    """
    import torch

    if _kept or _native_library_loads():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in _SCHEMAS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    _kept.append(library)


def _native_library_loads() -> bool:
    """Return whether nothing is missing: torchvision is absent, or its library links against this torch."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        return True
    for library in sorted(Path(spec.submodule_search_locations[0]).glob("_C*.so")):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            return False
    return True
