"""The page of a run, from a run folder that is written here."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from temporay.models.tiny import TinyShape, build
from temporay.operators.dataset.card import write_card
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.dataset.shards import AUDIT_FILE
from temporay.operators.errors import UserError
from temporay.operators.files import write_json
from temporay.operators.pages.page import escape
from temporay.operators.scoring.arms import ARMS, Arm
from temporay.operators.scoring.evaluation import EvaluationRow, write_rows
from temporay.workflows.__main__ import dispatch
from temporay.workflows.grpo.log import summarize
from temporay.workflows.pipeline import accuracy
from temporay.workflows.reports import report
from temporay.workflows.reports.sample_cards import MIN_CARDS, MODELS, OUTCOMES, Answers, choose, in_turn
from temporay.workflows.reports.time_profile import OVERLAP_WORDS
from temporay.workflows.runs.run_dir import RunDir

from tests.small_data import write_recipe
from tests.workflows.rollout_runs import write_run

SECTIONS = (
    "What training did",
    "One held-out sample, in the models' own words",
    "Main figures",
    "Accuracy on held-out videos",
    "Does it look at time?",
    "Other curves",
    "Samples, with the models' own words",
    "Rollouts of GRPO",
    "Data",
    "Where the time goes",
)
ATTACK = "<script>alert('{key}')</script><img src=https://evil.example/x onerror=alert(1)> & \"quoted\""
SECONDS = {"data": 12.5, "sft": 300.0, "grpo": 87.5}
NUM_STEPS = 30


def make_dataset(recipe: Recipe, folder: Path) -> Dataset:
    dataset = write_recipe(recipe, folder)
    write_card(folder)
    return dataset


def answer(dataset: Dataset, i: int, model: str, arm: Arm, *, right: bool) -> EvaluationRow:
    sample = dataset.sample(i)
    return EvaluationRow(
        key=sample.key,
        task=sample.address.task,
        arm=arm,
        score=float(right),
        parsed=sample.question.answer if right else None,
        text=f"<think>{model} {ATTACK.format(key=sample.key)}</think>",
        chance=sample.question.chance,
        lenient_score=1.0 if model == "sft" else float(right),
    )


def is_right(model: str, i: int) -> bool:
    """Give every one of the four outcomes in both primitives."""
    turn = i // 2
    return bool(turn % 2) if model == "base" else turn % 4 < 2


def write_metrics(path: Path, stage: str, **values: Any) -> list[dict[str, Any]]:
    rows = [{"stage": stage, "step": step, **values} for step in range(NUM_STEPS)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


@pytest.fixture
def policy(recipe: Recipe, tmp_path: Path) -> Path:
    """Build a model of a few thousand weights, for its tokenizer."""
    dataset = make_dataset(recipe.model_copy(update={"split": "rl", "num_samples": 16}), tmp_path / "words")
    shape = TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(tmp_path / "policy", [dataset.sample(i).target for i in range(len(dataset))] * 5, shape, seed=0)
    return tmp_path / "policy"


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path) -> Path:
    """Write a finished run of two primitives with 16 held-out samples."""
    folder = tmp_path / "my run"
    for split in ("train", "rl", "test"):
        made = make_dataset(recipe.model_copy(update={"split": split, "num_samples": 16}), folder / "data" / split)
    rows = {
        model: [
            answer(made, i, model, arm, right=is_right(model, i))
            for arm in (ARMS if model == "grpo" else ARMS[:1])
            for i in range(len(made))
        ]
        for model in MODELS
    }
    (folder / "evaluation").mkdir()
    for model in MODELS:
        write_rows(folder / "evaluation" / f"{model}.jsonl", rows[model])
    write_json(folder / "data" / "train" / AUDIT_FILE, {"passed": False})
    write_metrics(folder / "metrics.jsonl", "base_model", loss=4.25)
    write_metrics(folder / "sft" / "metrics.jsonl", "sft", loss=0.5)
    logged = {"reward": 0.75, "useful_groups": 0.5, "completion_tokens": 27.5, "decodes_per_prompt": 1.0}
    steps = write_metrics(folder / "grpo" / "metrics.jsonl", "grpo", group_rewards=[0.5, 1.0], **logged)
    fine_tuned = {"num_steps": 3, "data": [{"num_samples": 16, "drawn": 12}]}
    result = {"engine": "vllm", "accuracy": accuracy(rows), "grpo": summarize(steps), "seconds": SECONDS}
    result["sft"] = fine_tuned
    result["grpo"]["groups"] = {"trained": 5, "flat": 7}
    write_json(folder / "config.json", {"command": "run"})
    write_json(folder / "summary.json", result)
    return folder


class Outline(HTMLParser):
    """What a page loads and links, its scripts and handlers, its headings, and how its cards are filled."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.counts: dict[str, int] = {}
        self.headings: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.open.append(tag)
        for name, value in attrs:
            if name == "src":
                self.loads.append(value or "")
            if name == "href":
                self.links.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def outline(path: Path) -> Outline:
    parsed = Outline()
    parsed.feed(path.read_text())
    return parsed


