"""Charades-STA (arXiv 1705.02101): when does a described action happen? 3,720 queries of the test split.

The official protocol is that of lmms-eval, whose prompt and reader follow TimeChat. Read are the authors' text file
(``video start end##sentence``), lmms-eval's parquet, and EasyVideoR1's JSON.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from temporay.operators.benchmarks._base import BenchmarkItem
from temporay.operators.benchmarks._files import READ_ERRORS, Row, find_file, lines_of, placed, read_rows
from temporay.operators.benchmarks._span import SpanBenchmark
from temporay.operators.errors import UserError
from temporay.operators.records import TimeSpan
from temporay.operators.scoring.spans import clock_seconds

FILES = ("charades_sta_test.txt", "**/test-*.parquet", "charades_sta*.json")
FOLDERS = ("Charades_v1_480", "Charades_v1", "videos")
_LINE = re.compile(r"(?P<video>\S+) (?P<start>[\d.]+) (?P<end>[\d.]+)##(?P<sentence>.+)")
_SOLUTION = re.compile(r"<think>(\{.*\})</think>", re.DOTALL)
_KEYWORDS = ("start", "end", "happen")
_EXAMPLE = "a specific example is : 20.8 - 30.0 seconds"
_HYPHENATED = re.compile(r"(\d+(?:\.\d+)?)\s*[–-]\s*(\d+(?:\.\d+)?)")
_WITH_UNIT = re.compile(r"(\d+(?:\.\d+)?)\s*s\s*[–-]\s*(\d+(?:\.\d+)?)")
_CLOCK = re.compile(r"\b(?:(\d{1,2}):)?(\d{1,2}):(\d{2})\b")
_FIRST_NUMBER = re.compile(r"\b\d+(?:\.\d+)?\b")


class CharadesSta(SpanBenchmark):
    """3,720 queries over 1,334 videos of actions at home."""

    title = "Charades-STA"
    source = "https://github.com/jiyanggao/TALL"
    license = "none stated by its authors; the videos are those of Charades, for research only"
    how_to_get = (
        "download charades_sta_test.txt from github.com/jiyanggao/TALL, or the dataset lmms-lab/charades_sta from the "
        "Hub, and the videos Charades_v1_480 of the Charades dataset"
    )
    metric = "mean tIoU, and the share of queries with tIoU of at least 0.3, 0.5 and 0.7"
    differs = (
        "official turns a reversed span round and takes the first span or pair of numbers that a reply has; "
        "strict wants exactly one span that starts before it ends"
    )
    max_tokens = 50
    published_sizes: ClassVar = {"grounding": 3720}

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        path = find_file(folder, FILES, self.how_to_get)
        rows = _lines(path) if path.suffix == ".txt" else read_rows(path)
        place = placed(folder, FOLDERS)
        for number, row in enumerate(rows):
            video = row.text("video", "path")
            video = f"{place}/{video}" if "." in video else f"{place}/{video}.mp4"
            yield BenchmarkItem(
                id=str(number),
                task="grounding",
                question=row.text("caption", "problem"),
                gold=(span := _span_of(row)),
                spans=(span,),
                videos=(video,),
                cluster=video,
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return (
            "Please find the visual event described by a sentence in the video, determining its starting and ending "
            "times. The format should be: 'The event happens in the start time - end time'. For example, The event "
            "'person turn a light on' happens in the 24.3 - 30.4 "
            "seonds. Now I will give you the textual sentence: "  # codespell:ignore seonds
            f"{item.question}. Please return its start time and end time."
        )

    def read_officially(self, text: str) -> TimeSpan | None:
        plain = text.lower().replace(_EXAMPLE, "").replace("to", "-")
        sentences = re.split(r"[!?\n]", plain)
        told = [one for one in sentences if any(word in one for word in _KEYWORDS)] or sentences
        readers = (_clock_range, _first_range, _first_clock_times, _first_numbers, _first_range_with_unit)
        found = next(filter(None, (reader(told) for reader in readers)), None)
        return None if found is None else (min(found), max(found))

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        return f"The event '{_without_digits(item.question)}' happens in the {answer[0]} - {answer[1]} seconds."


def _without_digits(text: str) -> str:
    return re.sub(r"\d+", "…", text)


def _clock_range(sentences: list[str]) -> TimeSpan | None:
    clocked = re.compile(rf"{_CLOCK.pattern}\s*[–-]\s*{_CLOCK.pattern}")
    for sentence in sentences:
        match = clocked.search(sentence)
        if match:
            return clock_seconds(*match.groups()[:3]), clock_seconds(*match.groups()[3:])
    return None


def _first_range(sentences: list[str], form: re.Pattern[str] = _HYPHENATED) -> TimeSpan | None:
    match = next(filter(None, map(form.search, sentences)), None)
    return None if match is None else (float(match[1]), float(match[2]))


def _first_clock_times(sentences: list[str]) -> TimeSpan | None:
    times = [clock_seconds(*match.groups()) for sentence in sentences for match in _CLOCK.finditer(sentence)]
    return (times[0], times[1]) if len(times) > 1 else None


def _first_numbers(sentences: list[str]) -> TimeSpan | None:
    """Return the first number of each of the first two sentences that have one."""
    times = [float(match[0]) for match in map(_FIRST_NUMBER.search, sentences) if match]
    return (times[0], times[1]) if len(times) > 1 else None


def _first_range_with_unit(sentences: list[str]) -> TimeSpan | None:
    return _first_range(sentences, _WITH_UNIT)


def _lines(path: Path) -> list[Row]:
    """Read the authors' text file."""
    try:
        lines = lines_of(path)
    except READ_ERRORS as error:
        raise UserError(f"{path} cannot be read ({error}); download it again") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise Row({}, where).fault(f"{line!r} is not 'video start end##sentence'")
        span = [match["start"], match["end"]]
        rows.append(Row({"video": match["video"], "caption": match["sentence"], "timestamp": span}, where))
    return rows


def _span_of(row: Row) -> TimeSpan:
    """Return the true span: a list, the text of a list, or the thought of EasyVideoR1's solution."""
    times = row.value("timestamp", "solution")
    if isinstance(times, str):
        match = _SOLUTION.match(times)
        try:
            times = json.loads(match[1])["time"] if match else json.loads(times)
        except (ValueError, KeyError, TypeError):
            raise row.fault(f"its span is {times!r}, which is no start and end") from None
    numbers = Row({"span": times}, row.where).numbers("span")
    if len(numbers) != 2 or not numbers[0] < numbers[1]:
        raise row.fault(f"its span is {times!r}, which is no start and end")
    return numbers[0], numbers[1]
