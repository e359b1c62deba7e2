"""The pages of sft and grpo alone, from run folders written here; claims are marked where they stand."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from temporay.models.tiny import TinyShape, build
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.files import write_json
from temporay.operators.pages.page import escape
from temporay.operators.records import Outcome, ScoredGroup
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in
from temporay.operators.sampling import EVERY_FRAME
from temporay.workflows.__main__ import dispatch
from temporay.workflows.reports import report, rollout_cards
from temporay.workflows.reports.rollout_cards import (
    chosen,
    evenly,
    section_of,
    shown_steps,
    spread_by_reward,
    trainer_logprobs,
)

from tests.workflows.reports.test_report import make_dataset, outline
from tests.workflows.rollout_runs import write_run

CANVAS = Canvas(
    width=48,
    height=48,
    fps=8.0,
    num_frames=(6, 9),
    num_scenes=(2, 3),
    frames_per_scene=(2, 4),
    jitter="smooth",
    sampling=EVERY_FRAME,
)


@pytest.fixture(scope="module")
def made(drawn_coco: CocoPaths, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a run of grpo beside its data and model."""
    folder = tmp_path_factory.mktemp("grpo")
    tasks = ("motion_direction", "first_last")
    recipe = Recipe(tasks=tasks, num_samples=12, split="rl", canvas=CANVAS, coco=drawn_coco, style="detailed")
    dataset = make_dataset(recipe, folder / "data")
    shape = TinyShape(hidden_size=64, num_layers=1, num_heads=2, num_kv_heads=1, vision_hidden_size=32, vision_depth=1)
    build(folder / "model", [dataset.sample(i).target for i in range(len(dataset))] * 5, shape, seed=0)
    return write_run(folder / "run", folder / "data", folder / "model", num_steps=9, keep_every=2)


def test_the_page_of_grpo_shows_curves_seconds_and_rollouts(made: Path) -> None:
    dispatch(["report", str(made)])
    path = made / report.PAGE
    text, found = path.read_text(), outline(path)
    assert found.headings == ["Learning curves", "Validation", "Where the time goes", "Rollouts"]
    assert "Validation: ordered accuracy" in text and "beyond its noise" not in text
    assert "9 of 9 steps, not finished" in text and "<b>generate</b>" in text
    assert not found.loads and not found.handlers
    assert found.counts["script"] == 1 + 2 * found.counts["article"]  # clip and overlay of every card
    assert all(address.startswith("#step-") for address in found.links) and "step-8" in text
    for kind in ("right", "wrong", "hit", "miss"):
        assert text.count(f'<mark class="{kind}" title=') > 0
    assert re.search(r'<s class="q\d" data-v="-?[\d.e-]+ -?[\d.e-]+ 0">', text)
    assert path.stat().st_size < 10_000_000


