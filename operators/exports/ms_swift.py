"""ms-swift: JSON lines (https://swift.readthedocs.io/en/latest/Customization/Custom-dataset.html).

GRPO gives every other column to the reward functions, so each row has the task and the options too.

ms-swift takes the rate of videos from environment variables alone. A file beside the rows sets them:

    set -a; . OUT/sampling.env; set +a; swift rlhf …
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from temporay.operators.exports._base import ExportedSample, ExportFormat, Purpose, rate_and_most
from temporay.operators.files import write_text
from temporay.operators.sampling import MIN_FRAMES

SETTINGS_FILE = "sampling.env"


class MsSwift(ExportFormat):
    """JSON lines with the solution, for fine-tuning or GRPO."""

    purposes: ClassVar[tuple[Purpose, ...]] = ("sft", "rl")

    def write(self, exported: Sequence[ExportedSample], folder: Path, *, purpose: Purpose, root: Path) -> list[Path]:
        path = folder / f"{purpose}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for one in exported:
                file.write(json.dumps(_row(one, purpose, root), ensure_ascii=False) + "\n")
        settings = folder / SETTINGS_FILE
        rate, most_frames = rate_and_most(exported)
        write_text(settings, f"FPS={rate:g}\nFPS_MIN_FRAMES={MIN_FRAMES}\nFPS_MAX_FRAMES={most_frames}\n")
        return [path, settings]


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
