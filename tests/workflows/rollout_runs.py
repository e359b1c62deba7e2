"""A run of GRPO as files, without a run: rollouts from the samples' own reasoning, some of it altered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from temporay.models.families._base import family_of
from temporay.operators.advantages._base import advantage_called, is_flat
from temporay.operators.dataset.reader import Dataset
from temporay.operators.files import write_json
from temporay.operators.primitives._base import primitive_of
from temporay.operators.records import FinishReason, Group, Outcome, Rollout, Sample, ScoredGroup
from temporay.operators.reinforcement.rollout_files import path_of, write_step
from temporay.operators.rewards.process import claims_by_sentence
from temporay.operators.scoring.scores import load_rewards, score_group
from temporay.operators.seeding import rng_at

WEIGHTS = {"accuracy": 1.0, "process": 0.5}


def write_run(run: Path, data: Path, model: Path, *, num_steps: int, keep_every: int, group_size: int = 6) -> Path:
    """Write config.json, metrics.jsonl and the rollouts of some steps; the policy becomes better from step to step."""
    dataset, tokenizer = Dataset.open(data), family_of(model).load_processor(model).tokenizer
    run.mkdir(parents=True)
    settings = {"data": str(data), "model": str(model), "num_steps": num_steps, "rewards": {"weights": WEIGHTS}}
    write_json(run / "config.json", {"command": "grpo", **settings})
    lines = [json.dumps({"stage": "grpo_worker", "step": 0, "pid": 1, "world_size": 1})]
    for step in range(num_steps):
        rows = rng_at("rows", step).permutation(len(dataset))[:8]
        skill = 0.25 + 0.6 * step / num_steps
        groups = [scored_group(dataset, tokenizer, int(row), step, skill, group_size) for row in rows]
        lines.append(json.dumps({"stage": "grpo", "step": step, **values_of(groups, step)}))
        if step % keep_every == 0 or step == num_steps - 1:
            write_step(path_of(run, step), groups, {})
            kept = [one for one in groups if one.outcome == Outcome.TRAINED][:3]
            trainer = {one.group.key: [trainer_of(rollout, step) for rollout in one.group.rollouts] for one in kept}
            path_of(run, step).with_suffix(".trainer.json").write_text(json.dumps(trainer))
    checked = {"ordered_accuracy": 0.5, "ordered_accuracy_interval": [0.4, 0.6]}
    lines += [json.dumps({"stage": "grpo_validation", "step": step, **checked}) for step in (0, num_steps)]
    (run / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return run


def scored_group(dataset: Dataset, tokenizer: Any, row: int, step: int, skill: float, group_size: int) -> ScoredGroup:
    sample = dataset.sample(row)
    rollouts = tuple(rollout_of(sample, tokenizer, (step, row, g), skill, step) for g in range(group_size))
    group = Group(key=sample.key, prompt_ids=(1, 2), rollouts=rollouts)
    scores = tuple(score_group(group, sample, load_rewards(WEIGHTS)))
    rewards = [score.reward for score in scores]
    return ScoredGroup(
        position=8 * step + row,
        row=row,
        step=step,
        static=False,
        group=group,
        scores=scores,
        advantages=advantage_called("group")(rewards),
        outcome=Outcome.FLAT if is_flat(rewards) else Outcome.TRAINED,
    )


def rollout_of(sample: Sample, tokenizer: Any, address: tuple[int, ...], skill: float, step: int) -> Rollout:
    rng = rng_at("words", *address)
    text = altered(sample, rng, skill)
    ids = tokenizer.encode(text, add_special_tokens=False)
    newer = int(rng.integers(len(ids))) if rng.random() < 0.3 else len(ids)
    return Rollout(
        completion_ids=tuple(ids),
        logprobs=tuple(float(-(rng.random() ** 4) * 2) for _ in ids),
        text=text,
        finish_reason=FinishReason.STOP,
        weight_versions=tuple(max(0, step - 1) if n < newer else step for n in range(len(ids))),
    )


def altered(sample: Sample, rng: Any, skill: float) -> str:
    """Return the sample's own reasoning and answer; the less skill, the more claims and answers are changed."""
    words, question = sample.rationale, sample.question
    primitive = primitive_of(sample.address.task)
    claims = (
        [] if primitive is None else claims_by_sentence(primitive, sample.rationale, primitive.names(sample.events))
    )
    details = sorted({claim.detail or claim.subject or "" for claim in claims} | set(question.options))
    for claim in claims:
        known = claim.detail or claim.subject or ""
        if rng.random() > 0.55 + 0.45 * skill and known in claim.text:
            other = details[int(rng.integers(len(details)))]
            words = words.replace(claim.text, claim.text.replace(known, other), 1)
    right = rng.random() < skill
    answer = question.answer_index if right else int(rng.integers(len(question.options)))
    said = (
        question.answer if right else question.options[answer] if question.answer_format == "text" else "ABCD"[answer]
    )
    if rng.random() < 0.06:
        return f"<think>{words}</think>"
    return f"<think>{words}</think><answer>{said}</answer>"


def trainer_of(rollout: Rollout, step: int) -> list[float]:
    rng = rng_at("trainer", step, rollout.text)
    return [value - 10.0 ** rng.uniform(-7, -0.6) * rng.random() ** 3 for value in rollout.logprobs]


def values_of(groups: Sequence[ScoredGroup], step: int) -> dict[str, Any]:
    rng = rng_at("values", step)
    rewards = [score.reward for one in groups for score in one.scores if score.reward is not None]
    lengths = [len(rollout.completion_ids) for one in groups for rollout in one.group.rollouts]
    return {
        "reward": sum(rewards) / len(rewards),
        "useful_groups": sum(one.outcome == Outcome.TRAINED for one in groups) / len(groups),
        "completion_tokens": sum(lengths) / len(lengths),
        "entropy": 0.9 - 0.01 * step + 0.05 * rng.random(),
        "kl": 0.002 * step,
        "engine_kl": 1e-4 * rng.random(),
        "parity_max_abs": 0.02 + 0.01 * rng.random(),
        "staleness": float(step > 0),
        "tokens_per_s": 1500.0 + 100 * rng.random(),
        "seconds_generate": 4.0 + rng.random(),
        "seconds_reward": 0.4,
        "seconds_train": 3.0 + rng.random(),
        "seconds_sync": 0.5,
        "group_rewards": rewards,
        "status_ok": float(len(rewards)),
    }
