"""CVBench across videos (arXiv 2508.19542): two to four videos are compared, matched or joined.

The official protocol is that of ``Hokhim2/CVBench``: eight frames a video, a title frame before and after each, and an
answer that must be the letter or the word itself. Here, titles are words between the videos, not frames.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem
from temporay.operators.benchmarks._choice import YES_NO, ChoiceBenchmark, gold_letter, lettered, without_letters
from temporay.operators.benchmarks._files import Row, placed
from temporay.operators.records import ANSWER_CLOSE, ANSWER_OPEN, LETTERS

SIZES = {
    "Cross-video Scene Recognition": 149,
    "Multi-video Key-Action Recognition": 88,
    "Cross-video Anomaly Detection": 84,
    "Multi-video Temporal Reasoning": 75,
    "Cross-video Entity Matching": 74,
    "Cross-video Object Recognition": 68,
    "Joint-video Counting": 60,
    "Multi-view Scene Understanding": 55,
    "Video Difference Caption": 55,
    "Joint-video Summarization": 52,
    "Cross-video Counterfactual Reasoning": 52,
    "Cross-video Procedural Transfer": 51,
    "Cross-video Event Retrieval": 49,
    "Multi-video Attribute Recognition": 46,
    "Joint-video Spatial Navigating": 42,
}
MAX_VIDEOS = 4
_RUN_TOGETHER = re.compile(r",\s*(?=[B-J]\. )")  # one question has all its options in one text
_TAGGED = re.compile(rf"{ANSWER_OPEN}\s*(.*?)\s*{ANSWER_CLOSE}", re.DOTALL)


class Cvbench(ChoiceBenchmark):
    """1,000 questions about two to four videos, with four options or yes and no."""

    title = "CVBench (cross-video)"
    source = "https://huggingface.co/datasets/Dongyh35/CVBench"
    license = "as the page of the dataset states"
    how_to_get = "download the dataset Dongyh35/CVBench from the Hub: CVBench.json and its folders of videos"
    metric = "accuracy over all questions, and by task"
    differs = (
        "official wants exactly the letter or word between answer tags, or as the whole reply; "
        "strict also reads it with a period, brackets or the option's words"
    )
    num_frames = 8
    max_tokens = 1024
    video_titles = ("The video {n}\n", "\nVideo {n} End\n")
    published_sizes = SIZES

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for row in self.rows(folder, "CVBench.json", "**/CVBench.json", "**/test-*.parquet"):
            options = _options(row)
            videos = [row.text(f"video_{n + 1}") for n in range(MAX_VIDEOS) if row.fields.get(f"video_{n + 1}")]
            videos = [video.replace("\\", "/") for video in videos]
            yield BenchmarkItem(
                id=row.text("id"),
                task=row.text("task_type"),
                question=row.text("question"),
                options=options,
                gold=_gold(row, options),
                lettered=options != YES_NO,
                videos=tuple(placed(folder, [video, f"CVBench/{video}", f"videos/{video}"]) for video in videos),
                cluster=videos[0].partition("/")[0] if videos else row.text("id"),  # all videos of a set share a folder
            )

    def prompt(self, item: BenchmarkItem) -> str:
        options = lettered(item.options) if item.lettered else "\n".join(item.options)
        kind, form, example = (
            ("multiple-choice", "letter (A, B, C, or D)", "letter (e.g., A, B, C, D)")
            if item.lettered
            else ("yes-no question", "word (Yes or No)", "word (e.g., Yes, No)")
        )
        return (
            f"\nSelect the best answer to the following {kind} based on the listed all videos. Respond with only the "
            f"{form} of the correct option.\n{item.question}\n{options}\nPlease think about this question as if you "
            "were a human pondering deeply. Engage in an internal "
            "dialogue using expressions such as 'let me think', "  # codespell:ignore dialogue
            "'wait', 'Hmm', 'oh, I see', 'let's break it down', etc, or other natural language thought expressions "
            "It's encouraged to include self-reflection or verification in the reasoning process. Provide your "
            "detailed reasoning between the <think> and </think> tags, and then give your final answer between the "
            "<answer> and </answer> tags.\nPlease provide only the single option "
            f"{example} within the <answer> </answer> tags."
        )

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        tagged = _TAGGED.search(text)
        said = tagged[1] if tagged and tagged[1] else text.strip()
        names = LETTERS[: len(item.options)] if item.lettered else item.options
        return list(names).index(said) if said in list(names) else None


def _options(row: Row) -> tuple[str, ...]:
    options = row.texts("options")
    if len(options) == 1:
        options = tuple(_RUN_TOGETHER.split(options[0]))
    words = tuple(option.strip(" .") for option in options)
    return YES_NO if words == YES_NO else without_letters(options)


def _gold(row: Row, options: tuple[str, ...]) -> int:
    return row.index_of(row.text("answer"), YES_NO) if options == YES_NO else gold_letter(row, "answer", len(options))
