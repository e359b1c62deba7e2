"""``temporay preview``: one offline page that plays samples of a dataset and shows the truth behind each question."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import tyro
from PIL import Image
from pydantic import Field
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.shards import DEAD_LETTER_FILE
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.pages.contact_sheet import contact_sheet
from temporay.operators.pages.gallery import dead_letter, gallery
from temporay.operators.pages.page import page, write_page
from temporay.operators.pages.sample_card import sample_card
from temporay.operators.settings import Settings
from temporay.workflows.reports.sample_viewer import SampleViewer


class PreviewConfig(Settings):
    """Settings of ``temporay preview``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``
    out: Path = Path("preview.html")
    picture: Path | None = None  # also a PNG: a row of frames per sample, with what is asked beneath
    per_task: Annotated[int, Field(ge=1)] = 8  # samples of each task, the first ones; both twins of a pair are shown


def run(config: PreviewConfig) -> Path:
    """Write the page, and the picture if one is asked for.

    Raises:
        UserError: there is no finished dataset, a clip for the picture cannot be read, or a file cannot be written.
    """
    dataset = Dataset.open(config.data)
    groups = first_of_each_task(dataset, config.per_task)
    viewer = SampleViewer.open(dataset)
    shown = [[viewer.shown(i) for i in group] for group in groups]
    cards = [sample_card(samples) for samples in shown]
    cards += [dead_letter(row) for row in first_dead_letters(dataset, config.per_task)]
    num_shown = sum(len(group) for group in groups)
    tasks = dataset.table["task"].value_counts()
    lead = f"{num_shown} of {len(dataset)} samples of {len(tasks)} tasks, split {dataset.recipe.split}."
    text = page(f"Preview of {config.data.absolute().name}", lead, gallery(cards))
    write_page(config.out, text, "give another --out")
    num_broken = sum(bool(one.fault) for samples in shown for one in samples)
    broken = f", {num_broken} of them without a clip that can be played (`temporay lint` says why)"
    print(f"{num_shown} samples{broken if num_broken else ''}: {config.out}")
    if config.picture is not None:
        draw_picture(dataset, [i for group in groups for i in group], config.picture)
        print(f"picture: {config.picture}")
    return config.out


def draw_picture(dataset: Dataset, indices: Sequence[int], path: Path) -> None:
    """Write a contact sheet of some samples as a PNG, for any file name."""
    try:
        sheet_HWC = contact_sheet([(dataset.sample(i), dataset.frames(i)) for i in indices])
    except SampleRejected as error:
        raise UserError(f"a clip of {dataset.path} cannot be read ({error}); make the dataset again") from error
    try:
        Image.fromarray(sheet_HWC).save(path, format="PNG", optimize=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; give another --picture") from error


def first_of_each_task(dataset: Dataset, per_task: int) -> list[list[int]]:
    """Return indices of the first samples of every task, in the dataset's order; a twin pair is one entry."""
    seen: Counter[str] = Counter()
    by_pair: dict[str, list[int]] = {}
    for i, row in enumerate(dataset.rows):
        if row["pair_id"] in by_pair or seen[row["task"]] < per_task:
            by_pair.setdefault(row["pair_id"], []).append(i)
            seen[row["task"]] += 1
    return list(by_pair.values())


def first_dead_letters(dataset: Dataset, per_reason: int) -> Iterator[dict[str, str]]:
    """Yield the first failed samples of every reason."""
    path = dataset.path / DEAD_LETTER_FILE
    seen: Counter[str] = Counter()
    for row in pq.read_table(path).to_pylist() if path.is_file() else []:
        seen[row["reason"]] += 1
        if seen[row["reason"]] <= per_reason:
            yield row
