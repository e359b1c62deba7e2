"""TOMATO (arXiv 2410.23266): rotation, direction, count, shape, velocity and visual cues, which need many frames.

The official protocol is the authors' parser, followed by lmms-eval's where the authors ask a language model: the first
capital letter of an option anywhere, and "A" for a reply without one.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import Field
from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol
from temporay.operators.benchmarks._choice import (
    ChoiceBenchmark,
    Forms,
    accuracies,
    accuracies_by,
    letter_index,
    mmmu_choice,
)
from temporay.operators.benchmarks._files import Row, find_file, read_object
from temporay.operators.records import LETTERS

SIZES = {
    "count": 292,
    "direction": 403,
    "rotation": 286,
    "shape&trend": 223,
    "velocity&frequency": 210,
    "visual_cues": 70,
}
SUFFIXES = (".mp4", ".mov", ".MP4")
BARE_LETTER: Forms = (("{}", "({})"),)  # any capital letter of an option, of which the last in brackets is taken
_STATED = re.compile(r"Answer is:?\(?([A-Fa-f])\)?")


class Tomato(ChoiceBenchmark):
    """1,484 questions with three to seven options."""

    frames: int = Field(default=16, ge=1)  # how many are shown: the prompt tells it

    title = "TOMATO"
    source = "https://github.com/yale-nlp/TOMATO"
    license = "none stated in its repository"
    how_to_get = "copy the folder data of github.com/yale-nlp/TOMATO, and unpack its videos into videos"
    metric = "accuracy over all questions, by kind of reasoning and by who moves"
    differs = (
        "official takes any capital letter for an answer, and A for a reply without one; "
        "strict reads one option or none"
    )
    num_frames = 16
    system_text = "You are an expert in understanding dynamics of objects."
    published_sizes = SIZES

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for task in SIZES:
            path = find_file(folder, (f"data/{task}.json", f"{task}.json"), self.how_to_get)
            for number, fields in read_object(path).items():
                row = Row(fields if isinstance(fields, dict) else {}, f"{path}, question {number}")
                options, index = row.texts("options"), int(row.number("answer"))
                if not 0 <= index < len(options):
                    raise row.fault(f"its answer is {index}, but there are {len(options)} options")
                mover = row.text("demonstration_type")
                video = f"videos/{mover}/{row.text('key')}"
                found = (f"{video}{suffix}" for suffix in SUFFIXES if (folder / f"{video}{suffix}").exists())
                yield BenchmarkItem(
                    id=f"{task}/{number}",
                    task=task,
                    question=row.text("question"),
                    options=options,
                    gold=index,
                    videos=(next(found, f"{video}.mp4"),),
                    cluster=video,
                    extra={"demonstration_type": mover},
                )

    def prompt(self, item: BenchmarkItem) -> str:
        options = {LETTERS[n]: option for n, option in enumerate(item.options)}
        return (
            f"You will be provided with {self.frames} separate frames uniformly sampled from a video, the frames are "
            "provided in chronological order of the video. Analyze these frames and provide the answer to the question "
            "about the video content. Answer the multiple-choice question about the video content. \n\nYou must use "
            "these frames to answer the multiple-choice question; do not rely on any "
            "externel knowledge or commonsense. \n\n"  # codespell:ignore externel
            f"<question> \n{item.question} \n</question>\n\n<options> \n{options} \n</options>\n\nEven if the "
            "information in these separate frames is not enough to answer the question, PLEASE TRY YOUR BEST TO GUESS "
            "AN ANSWER WHICH YOU THINK WOULD BE THE MOST POSSIBLE ONE BASED ON THE QUESTION. \n\nDO NOT GENERATE "
            "ANSWER SUCH AS 'NOT POSSIBLE TO DETERMINE.' \n"
        )

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        bare = text.strip()
        whole = [f"{LETTERS[n]}: {option}" for n, option in enumerate(item.options)]
        if bare.upper() in whole:
            return whole.index(bare.upper())
        stated = _STATED.fullmatch(bare)
        found = letter_index(stated[1] if stated else bare, len(item.options))
        if found is None:
            found = mmmu_choice(text, item.options, BARE_LETTER)
        return 0 if found is None else found

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        return accuracies(scored) | accuracies_by(scored, "demonstration_type")
