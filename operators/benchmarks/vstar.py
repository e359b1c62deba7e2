"""V-STaR (arXiv 2503.11495): what happens, when, and where, asked in two orders.

Chain 1 asks what, when, and where within the true time. Chain 2 asks what, where without a time, and when with the true
boxes given. Every question is an item of its own. In the official run a language model of 72B judges *what*. Here its
answer is compared word by word, that share has its own name, and AM and LGM, which need the judge, are not told. Boxes
are pixels of the video: a model that answers in another scale must be scaled before. The prompts are those of the
official inference_demo.py without the indentation of its source.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from temporay.operators.benchmarks._base import Benchmark, BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.benchmarks._boxes import Box, box_iou, boxes_in
from temporay.operators.benchmarks._files import Row
from temporay.operators.benchmarks._span import recalls
from temporay.operators.records import TimeSpan
from temporay.operators.scoring.lenient import plain_span
from temporay.operators.scoring.spans import only_span, temporal_iou

FILES = ("V_STaR_test.json", "data/V_STaR_test.json")
NUM_ROWS = 2094
CHAINS = (("when", "where"), ("when with boxes", "where without time"))
BOX_THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")
ChainAnswer = str | TimeSpan | Mapping[str, Box]


class Vstar(Benchmark):
    """Five questions a row. ``score`` is tIoU of when, vIoU of where, and 1 for the words of what."""

    title = "V-STaR"
    source = "https://huggingface.co/datasets/V-STaR-Bench/V-STaR"
    license = "as the page of the dataset states"
    how_to_get = "download the dataset V-STaR-Bench/V-STaR from the Hub: V_STaR_test.json and videos"
    metric = "mean tIoU of when and mean vIoU of where, for both chains; what is not judged"
    differs = (
        "official reads a time from a reply with exactly two numbers; strict wants one span that starts before it ends"
    )
    published_sizes = dict.fromkeys(["what", *CHAINS[0], *CHAINS[1]], NUM_ROWS)

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        for number, row in enumerate(self.rows(folder, *FILES)):
            yield from _items(number, row)

    def prompt(self, item: BenchmarkItem) -> str:
        return PROMPTS[item.task].format(question=item.question, **item.extra)

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> ChainAnswer | None:
        if item.task == "what":
            return _words(plain_span(text)) or None
        if item.task.startswith("where"):
            return boxes_in(text)
        if protocol == "strict":
            return only_span(plain_span(text))
        found = _NUMBER.findall(text)
        return (float(found[0]), float(found[1])) if len(found) == 2 else None

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        if item.task == "what":
            return str(answer)
        if item.task.startswith("where"):
            return json.dumps({second: list(box) for second, box in answer.items()})
        return f"{answer[0]} - {answer[1]}"

    def score(self, item: BenchmarkItem, answer: Any | None, protocol: ScoringProtocol) -> dict[str, float]:
        if item.task == "what":
            return {"score": float(answer == item.gold)}
        if item.task.startswith("when"):
            return {"score": 0.0 if answer is None else temporal_iou(answer, item.gold)}
        overlaps = [box_iou((answer or {}).get(second), box) for second, box in item.gold.items()]
        shares = {f"AP@{t}": fmean(overlap >= t for overlap in overlaps) if answer else 0.0 for t in BOX_THRESHOLDS}
        return {"score": fmean(overlaps), **shares}

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        tasks = {task: [one for one in scored if one.item.task == task] for task in self.sizes}
        table: dict[str, float] = {}
        for number, (when, where) in enumerate(CHAINS, start=1):
            table[f"mtIoU, chain {number}"] = percent(one.values["score"] for one in tasks[when])
            table |= recalls(tasks[when], f"R@{{}}, chain {number}", "score")
            table[f"mvIoU, chain {number}"] = percent(one.values["score"] for one in tasks[where])
            for threshold in BOX_THRESHOLDS:
                name = f"AP@{threshold}"
                table[f"{name}, chain {number}"] = percent(one.values[name] for one in tasks[where])
        return table | {"what, same words (not judged)": percent(one.values["score"] for one in tasks["what"])}


PROMPTS = {
    "what": (
        "Answer the question about the video: {question} \n (If the answer is a person, you don't need to identify the "
        "person.)"
    ),
    "when": (
        "This video is {length_s} seconds long. Answer the question about the video: {question} \n Output the start "
        "and end moment timestamps."
    ),
    "when with boxes": (
        "This video is {length_s} seconds long with a resolution of {width}x{height} (width x height). Answer the "
        "question about the video: {question} \n There are {num_boxes} bounding boxes of the key object related to the "
        "question in the video without knowing the time, which are:{boxes}. Output the start and end moment timestamps."
    ),
    "where": (
        "Please answer the question about the video: {question} with a series of bounding boxes in [x1, y1, x2, y2] "
        "format. \n\nFor each whole second within the time range {seconds} provided (inclusive of the boundaries), "
        "output a series of bounding boxes of the object in JSON format. The keys should be the whole seconds (as "
        "strings), and the values should be the box in [x1, y1, x2, y2] format. \nExample output: "
        '{{"{first_second}": [x1, y1, x2, y2],...}}\n'
    ),
    "where without time": (
        "Please answer the question about the video: {question} with a series of bounding boxes in [x1, y1, x2, y2] "
        "format. \n\nFor each whole second that may related to the question, output a series of bounding boxes of the "
        "object in JSON format. You only need to output {num_boxes} bbox(es). You need to determine which frame is "
        "related to the question, and you don't need to output the bbox for the frames not related to the question.\n"
        "The keys should be the whole seconds (as strings), and the values should be the bounding box in [x0,y0,x1,y1] "
        'format. \n\n Example output:\n{{"0": [x0,y0,x1,y1], "1":..., ..., "{num_boxes}":...}} (if the frames at '
        "0~{num_boxes} second are related to the questions)\n"
    ),
}


def _items(number: int, row: Row) -> Iterator[BenchmarkItem]:
    """Yield the five questions of one row."""
    start_s, *rest = row.numbers("timestamps")
    if len(rest) != 1:
        raise row.fault(f"its timestamps are {row.value('timestamps')!r}, which are no start and end")
    boxes = _boxes(row)
    first, last = math.ceil(start_s), math.floor(rest[0])
    extra = {
        "length_s": round(row.number("frame_count") / row.number("fps"), 2),
        "width": int(row.number("width")),
        "height": int(row.number("height")),
        "boxes": [[round(edge) for edge in box] for box in boxes.values()],
        "num_boxes": len(boxes),
        "seconds": list(range(first, last + 1)),
        "first_second": first,
    }
    asked: dict[str, tuple[str, Any]] = {
        "what": ("question", _words(row.text("answer"))),
        "when": ("temporal_question", (start_s, rest[0])),
        "where": ("spatial_question", boxes),
        "when with boxes": ("temporal_question", (start_s, rest[0])),
        "where without time": ("spatial_question_2", boxes),
    }
    for task, (field, gold) in asked.items():
        yield BenchmarkItem(
            id=f"{number}/{task}",
            task=task,
            question=row.text(field),
            gold=gold,
            spans=((start_s, rest[0]),),
            videos=(f"videos/{row.text('vid')}.mp4",),
            cluster=row.text("vid"),
            group=str(number),
            role=task,
            extra=extra,
        )


def _boxes(row: Row) -> dict[str, Box]:
    """Return the true box of every annotated second."""
    listed = row.value("bboxes")
    if not isinstance(listed, list) or not listed or not all(isinstance(box, dict) for box in listed):
        raise row.fault("its bboxes are no list of boxes")
    rows = [Row(box, row.where) for box in listed]
    return {
        one.text("timestamp"): (one.number("xmin"), one.number("ymin"), one.number("xmax"), one.number("ymax"))
        for one in rows
    }


def _words(text: str) -> str:
    return " ".join(text.split()).rstrip(".").casefold()
