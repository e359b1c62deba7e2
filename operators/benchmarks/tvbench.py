"""TVBench (arXiv 2410.07752): 10 tasks made so that neither one frame nor the text alone answers them.

The official protocol is that of ``daniel-cores/tvbench``: its system text, its question block, and an answer that is
made to begin with "Best option:(". Of two tasks only a part of the video is shown, in both protocols; lmms-eval shows
all of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem
from temporay.operators.benchmarks._choice import ChoiceBenchmark, first_token_fits, lettered
from temporay.operators.benchmarks._task_files import read_task

SIZES = {
    "action_antonym": 320,
    "action_count": 536,
    "action_localization": 160,
    "action_sequence": 437,
    "egocentric_sequence": 200,
    "moving_direction": 232,
    "object_count": 148,
    "object_shuffle": 225,
    "scene_transition": 185,
    "unexpected_action": 82,
}


class Tvbench(ChoiceBenchmark):
    """2,525 questions with two to four options."""

    title = "TVBench"
    source = "https://huggingface.co/datasets/FunAILab/TVBench"
    license = "CC-BY-4.0"
    how_to_get = (
        "download the dataset FunAILab/TVBench from the Hub, with its folders json and video (the videos of "
        "action_antonym are those of NTU RGB+D, whose authors give them on request)"
    )
    metric = "accuracy over all questions, and by task"
    differs = (
        "official takes the first word of a reply for right if it fits the right letter, even an empty one; "
        "strict reads one option or none"
    )
    num_frames = 16
    max_tokens = 200
    system_text = (
        "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
        "objects, and the action and pose of persons. Based on your observations, select the best option that "
        "accurately addresses the question.\n"
    )
    answer_start = "Best option:("
    published_sizes = SIZES

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for task in SIZES:
            for _, item in read_task(folder, task, self.how_to_get):
                video = f"video/{task}/{item.videos[0]}"
                yield replace(item, videos=(video,), cluster=video)

    def prompt(self, item: BenchmarkItem) -> str:
        options = lettered(item.options, "({letter}) {option}")
        return f"Question: {item.question}\nOptions:\n{options}\nOnly give the best option."

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        return first_token_fits(item, text.removeprefix(self.answer_start.removesuffix("(")))
