"""README.md of a dataset: a Hugging Face dataset card, made from the index and the markers."""

from __future__ import annotations

from pathlib import Path


def write_card(folder: Path) -> None:
    """Placeholder."""
    (folder / "README.md").write_text("")
