"""The rollouts that a run of GRPO has kept, on a report's page: a fixed choice of steps and groups, as cards.

RUN/rollouts/step-*.parquet and .trainer.json, config.json's data and model -> ShownGroup -> section
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporay.models.families._base import family_of
from temporay.operators.advantages._base import is_flat
from temporay.operators.dataset.opening import open_samples
from temporay.operators.errors import UserError
from temporay.operators.files import read_json
from temporay.operators.pages.gallery import task_filter
from temporay.operators.pages.page import bad, escape, why
from temporay.operators.pages.rollouts import ShownGroup, ShownRollout, group_card
from temporay.operators.pages.token_strip import Tokens, scale
from temporay.operators.records import Outcome, Sample, ScoredGroup
from temporay.operators.reinforcement.rollout_files import path_of, read_step, steps_in
from temporay.operators.scoring.answers import read_answer
from temporay.operators.seeding import rng_at
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.config import validated
from temporay.workflows.data.own_data import at_hand
from temporay.workflows.reports.claim_marks import text_marks, told
from temporay.workflows.reports.sample_cards import in_turn
from temporay.workflows.reports.sample_viewer import SampleViewer
from temporay.workflows.runs.run_dir import BEGIN_AGAIN

MAX_STEPS, GROUPS_PER_STEP, MAX_ROLLOUTS = 5, 3, 8
NOT_TRAINED = "without the trainer's log-probabilities: it was not given this group, which has nothing to learn from"
NOT_KEPT = "the trainer's log-probabilities are kept for a few groups of some steps, and not for this one"
MAX_BYTES = 8_000_000  # limit of all cards together; the page says how many are left out


@dataclass(frozen=True)
class RolloutViewer:
    """Prepares the groups of one run for a page."""

    run: Path
    config: Mapping[str, Any]
    samples: SampleViewer
    tokenizer: Any  # None: the model is gone, so tokens are shown by number

    @classmethod
    def open(cls, run: Path) -> RolloutViewer:
        """Open the dataset and the tokenizer of the run.

        Raises:
            UserError: the run has no config.json, or its dataset is gone.
        """
        path = run / "config.json"
        if not path.is_file():
            raise UserError(f"{run} is not a run of `temporay grpo` (no config.json); give the --out of one")
        config = read_json(path, BEGIN_AGAIN)
        model = Path(config["model"])
        try:
            tokenizer = family_of(model).load_processor(model).tokenizer
        except UserError:
            tokenizer = None
        reading = validated(VideoReading, config.get("video_reading", {}))
        samples = open_samples(at_hand(Path(config["data"]), run), reading)
        return cls(run, config, SampleViewer.open(samples), tokenizer)

    def shown(self, scored: ScoredGroup, trainer: Mapping[str, Sequence[Sequence[float]]]) -> ShownGroup | None:
        """Return a group as the page shows it; None if its row now holds another sample."""
        dataset = self.samples.dataset
        if scored.row >= len(dataset) or dataset.sample(scored.row).key != scored.group.key:
            return None
        shown = self.samples.shown(scored.row)
        sample = shown.sample
        logprobs = trainer.get(scored.group.key)
        parsed = [read_answer(r.text, sample.question).index for r in scored.group.rollouts]
        return ShownGroup(
            scored=scored,
            sample=shown,
            rollouts=[self._rollout(scored, n, sample, logprobs) for n in spread_by_reward(scored)],
            weights=self.config["rewards"]["weights"],
            votes=[parsed.count(n) for n in range(len(sample.question.options))],
        )

    def _rollout(
        self, scored: ScoredGroup, n: int, sample: Sample, logprobs: Sequence[Sequence[float]] | None
    ) -> ShownRollout:
        rollout = scored.group.rollouts[n]
        return ShownRollout(
            number=n + 1,
            rollout=rollout,
            score=scored.scores[n],
            advantage=scored.advantages[n],
            marks=text_marks(rollout.text, sample),
            told=told(rollout.text, sample),
            tokens=Tokens(
                pieces=[self._piece(token) for token in rollout.completion_ids],
                engine=rollout.logprobs,
                trainer=None if logprobs is None else logprobs[n],
                versions=rollout.weight_versions,
                fault=NOT_TRAINED if scored.outcome is not Outcome.TRAINED else NOT_KEPT,
            ),
        )

    def _piece(self, token: int) -> str:
        return f"{token} " if self.tokenizer is None else str(self.tokenizer.decode([token]))


def section_of(run: Path) -> str:
    """Return cards of the kept steps with a note on the choice, or the reason why there are none."""
    steps = steps_in(run)
    if not steps:
        return why("This run has kept no rollouts.")
    try:
        viewer = RolloutViewer.open(run)
    except UserError as error:
        return bad(f"The rollouts cannot be shown: {error}")
    groups = {step: read_step(path_of(run, step)).groups for step in shown_steps(run, steps)}
    cards = cards_within(viewer, groups)
    tasks = Counter(task for made in cards.values() for task, _ in made)
    num_shown, num_groups = sum(map(len, cards.values())), sum(map(len, groups.values()))
    links = ", ".join(f'<a href="#step-{step}">step {step}</a>' for step in groups)
    parts = [
        f'<p class="note">{num_shown} of the {num_groups} groups of {len(groups)} out of {len(steps)} kept steps '
        f"({links}), by a fixed seed: two whose rewards differ, in turn over the primitives, and one whose "
        f"rewards are all the same, if there is one. At most {MAX_ROLLOUTS} rollouts of each, from the highest "
        "reward to the lowest. "
        "The frames are those the model was given.</p>",
        legend(),
        task_filter(tasks),
    ]
    for step, made in cards.items():
        parts.append(f'<h3 id="step-{step}">Step {step}<span>{escape(summary(groups[step]))}</span></h3>')
        parts += [html for _, html in made]
    return "".join(parts)


def shown_steps(run: Path, steps: Sequence[int]) -> list[int]:
    """Return some kept steps: of those with the trainer's log-probabilities, or of all where no step has them."""
    known = [step for step in steps if trainer_path(run, step).is_file()]
    return evenly(known or steps, MAX_STEPS)


