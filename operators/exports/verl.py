"""verl: Parquet as its RLHFDataset reads it (https://verl.readthedocs.io/en/latest/preparation/prepare_data.html).

A video is a dict in Qwen2-VL's form with an absolute path. ``fps`` and ``max_frames`` are those of the recipe's
sampling.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from temporay.operators.exports._base import ExportedSample, ExportFormat, Purpose

MIN_FRAMES = 2  # Qwen2-VL reads frames in twos; its default of 4 would repeat those of shorter clips
TEXT, COUNT = pa.string(), pa.int64()
TURNS = pa.list_(pa.struct({"role": TEXT, "content": TEXT}))
VIDEOS = pa.list_(
    pa.struct({"type": TEXT, "video": TEXT, "fps": pa.float64(), "min_frames": COUNT, "max_frames": COUNT})
)
EXTRA = pa.struct({"id": TEXT, "index": COUNT, "split": TEXT, "task": TEXT, "level": COUNT, "answer_format": TEXT})
SCHEMAS: dict[Purpose, pa.Schema] = {
    "rl": pa.schema(
        {
            "data_source": TEXT,
            "prompt": TURNS,
            "videos": VIDEOS,
            "ability": TEXT,
            "reward_model": pa.struct({"style": TEXT, "ground_truth": TEXT}),
            "extra_info": EXTRA,
        }
    ),
    "sft": pa.schema({"data_source": TEXT, "messages": TURNS, "videos": VIDEOS, "extra_info": EXTRA}),
}


class Verl(ExportFormat):
    """Parquet for GRPO or multi-turn fine-tuning."""

    purposes: ClassVar[tuple[Purpose, ...]] = ("rl", "sft")

    def write(self, exported: Sequence[ExportedSample], folder: Path, *, purpose: Purpose, root: Path) -> list[Path]:
        path = folder / f"{purpose}.parquet"
        rows = [_row(one, n, purpose, root) for n, one in enumerate(exported)]
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[purpose]), path)
        return [path]


def _row(one: ExportedSample, n: int, purpose: Purpose, root: Path) -> dict[str, Any]:
    sample = one.sample
    video = {
        "type": "video",
        "video": str(root / one.clip),
        "fps": one.rate,
        "min_frames": MIN_FRAMES,
        "max_frames": max(MIN_FRAMES, one.most_frames),
    }
    row = {
        "data_source": f"temporay/{sample.address.task}",  # verl chooses the reward and averages by it
        "videos": [video],
        "extra_info": {
            "id": sample.key,
            "index": n,
            "split": sample.address.split,
            "task": sample.address.task,
            "level": sample.address.level,
            "answer_format": sample.question.answer_format,
        },
    }
    if purpose == "sft":
        return {**row, "messages": one.messages}
    truth = {"style": "rule", "ground_truth": sample.question.answer}
    return {**row, "prompt": one.messages[:-1], "ability": "temporal_reasoning", "reward_model": truth}
