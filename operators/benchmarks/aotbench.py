"""AoTBench (arXiv 2506.03340): whether a video is played forward or backward, and what follows from that.

The official protocol is that of ``zihuixue/seeAoT``. Besides the accuracy, ``divergence`` tells how much a model's
options change when the same video is played backward (the paper's TDS).
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem
from temporay.operators.benchmarks._choice import ChoiceBenchmark, first_letter, gold_letter, options_in_question

SETS = ("ReverseFilm", "UCF101", "Rtime_t2v", "Rtime_v2t", "AoTBench_QA")


class Aotbench(ChoiceBenchmark):
    """Five sets: reversed films, actions, video and text matched in both directions, and chosen questions."""

    title = "AoTBench"
    source = "https://huggingface.co/datasets/sherryxzh/AoTBench"
    license = "as the page of the dataset states"
    how_to_get = "download the dataset sherryxzh/AoTBench from the Hub as the folder data"
    metric = "accuracy of every set"
    differs = "official reads the first character alone; strict reads one option or none"
    num_frames = 16
    max_tokens = 1024

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for name in SETS:
            places = (f"data_files/input/{name}.json", f"data/data_files/input/{name}.json", f"{name}.json")
            for row in self.rows(folder, *places):
                question = row.text("question")
                options = options_in_question(question)
                yield BenchmarkItem(
                    id=f"{name}/{row.text('qa_idx')}",
                    task=name,
                    question=question,
                    options=options,
                    gold=gold_letter(row, "ans", len(options)),
                    videos=(row.text("video_name"),),
                    cluster=row.text("video_name"),
                )

    def prompt(self, item: BenchmarkItem) -> str:
        return item.question

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        return first_letter(text, len(item.options)) if text[:1].isupper() else None


def divergence(forward: Sequence[float], reverse: Sequence[float]) -> float:
    """Return KL(forward ‖ reverse) in nats, of the probabilities of the options as the first token.

    Raises:
        ValueError: the two have not the same length, or a probability is not above 0.
    """
    if len(forward) != len(reverse) or min([*forward, *reverse], default=0.0) <= 0:
        raise ValueError(f"two lists of positive probabilities are needed, not {forward!r} and {reverse!r}")
    scales = sum(forward), sum(reverse)
    pairs = [(p / scales[0], q / scales[1]) for p, q in zip(forward, reverse, strict=True)]
    return sum(p * math.log(p / q) for p, q in pairs)
