"""LLaMA-Factory: JSON rows and dataset_info.json (https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md).

Paths are relative to ``media_dir``, which is the dataset's folder unless it is set.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from temporay.operators.exports._base import ExportedSample, ExportFormat, Purpose
from temporay.operators.files import write_json

NAME = "temporay"  # what ``dataset:`` of a training file says
DATA_FILE, INFO_FILE = "temporay.json", "dataset_info.json"
INFO = {
    NAME: {
        "file_name": DATA_FILE,
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "videos": "videos"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
    }
}


class LlamaFactory(ExportFormat):
    """Both turns as JSON, for supervised fine-tuning."""

    purposes: ClassVar[tuple[Purpose, ...]] = ("sft",)  # it has no reinforcement learning against a rule

    def write(self, exported: Sequence[ExportedSample], folder: Path, *, purpose: Purpose, root: Path) -> list[Path]:
        rows = [{"messages": one.messages, "videos": [one.clip]} for one in exported]
        data, info = folder / DATA_FILE, folder / INFO_FILE
        write_json(data, rows)
        write_json(info, INFO)
        return [data, info]
