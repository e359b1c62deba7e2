"""README.md of a dataset: a Hugging Face dataset card, made from the index, the markers, the recipe and the audit.

Beside it ATTRIBUTION.tsv names every photograph shown. Both are made from the dataset's own files alone, so the same
dataset has the same card.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image
from temporay.operators.dataset.ideal_table import tables
from temporay.operators.dataset.label_check import Verdict
from temporay.operators.dataset.licenses import license_name
from temporay.operators.dataset.markers import REPLACED, counts_of, labels_checked, read_markers
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.rows import NUMBER, ROW_SCHEMA
from temporay.operators.dataset.shards import AUDIT_FILE, DEAD_LETTER_FILE
from temporay.operators.files import whole_file, write_text
from temporay.operators.pages.contact_sheet import contact_sheet
from temporay.operators.sampling import COMMON_SAMPLINGS

ATTRIBUTION_FILE = "ATTRIBUTION.tsv"
SHEET_FILE = "samples.png"
SIZE_LIMITS = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
AUDIT_TIERS = (
    ("priors", "A. Answer letters, option texts and lengths:"),
    ("forest", "B. Forests on everything but pixels:"),
    ("pixels", "C. One frame, or all frames in no order (chance: what the primitive promises at most):"),
)
IDEAL = (
    "D. What perfect eyes guess from parts of the clip, in percent. `solved`: the same probe with everything shown, "
    "without which the others prove nothing. [n]: what the primitive declares to be inherent. An exclamation mark: "
    "over its bound."
)
USE = """## Use

