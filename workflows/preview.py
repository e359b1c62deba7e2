"""``temporay preview``: one offline page that plays samples of a dataset and shows what is asked, and why it is so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from PIL import Image
from pydantic import Field, ValidationError

from operators.contact_sheet import contact_sheet
from operators.errors import SampleRejected, UserError
from operators.page import OptionMark, card, escape, filmstrip, options, page, task_filter, timeline
from operators.records import LETTERS, Frames, Sample
from operators.shards import Dataset
from workflows.config import Config, explain


class PreviewConfig(Config):
    """Settings of ``temporay preview``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``
    out: Path = Path("preview.html")
    picture: Path | None = None  # also a PNG: a row of frames per sample, with what is asked beneath
    per_task: Annotated[int, Field(ge=1)] = 8  # samples shown of each task, the first ones


def run(config: PreviewConfig) -> Path:
    """Writes the page.

    Raises:
        UserError: there is no finished dataset, a clip for the picture cannot be read, or a file cannot be written.
    """
    dataset = Dataset.open(config.data)
    shown = first_of_each_task(dataset, config.per_task)
    cards = [sample_card(dataset, i) for i in shown]
    counts = Counter(row["task"] for row in dataset.rows)
    lead = f"{len(dataset)} samples of {len(counts)} tasks, split {dataset.recipe.split}; {len(shown)} are shown."
    shown_counts = Counter(dataset.rows[i]["task"] for i in shown)
    text = page(f"Preview of {config.data.absolute().name}", lead, task_filter(shown_counts) + "\n".join(cards))
    try:
        config.out.write_text(text)
    except OSError as error:
        raise UserError(f"cannot write {config.out}: {error.strerror}; give another --out") from error
    print(f"{len(shown)} samples: {config.out}")
    if config.picture is not None:
        draw_picture(dataset, shown, config.picture)
        print(f"picture: {config.picture}")
    return config.out


def draw_picture(dataset: Dataset, indices: Sequence[int], path: Path) -> None:
    """A contact sheet of some samples as a PNG, whatever the file is called."""
    try:
        sheet_HWC = contact_sheet([(dataset.sample(i), dataset.frames(i)) for i in indices])
    except SampleRejected as error:
        raise UserError(f"a clip of {dataset.path} cannot be read ({error}); make the dataset again") from error
    try:
        Image.fromarray(sheet_HWC).save(path, format="PNG", optimize=True)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; give another --picture") from error


def first_of_each_task(dataset: Dataset, per_task: int) -> list[int]:
    """Indices of the first samples of every task, in the dataset's order."""
    seen: Counter[str] = Counter()
    chosen = []
    for i, row in enumerate(dataset.rows):
        if seen[row["task"]] < per_task:
            chosen.append(i)
        seen[row["task"]] += 1
    return chosen


def sample_card(dataset: Dataset, i: int) -> str:
    """One sample; a clip that cannot be read is said so in its place."""
    sample = dataset.sample(i)
    try:
        return render_card(sample, dataset.frames(i))
    except SampleRejected as error:
        return card(f"<b>{escape(sample.address.task)}</b>", f'<p class="bad">{escape(error)}</p>')


def render_card(sample: Sample, frames_THWC: Frames) -> str:
    """Clip, question, options with the right one marked, chain of thought, and the event log as a timeline."""
    question = sample.question
    seconds = sample.num_frames / sample.fps
    kicker = (
        f"<b>{escape(sample.address.task)}</b><span>{sample.num_frames} frames, {seconds:.1f} s, "
        f"{sample.width} x {sample.height} px</span><span>level {sample.address.level}</span>"
        f"<code>{escape(sample.key)}</code>"
    )
    marks = [OptionMark(text=text, right=n == question.answer_index) for n, text in enumerate(question.options)]
    body = (
        filmstrip(frames_THWC, sample.fps)
        + f'<p class="ask">{escape(question.text)}</p>'
        + options(marks, LETTERS)
        + f'<p class="why">{escape(sample.rationale)} <i>Answer: {escape(question.answer)}</i></p>'
        + timeline(sample.events, 1000.0 * seconds)
    )
    return card(kicker, body, task=sample.address.task)


def main(arguments: list[str]) -> None:
    try:
        config = tyro.cli(PreviewConfig, prog="temporay preview", args=arguments)
    except ValidationError as error:
        raise UserError(explain(error)) from error
    run(config)
