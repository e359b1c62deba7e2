"""ms-swift: JSON lines (https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html).

GRPO gives every further column to the reward functions, so the task and the options travel with the solution.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from temporay.operators.exports._base import Exported, ExportFormat, Stage


class MsSwift(ExportFormat):
    stages: ClassVar[tuple[Stage, ...]] = ("sft", "rl")

    def write(self, exported: Sequence[Exported], folder: Path, *, stage: Stage, root: Path) -> list[Path]:
        path = folder / f"{stage}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for one in exported:
                file.write(json.dumps(_row(one, stage, root), ensure_ascii=False) + "\n")
        return [path]


def _row(one: Exported, stage: Stage, root: Path) -> dict[str, Any]:
    question = one.sample.question
    return {
        "messages": one.messages if stage == "sft" else one.messages[:-1],
        "videos": [str(root / one.clip)],
        "solution": question.answer,
        "options": list(question.options),
        "task": one.sample.address.task,
        "id": one.sample.key,
    }