```python
from temporay.operators.dataset.reader import Dataset
dataset = Dataset.open(Path("."))
dataset.sample(0), dataset.frames(0)

import datasets                                           # or any WebDataset reader; `json` is a row, `mp4` the clip
rows = datasets.load_dataset("webdataset", data_files="shard-*.tar", split="train")
```"""


def write_card(folder: Path) -> None:
    """Write README.md, and ATTRIBUTION.tsv when photographs are shown, into a finished dataset."""
    dataset = Dataset.open(folder)
    shown = images_shown(dataset)
    if shown and dataset.recipe.coco.captions is not None:
        write_attribution(folder / ATTRIBUTION_FILE, shown)
    sections = [
        front_matter(dataset),
        _introduction(dataset),
        f"![The first sample of every task]({SHEET_FILE})" if (folder / SHEET_FILE).exists() else "",
        _answers(dataset),
        _sampling(dataset),
        _audit(folder),
        _labels(dataset),
        _sources(dataset, shown),
        _left_out(dataset),
        USE,
    ]
    write_text(folder / "README.md", "\n\n".join(section for section in sections if section) + "\n")


def write_sheet(folder: Path) -> None:
    """Write a contact sheet with the first sample of every task; ``write_card`` then shows it."""
    dataset = Dataset.open(folder)
    first: dict[str, int] = {}
    for i, task in enumerate(dataset.table["task"].to_pylist()):
        first.setdefault(task, i)
    sheet_HWC = contact_sheet([(dataset.sample(i), dataset.frames(i)) for i in first.values()])
    with whole_file(folder / SHEET_FILE) as file:
        Image.fromarray(sheet_HWC).save(file, format="PNG", optimize=True)


def front_matter(dataset: Dataset) -> str:
    """Return the YAML block. Its ``features`` keep loaders from guessing types from the first rows."""
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
    start, kind = f"    - name: {field.name}\n", field.type
    if not pa.types.is_list(kind):
        return f"{start}      dtype: {'float64' if kind == NUMBER else kind}\n"
    if not pa.types.is_struct(kind.value_type):
        return f"{start}      list: {kind.value_type}\n"
    return f"{start}      list:\n" + "".join(
        f"      - name: {f.name}\n        dtype: {f.type}\n" for f in kind.value_type
    )


def _introduction(dataset: Dataset) -> str:
    recipe = dataset.recipe
    recorded = dataset.recorded
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
                ("level", ", ".join(map(str, recipe.levels or (recipe.level,)))),
                ("frame", ", ".join(f"{width} x {height} px" for width, height in recipe.all_sizes)),
                ("rate", f"{', '.join(f'{fps:g}' for fps in recipe.all_rates)} fps"),
                ("world", f"{', '.join(recipe.lightings)}; surfaces {', '.join(recipe.surfaces)}"),
                ("sampling", f"made for {recipe.canvas.sampling.told()}"),
                ("clips", stored),
                ("answers", f"between answer tags, as {recipe.answer_format}"),
            ],
        )
    )


def _answers(dataset: Dataset) -> str:
    letters: dict[str, Counter[str]] = {}
    lengths: dict[str, list[int]] = {}
    columns = [dataset.table[name].to_pylist() for name in ("task", "answer", "num_frames")]
    for task, answer, num_frames in zip(*columns, strict=True):
        letters.setdefault(task, Counter())[answer] += 1
        lengths.setdefault(task, []).append(num_frames)
    lines = []
    for task, counts in sorted(letters.items()):
        total = counts.total()
        balance = ", ".join(f"{letter} {100 * n / total:.1f} %" for letter, n in sorted(counts.items()))
        lines.append((task, total, balance, f"{min(lengths[task])} to {max(lengths[task])}"))
    return "## Tasks and answers\n\n" + _table(("task", "samples", "right letter", "frames"), lines)


def _sampling(dataset: Dataset) -> str:
    """Tell how many answers of every task can still be read off at common rates and numbers of frames."""
    if "survives" not in dataset.table.column_names:
        return ""
    kept: dict[str, Counter[str]] = {}
    for task, names in zip(dataset.table["task"].to_pylist(), dataset.table["survives"].to_pylist(), strict=True):
        kept.setdefault(task, Counter()).update(["all", *names])
    lines = [(t, *(f"{100 * n[name] / n['all']:.0f} %" for name in COMMON_SAMPLINGS)) for t, n in sorted(kept.items())]
    return (
        f"## Sampling\n\nEvery sample is made for a model that is shown {dataset.recipe.canvas.sampling.told()}. The "
        "table tells how many keep their answer under other samplings; `survives` names them for each row.\n\n"
        + _table(("task", *COMMON_SAMPLINGS), lines)
    )


def _audit(folder: Path) -> str:
    if not (folder / AUDIT_FILE).exists():
        return "## Audit\n\nNot audited yet: `temporay audit` says what can be guessed without watching."
    result = json.loads((folder / AUDIT_FILE).read_text())
    tiers = [_audit_tier(result["tasks"], *tier) for tier in AUDIT_TIERS]
    ideal = [_table(header, lines) for header, lines in tables(result.get("ideal", {}).get("cells", ()))]
    ideal = [IDEAL, *ideal] if ideal else []
    verdict = f"{'Passed' if result['passed'] else 'FAILED'}: {result['num_comparisons']} comparisons, each of which "
    rule = (
        f"may be {result['z_bound']:.1f} standard errors above chance, so that of audits of fair data at most "
        f"{100 * result['family_false_alarms']:g} % fail. Every accuracy is in audit.json."
    )
    failed = "\n".join(f"- {failure}" for failure in result["failures"])
    return "\n\n".join(part for part in ("## Audit", verdict + rule, failed, *tiers, *ideal) if part)


def _audit_tier(tasks: Sequence[Mapping[str, Any]], tier: str, title: str) -> str:
    """Show the strongest attack of one tier on every primitive; return "" when the tier was not run."""
    lines = []
    for task in tasks:
        attacks = [attack for attack in task["attacks"] if attack["tier"] == tier and attack["gates"]]
        if attacks:
            worst = max(attacks, key=lambda attack: float(attack["z"]))
            accuracies = [f"{100 * worst[name]:.1f} %" for name in ("accuracy", "chance", "bound")]
            passed = all(attack["passed"] for attack in attacks)
            lines.append((task["task"], worst["attack"], *accuracies, "passed" if passed else "FAILED"))
        elif not task["judged"]:
            lines.append((task["task"], "-", "-", "-", "-", "too few samples"))
    header = ("task", "strongest attack", "accuracy", "chance", "at most", "verdict")
    return f"{title}\n\n{_table(header, lines)}" if any(line[1] != "-" for line in lines) or tier == "priors" else ""


def _labels(dataset: Dataset) -> str:
    """Tell how many answers were recovered from pixels, and how many of them differ from the log."""
    checked = labels_checked(read_markers(dataset.path, dataset.recipe.num_shards))
    if not checked:
        return "## Labels\n\nAnswers come from the event log; they were not checked against pixels."
    decided = {task: n[Verdict.AGREES] + n[Verdict.DIFFERS] for task, n in checked.items()}
    lines = [(task, decided[task], n[Verdict.DIFFERS], n[Verdict.UNSURE]) for task, n in checked.items()]
    wrong, unsure = (sum(n[verdict] for n in checked.values()) for verdict in (Verdict.DIFFERS, Verdict.UNSURE))
    pixels = "decoded" if dataset.recipe.storage == "mp4" else "rendered"
    return (
        f"## Labels\n\nLabels checked from {pixels} pixels: {sum(decided.values())}, wrong: {wrong}, not decidable: "
        f"{unsure}. A sample whose pixels lead to another answer than its event log was replaced.\n\n"
        + _table(("task", "checked", "wrong and replaced", "not decidable"), lines)
    )


def images_shown(dataset: Dataset) -> dict[int, Mapping[str, Any]]:
    """Collect every photograph that a sample shows, by image id: file name, license, address."""
    texts = set(dataset.table["sources_json"].to_pylist())
    found = {source["image_id"]: source for text in texts for source in json.loads(text)}
    return {image_id: found[image_id] for image_id in sorted(found)}


def write_attribution(path: Path, shown: Mapping[int, Mapping[str, Any]]) -> None:
    """Write one line per photograph, tab-separated."""
    lines = ["image_id\tfile_name\tlicense_id\tlicense\tsource_url"]
    for image_id, source in shown.items():
        license_id = source["license_id"]
        row = (image_id, source["file_name"], license_id, license_name(license_id), source["source_url"])
        lines.append("\t".join("" if cell is None else " ".join(str(cell).split()) for cell in row))
    write_text(path, "\n".join(lines) + "\n")


def _sources(dataset: Dataset, shown: Mapping[int, Mapping[str, Any]]) -> str:
    if not shown:
        return "## Sources\n\nAll frames are drawn; there is no third-party material."
    if dataset.recipe.coco.captions is None:
        note = "Drawn scenes; there is no third-party material."
    else:
        note = (
            "Captions: COCO Consortium, CC BY 4.0. Every photograph shown is named with its license and address in "
            f"{ATTRIBUTION_FILE}, and each row names its own in `sources_json`."
        )
    licenses = Counter(license_name(source["license_id"]) for source in shown.values())
    return f"## Sources\n\n{note}\n\n" + _table(("license of the image", "images shown"), sorted(licenses.items()))


def _left_out(dataset: Dataset) -> str:
    """Tell how many images the allowed licenses left, and why addresses were replaced."""
    dropped = dataset.recorded["dropped_from_source"]
    parts = []
    if dataset.recipe.shows_images and dataset.recipe.coco.captions is not None:
        allowed = ", ".join(license_name(license_id) for license_id in dataset.recipe.coco.licenses)
        parts.append(
            f"Images under these licenses may be shown: {allowed}. That left {dataset.recorded['num_source_images']} "
            "images for this split."
        )
    if dropped:
        rows = [(_reason(reason), n) for reason, n in sorted(dropped.items())]
        parts.append(_table(("left out of the source files", "entries"), rows))
    replaced = counts_of(
        record for marker in read_markers(dataset.path, dataset.recipe.num_shards) for record in marker.samples
    )
    rows = [(reason.removeprefix(REPLACED), n) for reason, n in sorted(replaced.items()) if reason != "ok"]
    if rows:
        parts.append(_table(("addresses replaced by the next one", "times"), rows))
    if (dataset.path / DEAD_LETTER_FILE).exists():
        parts.append(f"Those that failed are listed in {DEAD_LETTER_FILE}; `temporay retry` makes them again.")
    return "## Left out\n\n" + "\n\n".join(parts) if parts else ""


def _reason(reason: str) -> str:
    number = reason.removeprefix("license_")
    return f"license: {license_name(int(number))}" if number.isdigit() else reason.replace("_", " ")


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
