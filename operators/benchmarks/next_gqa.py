"""NExT-GQA (arXiv 2309.01327): why and how something happens, and the span of the video that shows it.

The metrics are those of ``doc-doc/NExT-GQA``. The authors' own models ground by their attention, and a model that
writes needs a prompt: it is VideoAuto-R1's, which lmms-eval has too.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.benchmarks._choice import lettered, same_option
from temporay.operators.benchmarks._files import Row, find_file, read_object, read_rows
from temporay.operators.benchmarks._span import recalls
from temporay.operators.records import LETTERS, TimeSpan
from temporay.operators.scoring.lenient import lenient_choice, plain_choice, plain_span
from temporay.operators.scoring.spans import inside_share, only_span, spans_in, temporal_iou

PLACES = ("", "nextgqa/", "datasets/nextgqa/")
NUM_OPTIONS = 5
SIZES: dict[str, dict[str, int]] = {
    "test": {"CW": 2456, "TN": 1356, "TC": 852, "CH": 796, "TP": 93},
    "val": {"CW": 1474, "TN": 879, "CH": 481, "TC": 472, "TP": 52},
}
GROUNDED = 0.5  # the least IoP of an answer that counts as grounded
Grounded = tuple[int | None, TimeSpan | None]  # the option, and the span that shows it


class NextGqa(Benchmark):
    """5,553 questions with five options over 990 videos (test). ``score`` is 1 for the right option."""

    split: Literal["test", "val"] = "test"

    title = "NExT-GQA"
    source = "https://github.com/doc-doc/NExT-GQA"
    license = "MIT"
    how_to_get = (
        "copy datasets/nextgqa from github.com/doc-doc/NExT-GQA, and the videos of NExT-QA into videos/<video_id>.mp4"
    )
    metric = "Acc@GQA: the right option with an IoP of at least 0.5; mean IoP and IoU"
    differs = (
        "official skips questions without a span, and gives a span without length an IoP of 1 if it is inside; "
        "strict counts both as 0"
    )

    @property
    def sizes(self) -> Mapping[str, int]:
        return SIZES[self.split]

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        rows = read_rows(find_file(folder, [f"{place}{self.split}.csv" for place in PLACES], self.how_to_get))
        path = find_file(folder, [f"{place}gsub_{self.split}.json" for place in PLACES], self.how_to_get)
        grounds = read_object(path)
        for row in rows:
            video, number = row.text("video_id"), row.text("qid")
            spans = _spans(row, grounds.get(video), number)
            options = tuple(row.text(f"a{n}") for n in range(NUM_OPTIONS))
            index = row.index_of(row.text("answer"), options)
            yield BenchmarkItem(
                id=f"{video}_{number}",
                task=row.text("type"),
                question=row.text("question"),
                options=options,
                gold=(index, spans[0]),
                spans=spans,
                videos=(f"videos/{video}.mp4",),
                cluster=video,
                extra={"duration_s": grounds[video]["duration"]},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return (
            f"Question: {item.question}\nOptions:\n{lettered(item.options)}\nPlease answer the question, and then "
            "provide the video segment that best supports your answer. The start and end timestamps must be in seconds "
            "with exactly one decimal place.\nOutput format: answer <> [start, end]. For example: A <> [20.3, 30.8]"
        )

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> Grounded | None:
        said, _, ground = plain_span(text).partition("<>")
        index = plain_choice(said, item.options)
        span = only_span(ground) if protocol == "strict" else next(iter(spans_in(ground)), None)
        return None if index is None and span is None else (index, span)

    def read_leniently(self, item: BenchmarkItem, text: str) -> Grounded | None:
        said, _, ground = text.rpartition("<>") if "<>" in text else (text, "", text)
        index, span = lenient_choice(said, item.options), only_span(ground)
        return None if index is None and span is None else (index, span)

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        index, span = answer
        return LETTERS[index] if span is None else f"{LETTERS[index]} <> [{span[0]}, {span[1]}]"

    def choose(self, item: BenchmarkItem, index: int) -> Grounded:
        return index, None

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        index, said = answer or (None, None)
        right = float(same_option(item, index, item.gold[0]))
        if said is None:
            return {"score": right, "grounded": 0.0, "iop": 0.0, "iou": 0.0}
        iop = max(_iop(said, true, protocol) for true in item.spans)
        iou = max(temporal_iou(said, true) for true in item.spans)
        return {"score": right, "grounded": float(right and iop >= GROUNDED), "iop": iop, "iou": iou}

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        has_span = [one for one in scored if one.answer is not None and one.answer[1] is not None]
        counted = scored if protocol == "strict" else has_span
        iop, iou = recalls(counted, "IoP@{}", "iop"), recalls(counted, "IoU@{}", "iou")
        return {
            "Acc@GQA": percent(one.values["grounded"] for one in counted),
            "accuracy": percent(one.values["score"] for one in scored),
            "mIoP": percent(one.values["iop"] for one in counted),
            **{name: iop[name] for name in ("IoP@0.3", "IoP@0.5")},
            "mIoU": percent(one.values["iou"] for one in counted),
            **iou,
        }


def _iop(said: TimeSpan, true: TimeSpan, protocol: ScoringProtocol) -> float:
    if protocol == "official" and said[0] == said[1]:
        return float(true[0] <= said[0] <= true[1])
    return inside_share(said, true)


def _spans(row: Row, ground: Any, number: str) -> tuple[TimeSpan, ...]:
    """Return all spans that show the answer to one question, s."""
    try:
        return tuple((float(start), float(end)) for start, end in ground["location"][number])
    except (TypeError, KeyError, ValueError):
        raise row.fault("its spans are not in the file gsub_*.json beside it") from None