def legend() -> str:
    """Return the meaning of marks and colors."""
    return (
        '<div class="key"><span class="said">claim that the process reward <mark class="right">credits</mark>, '
        '<mark class="part">credits in part</mark>, <mark class="wrong">does not credit</mark></span>'
        '<span class="said"><mark class="hit">right answer</mark> <mark class="miss">wrong answer</mark></span>'
        f"<span>log-probability of a token, engine against trainer, in nats: {scale()}</span></div>"
    )


def summary(groups: Sequence[ScoredGroup]) -> str:
    """Describe the groups of a step in one line."""
    rewards = [score.reward for one in groups for score in one.scores if score.reward is not None]
    outcomes = Counter(one.outcome.value for one in groups)
    counts = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    return f"{len(groups)} groups: {counts}" + (f"; mean reward {sum(rewards) / len(rewards):.3f}" if rewards else "")


def cards_within(
    viewer: RolloutViewer, groups: Mapping[int, Sequence[ScoredGroup]]
) -> dict[int, list[tuple[str, str]]]:
    """Return task and HTML of the chosen groups by step, in turn over the steps while there is room."""
    trainer = {step: trainer_logprobs(viewer.run, step) for step in groups}
    turns = [[(step, one) for one in chosen(groups[step], trainer[step], step, nth)] for nth, step in enumerate(groups)]
    cards: dict[int, list[tuple[str, str]]] = {step: [] for step in groups}
    room = MAX_BYTES
    for step, scored in in_turn(turns):
        shown = viewer.shown(scored, trainer[step])
        made = group_card(shown).html if shown else gone(scored)
        if len(made) <= room:
            room -= len(made)
            cards[step].append((shown.sample.sample.address.task if shown else "gone", made))
    return cards


def gone(scored: ScoredGroup) -> str:
    """Say that the sample of a group is gone."""
    return bad(f"Row {scored.row} of the data is no longer {scored.group.key}.")


def chosen(groups: Sequence[ScoredGroup], trainer: Mapping[str, Any], step: int, nth: int) -> list[ScoredGroup]:
    """Choose the groups of a step that are shown.

    Groups whose rewards differ come first, with the primitives in turn; the last place is kept for a group whose
    rewards are all the same, if there is one. Groups with the trainer's log-probabilities are preferred.
    """
    order = [groups[i] for i in rng_at("rollouts", step).permutation(len(groups))]
    order.sort(key=lambda one: one.group.key not in trainer)  # stable, so the random order stays within both halves
    flat = [one for one in order if is_flat([score.reward for score in one.scores])]
    by_task: dict[tuple[bool, str], list[ScoredGroup]] = {}
    for one in order:
        if one not in flat:
            by_task.setdefault((one.group.key in trainer, one.group.key.partition("-")[0]), []).append(one)
    differing: list[ScoredGroup] = []
    for known in (True, False):
        tasks = sorted(task for has, task in by_task if has == known)
        first = nth % len(tasks) if tasks else 0  # every step begins with another primitive
        differing += in_turn(by_task[known, task] for task in tasks[first:] + tasks[:first])
    if flat:
        differing.insert(min(len(differing), GROUPS_PER_STEP - 1), flat.pop(0))
    return [*differing, *flat][:GROUPS_PER_STEP]


def spread_by_reward(scored: ScoredGroup) -> list[int]:
    """Return indices of at most ``MAX_ROLLOUTS`` rollouts, evenly from the highest reward to the lowest."""
    ranked = sorted(
        range(len(scored.scores)),
        key=lambda n: (scored.scores[n].reward is None, -(scored.scores[n].reward or 0.0), n),
    )
    return evenly(ranked, MAX_ROLLOUTS)


def evenly(items: Sequence[int], most: int) -> list[int]:
    """Return at most ``most`` items, always the first and the last."""
    if len(items) <= most:
        return list(items)
    return [items[round(n * (len(items) - 1) / (most - 1))] for n in range(most)]


def trainer_path(run: Path, step: int) -> Path:
    """Return where the trainer's log-probabilities of some groups of a step are, if they were kept."""
    return path_of(run, step).with_suffix(".trainer.json")


def trainer_logprobs(run: Path, step: int) -> dict[str, list[list[float]]]:
    """Read the trainer's log-probabilities of some groups of a step, per rollout and token; empty if not kept.

    Raises:
        UserError: the file is damaged.
    """
    path = trainer_path(run, step)
    try:
        found: dict[str, list[list[float]]] = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); remove it, and the report shows the step without it") from error
    return found
