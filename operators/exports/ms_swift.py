"""ms-swift: JSON lines (https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html).

GRPO gives every other column to the reward functions, so each row has the task and the options too.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from temporay.operators.exports._base import ExportedSample, ExportFormat, Purpose


class MsSwift(ExportFormat):
    """JSON lines with the solution, for fine-tuning or GRPO."""

    purposes: ClassVar[tuple[Purpose, ...]] = ("sft", "rl")

    def write(self, exported: Sequence[ExportedSample], folder: Path, *, purpose: Purpose, root: Path) -> list[Path]:
        path = folder / f"{purpose}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for one in exported:
                file.write(json.dumps(_row(one, purpose, root), ensure_ascii=False) + "\n")
        return [path]


def _row(one: ExportedSample, purpose: Purpose, root: Path) -> dict[str, Any]:
    question = one.sample.question
    return {
        "messages": one.messages if purpose == "sft" else one.messages[:-1],
        "videos": [str(root / one.clip)],
        "solution": question.answer,
        "options": list(question.options),
        "task": one.sample.address.task,
        "id": one.sample.key,
    }