def page_of(run: Path) -> Path:
    dispatch(["report", str(run)])
    return run / report.PAGE


def test_every_section_is_there_with_its_figures(run: Path) -> None:
    path = page_of(run)
    text = path.read_text()
    assert tuple(outline(path).headings) == SECTIONS
    for figure in ("first_last", "motion_direction", "shuffled", "single frame", "blind", "0.750 → 0.750", "300.0"):
        assert figure in text
    assert text.count("4.25 → 4.25 in 30 steps") == 1 and "27.5 → 27.5 in 30 steps" in text
    assert "fine-tuned on 12 videos, improved on 12 others, measured on 16 more" in text
    assert "let pass: 100.0% after SFT, 50.0% after GRPO" in text
    assert "No step logged this." in text  # parity: no update was made
    assert "FAILED" in text and text.count("not audited") == 2


def test_answers_that_no_lenient_reader_reads_are_not_summed_up(run: Path) -> None:
    result = json.loads((run / "summary.json").read_text())
    result["accuracy"]["first_last"]["lenient"]["sft"] = None
    assert "let pass" not in report.lead(run, result, Answers.read(run))


def test_nothing_is_loaded_from_outside(run: Path) -> None:
    found = outline(page_of(run))
    assert not found.loads
    assert all("://" not in address and (run / address).is_file() for address in found.links)
    assert sum("README.md" in address for address in found.links) == 3


def test_texts_of_every_model_are_shown_and_escaped(run: Path) -> None:
    path = page_of(run)
    text, found = path.read_text(), outline(path)
    answers = Answers.read(run)
    keys = choose(answers, MIN_CARDS)
    assert len(keys) == len(set(keys)) == found.counts["article"] - 1 == 12
    for key in keys:
        for model in MODELS:
            assert escape(f"{model} {ATTACK.format(key=key)}") in text
    assert found.counts["script"] == 1 + 2 * 13 and not found.handlers and "evil.example" not in "".join(found.links)


def test_the_choice_shows_both_primitives_and_every_outcome(run: Path) -> None:
    answers = Answers.read(run)
    keys = choose(answers, MIN_CARDS)
    assert keys == choose(answers, MIN_CARDS) != choose(answers, MIN_CARDS, seed=1)
    for task in ("first_last", "motion_direction"):
        of_task = [key for key in keys if answers.of("base", key).task == task]
        assert len(of_task) == 6
        assert {answers.outcome(key) for key in of_task} == set(OUTCOMES.values())


def test_turns_continue_after_one_list_ends() -> None:
    assert list(in_turn([["a"], ["b", "c", "d"], []])) == ["a", "b", "c", "d"]


