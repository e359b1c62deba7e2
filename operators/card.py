"""README.md of a dataset: a Hugging Face dataset card, made from the index, the recipe and the audit.

Only what the dataset's own files say goes in, so the same dataset has the same card.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from operators.shards import AUDIT_FILE, DEAD_LETTER_FILE, RECIPE_FILE, ROW_SCHEMA, Dataset, whole_file

SIZE_LIMITS = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
COCO_LICENSES = {  # ids of the `licenses` list in COCO's annotation files
    1: "CC BY-NC-SA 2.0",
    2: "CC BY-NC 2.0",
    3: "CC BY-NC-ND 2.0",
    4: "CC BY 2.0",
    5: "CC BY-SA 2.0",
    6: "CC BY-ND 2.0",
    7: "no known copyright restrictions",
    8: "United States Government work",
}
FEATURE_TYPES = {pa.string(): "string", pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool"}
USE = """## Use

```python
from operators.shards import Dataset                      # temporay: random access, rendered again when virtual
dataset = Dataset.open(Path("."))
dataset.sample(0), dataset.frames(0)

import datasets                                           # or any WebDataset reader; `json` is a row, `mp4` the clip
rows = datasets.load_dataset("webdataset", data_files="shard-*.tar", split="train")
```"""


def write_card(folder: Path) -> None:
    """Writes README.md into a finished dataset."""
    dataset = Dataset.open(folder)
    sections = [
        front_matter(dataset),
        _introduction(dataset),
        _answers(dataset),
        _audit(folder),
        _sources(dataset),
        _dropped(folder),
        USE,
    ]
    with whole_file(folder / "README.md") as file:
        file.write(("\n\n".join(section for section in sections if section) + "\n").encode())


def front_matter(dataset: Dataset) -> str:
    """The YAML block; ``features`` keeps loaders from guessing types from the first rows."""
    split = dataset.recipe.split
    size = next((name for limit, name in SIZE_LIMITS if len(dataset) < limit), "n>1M")
    mp4 = "  - name: mp4\n    dtype: video\n" if dataset.recipe.storage == "mp4" else ""
    columns = "".join(_feature(field) for field in ROW_SCHEMA)
    return (
        "---\n"
        f"pretty_name: temporay {split}\n"
        "task_categories:\n- video-text-to-text\n- question-answering\n"
        "tags:\n- temporal-reasoning\n- synthetic\n"
        f"size_categories:\n- {size}\n"
        f'configs:\n- config_name: default\n  data_files:\n  - split: {split}\n    path: "shard-*.tar"\n'
        f"dataset_info:\n  features:\n  - name: __key__\n    dtype: string\n  - name: __url__\n    dtype: string\n{mp4}"
        f"  - name: json\n    struct:\n{columns}---"
    )


def _feature(field: pa.Field) -> str:
    start = f"    - name: {field.name}\n"
    if field.name == "messages":
        inner = "".join(f"      - name: {part}\n        dtype: string\n" for part in ("role", "content"))
        return f"{start}      list:\n{inner}"
    if field.name == "options":
        return f"{start}      list: string\n"
    return f"{start}      dtype: {FEATURE_TYPES[field.type]}\n"


def _introduction(dataset: Dataset) -> str:
    recipe = dataset.recipe
    recorded = json.loads((dataset.path / RECIPE_FILE).read_text())
    stored = "mp4 (h264)" if recipe.storage == "mp4" else "rows only; frames are rendered from the recipe"
    return (
        f"# temporay, split {recipe.split}\n\n"
        f"{len(dataset)} multiple-choice questions about time in video, with chains of thought. Every clip was made "
        "from an event log, from which question, answer and reasoning were computed.\n\n"
        + _table(
            ("setting", "value"),
            [
                ("recipe", f"`{recorded['recipe_hash']}` (recipe.json)"),
                ("generator version", recorded["identity"]["generator_version"]),
                ("seed", recipe.seed),
                ("level", recipe.level),
                ("frame", f"{recipe.canvas.width} x {recipe.canvas.height} px, {recipe.canvas.fps:g} fps"),
                ("clips", stored),
                ("answers", f"between answer tags, as {recipe.answer_format}"),
            ],
        )
    )


def _answers(dataset: Dataset) -> str:
    by_task: dict[str, list[Mapping[str, Any]]] = {}
    for row in dataset.rows:
        by_task.setdefault(row["task"], []).append(row)
    lines = []
    for task, rows in sorted(by_task.items()):
        letters = Counter(row["answer"] for row in rows)
        frames = [row["num_frames"] for row in rows]
        balance = ", ".join(f"{letter} {100 * n / len(rows):.1f} %" for letter, n in sorted(letters.items()))
        lines.append((task, len(rows), balance, f"{min(frames)} to {max(frames)}"))
    return "## Tasks and answers\n\n" + _table(("task", "samples", "right letter", "frames"), lines)


def _audit(folder: Path) -> str:
    if not (folder / AUDIT_FILE).exists():
        return "## Audit\n\nNot audited yet: `temporay audit` says what can be guessed without watching."
    result = json.loads((folder / AUDIT_FILE).read_text())
    lines = []
    for task in result["tasks"]:
        worst = max(task["attacks"], key=lambda attack: float(attack["z"]), default=None)
        found = (
            f"{worst['attack']}: {100 * worst['accuracy']:.1f} % (chance {100 * worst['chance']:.1f} %)"
            if worst
            else "-"
        )
        verdict = "too few samples" if not task["judged"] else "passed" if task["passed"] else "FAILED"
        lines.append((task["task"], found, verdict))
    return "## Audit\n\nStrongest guess without watching, of all attacks in audit.json.\n\n" + _table(
        ("task", "strongest attack", "verdict"), lines
    )


def _sources(dataset: Dataset) -> str:
    shown = {s["file_name"]: s for row in dataset.rows for s in json.loads(row["sources_json"])}
    if not shown:
        return "## Sources\n\nAll frames are drawn; there is no third-party material."
    licenses = Counter(source["license_id"] for source in shown.values())
    lines = [
        (COCO_LICENSES.get(license_id, f"license id {license_id}"), n)
        for license_id, n in sorted(licenses.items(), key=lambda item: str(item[0]))
    ]
    note = (
        "Drawn scenes; there is no third-party material."
        if dataset.recipe.coco.captions is None
        else "Captions: COCO Consortium, CC BY 4.0. Each row names its images and their addresses in `sources_json`."
    )
    return f"## Sources\n\n{note}\n\n" + _table(("licence of the image", "images shown"), lines)


def _dropped(folder: Path) -> str:
    if not (folder / DEAD_LETTER_FILE).exists():
        return ""
    return f"## Left out\n\nSamples that could not be made are listed with their reasons in {DEAD_LETTER_FILE}."


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
