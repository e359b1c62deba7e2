"""Video-MME-Logical: synthetic scenes whose state must be followed to the end: cups, cards, mazes, sequences.

Answers are open and compared as normal forms: JSON without spaces, letters without a period, case and punctuation
ignored. Traces of the way to the answer, which are asked with images, are not read.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol
from temporay.operators.benchmarks._choice import accuracies, accuracies_by
from temporay.operators.benchmarks._files import placed
from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE

FILES = ("three_level_testset.json", "**/three_level_testset.json")
NUM_QUESTIONS = 3750
_ANNOUNCED = re.compile(r"^(?:the )?(?:final )?answer(?: is)?\s*[:：]?\s*", re.IGNORECASE)
_LETTER = re.compile(r"([A-Za-z])[.)]")


class VideoMmeLogical(Benchmark):
    """3,750 questions with open answers of a fixed form. ``score`` is 1 for an equal normal form."""

    title = "Video-MME-Logical"
    source = "https://huggingface.co/datasets/marcuskwan/video-mme-logical"
    license = "CC-BY-4.0"
    how_to_get = (
        "download the dataset marcuskwan/video-mme-logical from the Hub: three_level_testset.json and its videos"
    )
    metric = "share of answers whose normal form is equal to the right one"
    differs = (
        "official reads a reply without answer tags as a whole, thought included; strict reads what follows the thought"
    )

    @property
    def size(self) -> int:
        return NUM_QUESTIONS

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, *FILES):
            video, answer = row.text("video_path", "path"), row.value("answer")
            gold = normal_form(answer if isinstance(answer, str) else json.dumps(answer))
            yield BenchmarkItem(
                id=row.text("id"),
                task=row.text("category", "major", "parent_major"),
                question=row.text("question", "text"),
                gold=gold,
                videos=(placed(folder, [video.lstrip("/"), f"videos/{Path(video).name}"]),),
                cluster=video,
                extra={name: row.fields.get(name, "") for name in ("parent_major", "major", "difficulty")},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return item.question

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> str | None:
        rest = text if protocol == "official" else text.rpartition(THINK_CLOSE)[2]
        tagged = re.search(f"{ANSWER_OPEN}(.*?){ANSWER_CLOSE}", rest, re.DOTALL | re.IGNORECASE)
        return normal_form(tagged[1] if tagged else rest) or None

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        return f"{ANSWER_OPEN}{answer}{ANSWER_CLOSE}"

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        return {"score": float(answer == item.gold)}

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        return accuracies(scored) | accuracies_by(scored, "difficulty")


def normal_form(text: str) -> str:
    """Return what two answers are compared by: sorted JSON without spaces, or plain words in lower case."""
    text = _ANNOUNCED.sub("", text.strip()).strip()
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).casefold()
    except (ValueError, RecursionError):
        letter = _LETTER.fullmatch(text)
        return " ".join((letter[1] if letter else text).split()).rstrip(".,;:!?。").casefold()
