"""The layout that MVBench and TVBench share: ``json/<task>.json``, a list of questions with candidates."""

from collections.abc import Iterator
from pathlib import Path

from temporay.operators.benchmarks._base import BenchmarkItem
from temporay.operators.benchmarks._files import Row, find_file, read_rows


def read_task(folder: Path, task: str, how_to_get: str) -> Iterator[tuple[Row, BenchmarkItem]]:
    """Read the questions of one task; their video is the path within the task's own folder of videos.

    Raises:
        UserError: the task's file is missing or damaged.
    """
    path = find_file(folder, (f"json/{task}.json", f"{task}.json"), how_to_get)
    for number, row in enumerate(read_rows(path)):
        options = row.texts("candidates")
        bounded = "start" in row.fields
        item = BenchmarkItem(
            id=f"{task}/{number}",
            task=task,
            question=row.text("question"),
            options=options,
            gold=row.index_of(row.text("answer"), options),
            videos=(row.text("video"),),
            cluster=row.text("video"),
            start_s=row.number("start") if bounded else None,
            end_s=row.number("end") if bounded else None,
        )
        yield row, item