def test_the_choice_is_repeatable_and_limited_in_size(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    html = section_of(made)
    assert html == section_of(made)
    assert html.count("<article") == 15 and html.count("<h3 id=") == 5
    room = len(html) // 2
    monkeypatch.setattr(rollout_cards, "MAX_BYTES", room)
    fewer = section_of(made)
    assert 0 < fewer.count("<article") < 15 and len(fewer) < 1.1 * room


def test_groups_whose_rewards_differ_come_first(made: Path) -> None:
    for step in steps_in(made):
        groups = read_step(path_of(made, step)).groups
        outcomes = [one.outcome.value for one in chosen(groups, trainer_logprobs(made, step), step, 0)]
        assert len(outcomes) == 3 and outcomes[:2] == ["trained", "trained"]
        assert ("flat" in outcomes) == any(one.outcome == "flat" for one in groups)
        rewards = [groups[0].scores[n].reward or 0.0 for n in spread_by_reward(groups[0])]
        assert rewards == sorted(rewards, reverse=True)
    assert evenly(list(range(100)), 5) == [0, 25, 50, 74, 99]


def test_steps_and_groups_with_the_trainers_log_probs_are_shown(made: Path, tmp_path: Path) -> None:
    """A run keeps rollouts of more steps than it has them for, and of more groups in each of these."""
    assert shown_steps(made, steps_in(made)) == [0, 2, 4, 6, 8]
    copy = shutil.copytree(made, tmp_path / "run")
    for step in (0, 4, 8):
        rollout_cards.trainer_path(copy, step).unlink()
    assert shown_steps(copy, steps_in(copy)) == [2, 6]
    for step in (2, 6):
        known = trainer_logprobs(copy, step)
        differing = [
            one for one in chosen(read_step(path_of(copy, step)).groups, known, step, 0) if not one_reward(one)
        ]
        assert len(known) == 3 and {one.group.key for one in differing} <= known.keys()
        of_known, of_shown = (
            {key.partition("-")[0] for key in keys} for keys in (known, [d.group.key for d in differing])
        )
        assert len(of_shown) == min(len(of_known), len(differing)) > 0  # in turn over the primitives
    for step in (2, 6):
        rollout_cards.trainer_path(copy, step).unlink()
    assert shown_steps(copy, steps_in(copy)) == [0, 2, 4, 6, 8]


def test_a_group_that_was_not_trained_on_says_so(made: Path) -> None:
    viewer, [first, *_] = rollout_cards.RolloutViewer.open(made), read_step(path_of(made, 0)).groups
    for outcome, fault in ((Outcome.TRAINED, rollout_cards.NOT_KEPT), (Outcome.FLAT, rollout_cards.NOT_TRAINED)):
        shown = viewer.shown(replace(first, outcome=outcome), {})
        assert shown is not None and {one.tokens.fault for one in shown.rollouts} == {fault}
        assert f"Tokens ({escape(fault)})" in rollout_cards.group_card(shown).html


def one_reward(scored: ScoredGroup) -> bool:
    return len({score.reward for score in scored.scores}) == 1


def test_missing_values_are_reported_in_their_place(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    (copy / "rollouts").mkdir(parents=True)
    (copy / "rollouts" / path_of(made, 0).name).write_bytes(path_of(made, 0).read_bytes())
    settings = json.loads((made / "config.json").read_text())
    write_json(copy / "config.json", {**settings, "model": str(tmp_path / "gone")})
    html = section_of(copy)
    assert html.count(f"Tokens ({escape(rollout_cards.NOT_KEPT)})") > 0
    assert 'class="q' not in html.replace('class="q0"', "")
    write_json(copy / "config.json", {**settings, "data": str(tmp_path / "gone")})
    assert "The rollouts cannot be shown" in section_of(copy) and escape(str(tmp_path / "gone")) in section_of(copy)


def test_texts_of_a_model_are_escaped(made: Path, tmp_path: Path) -> None:
    attack = '<script>alert(1)</script><think><img src=x onerror=alert(1)></think><answer>"><b></answer>'
    [first, *_] = read_step(path_of(made, 0)).groups
    viewer = rollout_cards.RolloutViewer.open(made)
    rollout = first.group.rollouts[0]
    hostile = type(rollout)(**{name: getattr(rollout, name) for name in rollout.__slots__} | {"text": attack})
    group = type(first.group)(key=first.group.key, prompt_ids=(1,), rollouts=(hostile,))
    scored = type(first)(
        **{name: getattr(first, name) for name in first.__slots__}
        | {"group": group, "scores": first.scores[:1], "advantages": first.advantages[:1]}
    )
    shown = viewer.shown(scored, {})
    assert shown is not None
    html = rollout_cards.group_card(shown).html
    assert "<script>" not in html and "<img src=x" not in html and "&lt;script&gt;" in html


def test_the_page_of_sft_shows_its_loss_and_validation(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"command": "sft", "data": "d", "model": "m", "num_steps": 4})
    rows = [{"stage": "sft", "step": 0, "pid": 1}]
    rows += [{"stage": "sft", "step": s, "loss": 4.0 - s, "tokens_per_s": 10.0, "wait": 0.25} for s in range(4)]
    rows += [{"stage": "sft_validation", "step": 3, "accuracy_ordered": 0.5, "loss": float("nan")}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"path": "d", "weight": 1.0, "num_samples": 8, "drawn": 4, "epochs": 0.5, "dropped_lines": {"empty": 2}}
    write_json(tmp_path / "summary.json", {"loss": 1.0, "data": [entry]})
    dispatch(["report", str(tmp_path)])
    text = (tmp_path / report.PAGE).read_text()
    assert outline(tmp_path / report.PAGE).headings == ["Learning curves", "Validation", "Where the time goes", "Data"]
    assert "4.000 → 1.000" in text and "4 of 4 steps, finished" in text and "25.0%" in text
    assert "Validation: accuracy ordered" in text and escape('{"empty": 2}') in text