def test_an_unreadable_clip_is_reported_in_its_place(run: Path) -> None:
    folder = run / "data" / "test"
    offset = next(row["offset"] for row in Dataset.open(folder).rows if row["shard"] == "shard-000000.tar")
    with (folder / "shard-000000.tar").open("r+b") as file:
        file.seek(offset)
        file.write(bytes(2000))
    assert 'class="bad">clip_' in page_of(run).read_text()


def test_a_reward_that_has_not_moved_is_said(run: Path) -> None:
    assert "beyond its noise" not in page_of(run).read_text()
    result = json.loads((run / "summary.json").read_text())
    result["grpo"] = summarize(RunDir(path=run / "grpo", resumed=True).rows("grpo"), flat_after_steps=30)
    assert result["grpo"]["reward_trend"]["verdict"] == "flat"
    text = report.write(run, result).read_text()
    assert "); it has not moved beyond its noise" in text and "30 steps; the reward has not moved beyond" in text


def test_the_noise_scale_has_a_curve_where_it_was_measured(run: Path) -> None:
    """Where the gradient is hidden in its noise, only the bound has one. A few points are told in words."""
    scale, bound = "GRPO: gradient noise scale, useful groups", "GRPO: gradient noise scale, lower bound"
    path = run / "grpo" / "metrics.jsonl"
    for values, expected in (({}, ()), ({"noise_scale": None}, (bound,)), ({"noise_scale": 9.0}, (scale, bound))):
        low = {"noise_scale_low": 8.0} if values else {}
        rows = write_metrics(path, "grpo", reward=0.5, **values, **low)
        text = page_of(run).read_text()
        assert tuple(title for title in (scale, bound) if title in text) == expected
        assert ("The gradient noise scale (arXiv 1812.06162)" in text) == bool(values)
    few = [row if n % 10 == 0 else {"stage": "grpo", "step": n, "reward": 0.5} for n, row in enumerate(rows)]
    path.write_text("".join(json.dumps(row) + "\n" for row in few))
    text = page_of(run).read_text()
    assert scale not in text and bound not in text and "It was measured at 3 of 30 steps" in text


def test_parts_that_ran_at_once_are_explained(run: Path) -> None:
    assert OVERLAP_WORDS not in page_of(run).read_text()
    with (run / "grpo" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"stage": "time", "part": "validation", "seconds": 100.0}) + "\n")
    text = page_of(run).read_text()
    assert OVERLAP_WORDS in text and "<td>overlap</td>" in text


def test_an_unfinished_run_says_when_the_seconds_are_known(run: Path) -> None:
    result = json.loads((run / "summary.json").read_text())
    (run / "summary.json").unlink()
    assert "Known when a stage has ended" in report.write(run, result).read_text()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("summary.json", "no summary.json"),
        ("evaluation/sft.jsonl", "no evaluation/sft.jsonl"),
        ("data/test/metadata.parquet", "is not finished"),
    ],
)
def test_a_run_that_is_not_finished_is_refused(run: Path, gone: str, message: str) -> None:
    (run / gone).unlink()
    with pytest.raises(UserError, match=message):
        dispatch(["report", str(run)])
    assert not (run / report.PAGE).exists()


def test_the_rollouts_of_its_grpo_are_shown(run: Path, policy: Path) -> None:
    assert "This run has kept no rollouts." in page_of(run).read_text()
    made = write_run(run.parent / "other", run / "data" / "rl", policy, num_steps=2, keep_every=1)
    (made / "rollouts").rename(run / "grpo" / "rollouts")
    (made / "config.json").rename(run / "grpo" / "config.json")
    assert page_of(run).read_text().count('class="panel"') > 0


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a finished run"):
        dispatch(["report", str(tmp_path)])
    write_json(tmp_path / "summary.json", {"loss": 1.0})
    with pytest.raises(UserError, match="not a run of `temporay run`"):
        dispatch(["report", str(tmp_path)])
