"""What a report begins with: the two figures, and the sample with its rule."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import Recipe
from temporay.operators.scoring.evaluation import EvaluationRow
from temporay.operators.scoring.metrics import ConfidenceInterval
from temporay.workflows.reports.learned import chosen, grpo_plots, measured, one_sample, reward_band, sft_plots
from temporay.workflows.reports.sample_cards import MODELS, Answers

from tests.workflows.reports.test_report import answer, make_dataset

KEYS = ("a", "b", "c")


def answers_of(dataset: Dataset, *, base: Sequence[bool], grpo: Sequence[bool]) -> Answers:
    """Return the answers of three models; that of SFT is right."""
    right = {"base": base, "sft": [True] * len(dataset), "grpo": grpo}
    rows: dict[str, dict[tuple[str, str], EvaluationRow]] = {}
    for model in MODELS:
        made = [answer(dataset, i, model, "ordered", right=right[model][i]) for i in range(len(dataset))]
        rows[model] = {(row.arm, row.key): row for row in made}
    return Answers(rows=rows)


@pytest.fixture
def test_split(recipe: Recipe, tmp_path: Path) -> Dataset:
    return make_dataset(recipe.model_copy(update={"split": "test", "num_samples": 4}), tmp_path / "data")


@pytest.mark.parametrize(
    ("base", "grpo", "place", "rule"),
    [
        ((True, False, False, False), (True, False, True, True), 2, "That is so for 2 of 4"),
        ((True, True, False, False), (True, True, False, False), 0, "None of the 4 was answered wrong before"),
    ],
)
def test_the_sample_is_the_first_that_became_right_or_else_the_first(
    test_split: Dataset, base: tuple[bool, ...], grpo: tuple[bool, ...], place: int, rule: str
) -> None:
    answers = answers_of(test_split, base=base, grpo=grpo)
    keys = test_split.table["id"].to_pylist()
    assert chosen(keys, answers)[0] == keys[place]
    html = one_sample(test_split, answers)
    assert rule in html and html.count("<article") == 1 and keys[place] in html
    marks = re.findall(r'class="(?:good|bad)">(\S)', html)
    assert marks == ["✓" if is_right else "✗" for is_right in (base[place], True, grpo[place])]
    assert test_split.sample(place).question.text in html and html.count('type="text/plain"') == 1  # its clip


def plots(html: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html)]


def test_sft_shows_held_out_loss_with_and_without_order() -> None:
    rows = [{"step": step, "loss": 4.0 - step} for step in range(4)]
    validated = [{"step": step, "ordered_loss": 2.0, "shuffled_loss": 3.0} for step in (0, 3)]
    html = sft_plots(rows, validated)
    (drawn,) = plots(html)
    assert len(drawn.findall("polyline")) == 4 and len(drawn.findall("circle")) == 4
    assert "held-out samples, frames in order" in html and "held-out samples, frames shuffled" in html
    assert "held-out" not in sft_plots(rows, [])


def test_sft_shows_what_it_would_write_to_the_last_token() -> None:
    rows = [{"step": step, "loss": 4.0 - step} for step in range(4)]
    exact = {"scene_at": 0.5, "first_last": 1.0, "answer_only scene_at": 0.0}
    html = sft_plots(rows, [{"step": 0, "exact": dict.fromkeys(exact, 0.0)}, {"step": 3, "exact": exact}])
    _, drawn = plots(html)
    reasoned, bare = (line.attrib["points"].split() for line in drawn.findall("polyline"))
    (low, high), (zero, same) = ([float(point.split(",")[1]) for point in line] for line in (reasoned, bare))
    assert low == zero == same > high  # the mean of two kinds of question rises, that of answers alone does not
    assert "answer without reasoning" in html and "answer without reasoning" not in sft_plots(
        rows, [{"step": 0, "exact": {"scene_at": 0.5}}]
    )


def grpo_rows() -> list[dict[str, Any]]:
    """Return the steps of a reward that rises, with four groups each."""
    rewards = [[0.1 * step + spread for spread in (0.0, 0.1, 0.2, 0.3)] for step in range(5)]
    return [
        {"step": step, "reward": sum(some) / 4, "useful_groups": 0.5, "group_rewards": some}
        for step, some in enumerate(rewards)
    ]


def test_grpo_shows_reward_with_its_noise_validation_and_useful_groups() -> None:
    validated = [{"step": s, "ordered_accuracy": 0.5, "ordered_accuracy_interval": [0.4, 0.6]} for s in (0, 5)]
    reward, accuracy, useful = plots(grpo_plots(grpo_rows(), validated))
    assert reward.find("polygon") is not None and accuracy.find("polygon") is not None
    assert useful.find("polygon") is None and len(useful.findall("polyline")) == 2
    assert len(plots(grpo_plots(grpo_rows(), []))) == 2
    reasoned = [{**row, "ordered_reasoned": 0.1 * row["step"]} for row in validated]
    _, _, share, _ = plots(grpo_plots(grpo_rows(), reasoned))
    assert len(share.findall("polyline")) == 1 and len(share.findall("circle")) == 2
    without = [{name: value for name, value in row.items() if name != "group_rewards"} for row in grpo_rows()]
    assert "by prompt groups" in grpo_plots(grpo_rows(), []) and "by prompt groups" not in grpo_plots(without, [])


def test_the_band_is_the_interval_of_the_mean_by_groups() -> None:
    rows = grpo_rows()
    band = reward_band(rows)
    assert band.steps == [0.0, 1.0, 2.0, 3.0, 4.0]
    half = 1.96 * (0.05 / 3) ** 0.5 / 2  # the variance of four equally spaced rewards is 0.05 / 3
    for row, low, high in zip(rows, band.low, band.high, strict=True):
        assert (low, high) == pytest.approx((row["reward"] - half, row["reward"] + half), abs=1e-4)
    assert reward_band([{**row, "group_rewards": [0.5]} for row in rows]).steps == []  # one group has no spread


def test_accuracies_are_named_by_model() -> None:
    interval = ConfidenceInterval(value=0.5, low=0.4, high=0.6, n=40)
    html = measured({"base": interval, "sft": interval}, 0.25)
    assert "all 40 held-out videos" in html and ">before<" in html and ">after SFT<" in html and "50.0 ± 10.0" in html
