"""LLaMA-Factory: JSON rows and dataset_info.json (https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md).

Paths are relative to ``media_dir``, which is the dataset's folder unless it is set. The rate of videos is no column but
a setting of the training file; sampling.yaml has the lines to copy there.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from temporay.operators.exports._base import ExportedSample, ExportFormat, Purpose, rate_and_most
from temporay.operators.files import write_json, write_text

NAME = "temporay"  # what ``dataset:`` of a training file says
DATA_FILE, INFO_FILE, SETTINGS_FILE = "temporay.json", "dataset_info.json", "sampling.yaml"
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
        settings = folder / SETTINGS_FILE
        rate, most_frames = rate_and_most(exported)
        write_text(settings, f"dataset: {NAME}\nvideo_fps: {rate:g}\nvideo_maxlen: {most_frames}\n")
        return [data, info, settings]
