"""Held-out samples on a report's page: a seeded choice, and what every model wrote about them.

evaluation/*.jsonl -> Answers -> choose -> cards
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TypeVar

from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import UserError
from temporay.operators.pages.charts import Tone
from temporay.operators.pages.gallery import task_filter
from temporay.operators.pages.page import escape, table, why
from temporay.operators.pages.sample_card import sample_card
from temporay.operators.pages.words import panel
from temporay.operators.records import Sample
from temporay.operators.scoring.evaluation import EvaluationRow, credit, read_rows
from temporay.operators.scoring.metrics import ConfidenceInterval, macro_interval
from temporay.operators.seeding import rng_at
from temporay.workflows.reports.claim_marks import text_marks
from temporay.workflows.reports.sample_viewer import SampleViewer

EVALUATION = "evaluation"  # folder in a run
MODELS: dict[str, str] = {"base": "before", "sft": "after SFT", "grpo": "after GRPO"}
TONES: dict[str, Tone] = {"base": "base", "sft": "sft", "grpo": "grpo"}
MIN_CARDS, CARDS_PER_TASK = 12, 3
OUTCOMES = {  # (right before, right after GRPO) -> name; in the order in which they are shown
    (False, True): "wrong, now right",
    (True, True): "right and still right",
    (False, False): "still wrong",
    (True, False): "right, now wrong",
}

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Texts of the models for the held-out samples, by model and then by arm and key."""

    rows: Mapping[str, Mapping[tuple[str, str], EvaluationRow]]

    @classmethod
    def read(cls, run: Path) -> Answers:
        """Read the rows of every model.

        Raises:
            UserError: a model was not evaluated.
        """
        rows: dict[str, dict[tuple[str, str], EvaluationRow]] = {}
        for name in MODELS:
            path = run / EVALUATION / f"{name}.jsonl"
            if not path.is_file():
                raise UserError(f"{run} is not a finished run (no {path.relative_to(run)}); run it to its end first")
            rows[name] = {(row.arm, row.key): row for row in read_rows(path)}
        return cls(rows=rows)

    def of(self, model: str, key: str) -> EvaluationRow:
        """Return the row of a model for the frames in order."""
        return self.rows[model]["ordered", key]

    def outcome(self, key: str) -> str:
        """Name the pair of verdicts on the first and the last model's answer."""
        return OUTCOMES[self.of("base", key).correct, self.of("grpo", key).correct]

    def keys_by_task(self) -> dict[str, list[str]]:
        """Return the keys of every primitive's samples, in a fixed order."""
        found: dict[str, list[str]] = {}
        for arm, key in sorted(self.rows["grpo"]):
            if arm == "ordered":
                found.setdefault(self.of("grpo", key).task, []).append(key)
        return found

    def mean(self, model: str, arm: str) -> ConfidenceInterval:
        """Average over the primitives, each with the same weight."""
        credits: dict[str, list[float]] = {}
        for (of_arm, _), row in self.rows[model].items():
            if of_arm == arm:
                credits.setdefault(row.task, []).append(credit(row))
        return macro_interval(credits)


def samples(test: Dataset, answers: Answers) -> str:
    """Return cards of a seeded choice, and a table of all samples that it was made from."""
    by_task = answers.keys_by_task()
    chosen = choose(answers, max(MIN_CARDS, CARDS_PER_TASK * len(by_task)))
    position = {key: i for i, key in enumerate(test.table["id"].to_pylist())}
    viewer = SampleViewer.open(test)
    cards = []
    for key in chosen:
        one = viewer.shown(position[key])
        kicker = f"<span>{escape(answers.outcome(key))}</span>"
        cards.append(sample_card([one], kicker=kicker, words=words(one.sample, answers)).html)
    counts = {task: Counter(map(answers.outcome, keys)) for task, keys in by_task.items()}
    overview = table(
        ("primitive: before, then after GRPO", *OUTCOMES.values()),
        [(task, *(counts[task][words] for words in OUTCOMES.values())) for task in by_task],
    )
    shown = Counter(answers.of("grpo", key).task for key in chosen)
    return (
        why(
            f"{len(chosen)} of {sum(map(len, by_task.values()))} held-out samples, chosen by a fixed seed in turn from "
            "each of the four cases below, so wrong answers are shown more often than they occur."
        )
        + f'<div class="card">{overview}</div>{task_filter(shown)}{"".join(cards)}'
    )


def choose(answers: Answers, num_samples: int, *, seed: int = 0) -> list[str]:
    """Choose keys in turn over primitives and, within each, over its outcomes; fewer if there are no more."""
    turns = []
    for task, keys in answers.keys_by_task().items():
        order = [keys[i] for i in rng_at("report", seed, task).permutation(len(keys))]
        turns.append(list(in_turn([key for key in order if answers.outcome(key) == o] for o in OUTCOMES.values())))
    return list(islice(in_turn(turns), num_samples))


def in_turn(parts: Iterable[Sequence[ItemT]]) -> Iterator[ItemT]:
    """Yield the first item of every list, then the second of every list, and so on."""
    return (item for items in zip_longest(*parts) for item in items if item is not None)


def words(sample: Sample, answers: Answers) -> str:
    """Return the completions of the three models with their claims marked, each with its accuracy reward."""
    parts = []
    for model, name in MODELS.items():
        row = answers.of(model, sample.key)
        verdict = "✓ right" if row.correct else "✗ wrong" if row.parsed is not None else "✗ no readable answer"
        kind = "good" if row.correct else "bad"
        header = f'<span>{name}</span><span class="{kind}">{verdict}, reward {row.score:g}</span>'
        parts.append(panel(header, TONES[model], row.text, text_marks(row.text, sample)))
    return f'<div class="panels">{"".join(parts)}</div>'
