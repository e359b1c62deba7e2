"""TempCompass (arXiv 2403.00476): action, direction, speed, order and change, on videos that differ in time alone.

Three of its four forms are read. The fourth, captioning, is scored by a language model as judge and is not offered. The
official protocol is that of ``llyx97/TempCompass`` without its judge: a reply that fits no rule is worth 0, and the
share of such replies is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from temporay.operators.benchmarks._base import BenchmarkItem, ScoredItem, ScoringProtocol, percent
from temporay.operators.benchmarks._choice import (
    YES_NO,
    ChoiceBenchmark,
    accuracies,
    first_letter,
    without_letters,
)
from temporay.operators.benchmarks._files import Row, find_file, read_object, read_rows
from temporay.operators.scoring.answers import options_in_words
from temporay.operators.scoring.lenient import plain_span

Wording = Literal["multi-choice", "yes_no", "caption_matching"]
SIZES: dict[Wording, dict[str, int]] = {
    "multi-choice": {"action": 338, "direction": 335, "speed": 317, "order": 302, "attribute_change": 288},
    "yes_no": {"action": 592, "direction": 494, "speed": 537, "order": 382, "attribute_change": 448},
    "caption_matching": {"action": 297, "direction": 327, "speed": 291, "order": 300, "attribute_change": 288},
}
POST_PROMPTS: dict[Wording, str] = {
    "multi-choice": "\nPlease directly give the best option:",
    "yes_no": "\nPlease answer yes or no:",
    "caption_matching": "\nPlease directly give the best option:",
}


class Tempcompass(ChoiceBenchmark):
    """1,580 questions with options, 2,453 of yes or no, and 1,503 of two captions, over 410 videos."""

    form: Wording = "multi-choice"

    title = "TempCompass"
    source = "https://huggingface.co/datasets/lmms-lab/TempCompass"
    license = "CC-BY-NC-4.0"
    how_to_get = (
        "download the dataset lmms-lab/TempCompass from the Hub, or copy the folder questions of "
        "github.com/llyx97/TempCompass, and its videos into videos"
    )
    metric = "accuracy over all questions, and by temporal aspect"
    differs = (
        "official wants capital letters and takes A for the answer of a reply such as 'A. or B.'; "
        "strict reads one option or none"
    )
    max_tokens = 128

    @property
    def sizes(self) -> Mapping[str, int]:
        return SIZES[self.form]

    def read_items(self, folder: Path) -> Iterator[BenchmarkItem]:
        names = (f"{self.form}/test-*.parquet", f"questions/{self.form}.json")
        path = find_file(folder, names, self.how_to_get)
        rows = read_rows(path) if path.suffix == ".parquet" else _rows_by_video(path)
        for number, row in enumerate(rows):
            asked = row.text("question")
            question, *lines = asked.split("\n")
            options, labels = _options(row, self.form, [line for line in lines if line.strip()])
            yield BenchmarkItem(
                id=str(number),
                task=row.text("dim"),
                question=question,
                options=options,
                gold=_gold(row, options, labels),
                lettered=self.form == "multi-choice",
                videos=(f"videos/{row.text('video_id')}.mp4",),
                cluster=row.text("video_id"),
                extra={"asked": asked, "labels": labels},
            )

    def prompt(self, item: BenchmarkItem) -> str:
        return f"{item.extra['asked']}{POST_PROMPTS[self.form]}"

    def write_answer(self, item: BenchmarkItem, answer: Any) -> str:
        label: str = item.extra["labels"][answer]
        return label

    def read_answer(self, item: BenchmarkItem, text: str, protocol: ScoringProtocol) -> int | None:
        if self.form == "caption_matching" and protocol == "strict":
            return _labelled(item, plain_span(text))
        return super().read_answer(item, text, protocol)

    def read_officially(self, item: BenchmarkItem, text: str) -> int | None:
        text = text.replace("</s>", "").strip()
        if self.form == "yes_no":
            return next((n for n, word in enumerate(YES_NO) if text.lower().startswith(word.lower())), None)
        if self.form == "caption_matching":
            return _labelled_officially(item, text)
        if len(text) == 1 or text[1:2] in (".", ")"):
            return first_letter(text, len(item.options)) if text[:1].isupper() else None
        return None

    def read_leniently(self, item: BenchmarkItem, text: str) -> int | None:
        if self.form != "caption_matching":
            return super().read_leniently(item, text)
        return _labelled(item, plain_span(text).splitlines()[-1] if plain_span(text) else "")

    def table(self, scored: Sequence[ScoredItem], protocol: ScoringProtocol) -> dict[str, float]:
        unread = percent(one.answer is None and bool(one.text) for one in scored)
        return accuracies(scored) | {"unread replies": unread}


def _rows_by_video(path: Path) -> Iterator[Row]:
    """Read the authors' own layout: video → aspect → questions."""
    for video, aspects in read_object(path).items():
        where = Row({"aspects": aspects}, f"{path}, video {video}")
        if not isinstance(aspects, dict) or not all(isinstance(asked, list) for asked in aspects.values()):
            raise where.fault("it has no questions by aspect")
        for aspect, asked in aspects.items():
            for number, fields in enumerate(asked, start=1):
                if not isinstance(fields, dict):
                    raise where.fault(f"question {number} of {aspect} is no object")
                yield Row({"video_id": video, "dim": aspect, **fields}, f"{where.where}, {aspect}, question {number}")


def _options(row: Row, form: Wording, lines: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the options and the labels that name them: A, Sentence A, Option 1, or yes and no."""
    if form == "yes_no":
        return YES_NO, ("yes", "no")
    if len(lines) < 2:
        raise row.fault("its question lists no options")
    if form == "multi-choice":
        return without_letters(lines), tuple("ABCDEFGHIJ"[: len(lines)])
    if not all(": " in line for line in lines):
        raise row.fault("its captions have no labels")
    labels, captions = zip(*(line.strip().split(": ", 1) for line in lines), strict=True)
    return captions, labels


def _gold(row: Row, options: Sequence[str], labels: Sequence[str]) -> int:
    answer = row.text("answer")
    if options == YES_NO:
        return row.index_of(answer.strip().capitalize(), YES_NO)
    return row.index_of(answer.split(":")[0] if answer.split(":")[0] in labels else answer.strip()[:1], labels)


def _labelled(item: BenchmarkItem, text: str) -> int | None:
    """Return the caption that a text names by its label, by the label's last sign, by its words, or by both."""
    label, colon, words = text.strip().partition(":")
    labels: Sequence[str] = item.extra["labels"]
    named = options_in_words(label, labels) or options_in_words(label, [one.split()[-1] for one in labels])
    if not named or (colon and words.strip()):
        said = options_in_words(words if named else text, item.options)
        named = [n for n in said if not named or n in named]
    return named[0] if len(named) == 1 else None


def _labelled_officially(item: BenchmarkItem, text: str) -> int | None:
    labels: Sequence[str] = item.extra["labels"]
    after_bracket = text.split(") ")[1] if ") " in text else None
    for n, (label, caption) in enumerate(zip(labels, item.options, strict=True)):
        if text == f"{label}: {caption}" or caption in (text, after_bracket):
            return n
        if {text, text.replace(".", "")} & {label, label.split()[-1]}:
            return n
    return None
