"""Vinoground (arXiv 2410.02763): two videos whose captions have the same words in another order.

Of every pair four questions are asked: which caption fits each video (text), and which of two videos, shown one after
the other, fits each caption (video). Chance is 25 for the text and the video score of pairs, and 16.7 for the group.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol
from temporay.operators.benchmarks._choice import (
    ChoiceBenchmark,
    accuracies,
    first_letter,
    gold_letter,
    options_in_question,
)
from temporay.operators.benchmarks._groups import all_right, grouped

NUM_PAIRS = 500
FILES = {
    "text": ("vinoground_textscore.json", "vinoground_videos/vinoground_textscore.json"),
    "video": ("vinoground_videoscore.json", "vinoground_videos_concated/vinoground_videoscore.json"),
}


class Vinoground(ChoiceBenchmark):
    """2,000 questions about 500 pairs."""

    title = "Vinoground"
    source = "https://huggingface.co/datasets/HanSolo9682/Vinoground"
    license = "as the page of the dataset states"
    how_to_get = "download the dataset HanSolo9682/Vinoground from the Hub and unpack both archives of videos"
    metric = "share of pairs with both text questions, both video questions, and all four right"
    differs = "official reads the first character alone; strict reads one option or none"
    max_tokens = 16
    published_sizes = dict.fromkeys(FILES, 2 * NUM_PAIRS)

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        categories = {
            row.text("index"): [row.text("major"), *filter(None, str(row.fields.get("minor") or "").split(";"))]
            for row in self.rows(folder, "vinoground.csv")
        }
        for task, names in FILES.items():
            for row in self.rows(folder, *names):
                pair, _, side = row.text("idx").partition("_")
                question = row.text("question")
                options = options_in_question(question)
                yield BenchmarkItem(
                    id=f"{pair}_{side}_{task}",
                    task=task,
                    question=question,
                    options=options,
                    gold=gold_letter(row, "GT", len(options)),
                    videos=(row.text("video_name"),),
                    cluster=pair,  # its two videos are made to be alike
                    group=pair,
                    role=f"{side}_{task}",
                    extra={"categories": categories.get(pair, [])},
                )

    def prompt(self, item: BenchmarkItem) -> str:
        return f"{item.question}\nPlease only output one English character."

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        return first_letter(text, len(item.options))

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        categories = sorted({name for one in scored for name in one.item.extra["categories"]})
        table = _scores(scored, "")
        for category in categories:
            table |= _scores([one for one in scored if category in one.item.extra["categories"]], f", {category}")
        return table | accuracies(scored)


def _scores(scored: Sequence[ScoredItem], suffix: str) -> dict[str, float]:
    tasks = {task: grouped(one for one in scored if one.item.task == task) for task in FILES}
    return {
        f"group score{suffix}": all_right(grouped(scored)),
        f"text score{suffix}": all_right(tasks["text"]),
        f"video score{suffix}": all_right(tasks["video"]),
    }
