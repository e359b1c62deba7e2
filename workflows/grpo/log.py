"""What a run of GRPO says of itself: a line per step on the terminal, its row and its account in metrics.jsonl.

Produced, UpdateReport → step row, ledger line, trainer's log-probs beside the rollouts → summary.json
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from temporay.operators.dataset.opening import Samples
from temporay.operators.files import write_json
from temporay.operators.records import Outcome, ScoredGroup, ScoreStatus
from temporay.operators.reinforcement import ledger
from temporay.operators.reinforcement.gradient_noise import DECAY, NOISE, SQUARE, noise_scale
from temporay.operators.reinforcement.reward_trend import WORDS, reward_trend
from temporay.operators.reinforcement.rollout_files import path_of
from temporay.operators.scoring.metrics import ConfidenceInterval, mean_interval
from temporay.workflows.grpo import guards, validation
from temporay.workflows.grpo.batches import UpdateReport
from temporay.workflows.grpo.producer import Produced
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.runs.run_dir import RunDir

STAGE = "grpo"
STAGES = ("prompts", "generate", "reward", "train", "sync")
OFF_POLICY = {  # shares of tokens, or of sequences where the ratio is theirs, on the terminal where they are not 0
    "clip_fraction_low": "clipped low",
    "clip_fraction_high": "clipped high",
    "importance_clipped": "importance clipped",
}
MACHINE_PREFIXES = (
    *("seconds", "tokens_per_s", "flops_per_s", "text_flops_per_s", "mfu", "text_mfu"),
    *("media_", "decodes_", "engines", "prompts_resent", "prompts_sent"),
)


@dataclass(slots=True)
class StepLines:
    """Writes the lines of one call of a run."""

    config: GrpoConfig
    run_dir: RunDir
    dataset: Samples
    _last: float  # when the step before ended
    _past: list[dict[str, float]]  # what later lines need of every step
    _told: bool = False  # that a step has no gradient noise scale

    @classmethod
    def open(cls, config: GrpoConfig, run_dir: RunDir, dataset: Samples, first_step: int) -> Self:
        """Drop the lines that an earlier call wrote of the steps that are taken again."""
        for stage in (STAGE, ledger.STAGE, guards.STAGE, validation.STAGE):
            run_dir.drop_from(stage, first_step)
        past = [kept(row) for row in run_dir.rows(STAGE)]
        return cls(config=config, run_dir=run_dir, dataset=dataset, _last=time.perf_counter(), _past=past)

    def write(self, step: int, produced: Produced, report: UpdateReport, engines: Mapping[str, float]) -> None:
        """Write all that is kept of a step; stop the run when engine and trainer are too far apart.

        Args:
            engines: the pool's counters.

        Raises:
            UserError: engine and trainer are too far apart.
        """
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        measures = measured(produced.groups, self.dataset) | produced.media
        row = step_row(step, produced, measures, report, seconds) | dict(engines)
        self._past.append(kept(row))
        if SQUARE in row:
            row |= noise_scale(self._past, DECAY)
        if report.logprobs:
            path = path_of(self.config.out, step)
            path.parent.mkdir(exist_ok=True)
            write_json(path.with_suffix(".trainer.json"), report.logprobs)
        self.run_dir.log(ledger.ledger_line(step, produced.groups, report.trained))
        self.run_dir.log(row)
        print(terminal_line(row, self.config.num_steps), flush=True)
        if "grad_norm" in row and SQUARE not in row and not self._told:
            print(f"grpo: step {step + 1} has no gradient noise scale: {why_not_measured(self.config)}", flush=True)
            self._told = True
        if line := guards.flat_reward(step + 1, rewards_of(self._past), self.config.guards):
            print(line, flush=True)
        if "engine_kl" in row:
            guards.check_engine_kl(step, row["engine_kl"], row["staleness"], self.config.guards)


def rewards_of(past: Sequence[Mapping[str, float]]) -> list[float]:
    """Return the mean rewards of the steps that have any."""
    return [row["reward"] for row in past if "reward" in row]


def reward_phrase(summary: Mapping[str, Any]) -> str:
    """Return the reward of the first and of the last quarter of the steps, and what that says."""
    quarters = f"{summary['reward_first']:.3f} → {summary['reward_last']:.3f}"
    return f"reward {quarters} ({ends_words(summary['steps'])}{trend_words(summary)})"


def ends_words(num_steps: int) -> str:
    """Say which steps of a run are compared: the first and the last quarter, of few steps one each."""
    if num_steps == 1:
        return "both of the only step"
    return f"first and last {'quarter ' if num_steps >= 8 else ''}of {num_steps} steps"


def trend_words(summary: Mapping[str, Any]) -> str:
    """Return what follows the rewards of a finished run; "" where it was too short."""
    trend = summary.get("reward_trend")
    return f"; it {WORDS[trend['verdict']]}" if trend else ""


def kept(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a step that lines of later steps are made of."""
    names = ("reward", SQUARE, NOISE) if any(reward is not None for reward in row["group_rewards"]) else (SQUARE, NOISE)
    return {name: row[name] for name in names if name in row}


def why_not_measured(config: GrpoConfig) -> str:
    """Say what the gradient noise scale of a step needs."""
    if config.hardware.sharding == "optimizer":
        return "with hardware.sharding optimizer, a gradient is whole only after the last micro-batch"
    return (
        "its groups did not fill two micro-batches of each worker, each with groups of its own; a smaller "
        "micro_batch_size or micro_batch_tokens, or more prompts_per_step, give it one"
    )


def step_row(
    step: int, produced: Produced, measures: Mapping[str, float], report: UpdateReport, seconds: float
) -> dict[str, Any]:
    """Return the row of a step in metrics.jsonl; names with a prefix in ``MACHINE_PREFIXES`` depend on the machine."""
    spent = produced.clock.seconds
    generate_s = spent.get("generate", 0.0)
    sampled = measures["sampled_tokens"]
    return {
        "stage": STAGE,
        "step": step,
        **measures,
        **report.metrics,
        **{name: float(sum(one.outcome == name for one in produced.groups)) for name in Outcome},
        "staleness": step - produced.batch.weight_version,
        "group_rewards": [group_mean(one) for one in produced.groups],
        "seconds": seconds,
        **({"published_bytes": report.publish_bytes} if report.publish_bytes else {}),
        **{f"seconds_{stage}": spent.get(stage, 0.0) for stage in STAGES},
        "tokens_per_s_generate": sampled / generate_s if generate_s else None,
        "tokens_per_s": sampled / seconds,
    }


def what_was_learned(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's row without what depends on the machine, its faults and the clock.

    For an on-policy run on a CPU it is the same to the last bit, however often the run was killed.
    """
    return {name: value for name, value in row.items() if not name.startswith(MACHINE_PREFIXES)}


def terminal_line(row: dict[str, Any], num_steps: int) -> str:
    """Sum up a step for somebody who waits."""
    times = " ".join(f"{stage} {row[f'seconds_{stage}']:.1f}" for stage in STAGES)
    guards_said = "".join(f"  {name} {row[name]:.0f}" for name in ("skipped", "skipped_not_finite") if row.get(name))
    noise, low = row.get("noise_scale"), row.get("noise_scale_low")
    noise_said = f"  noise scale {noise:.0f}" if noise is not None else f"  noise scale > {low:.0f}" if low else ""
    off_policy = "".join(f"  {words} {row[name]:.1%}" for name, words in OFF_POLICY.items() if row.get(name, 0) > 0)
    return (
        f"step {row['step'] + 1}/{num_steps}  reward {row['reward']:.3f}  useful groups {row['useful_groups']:.0%} of "
        f"{row['prompts']:.0f}{noise_said}  tokens {row['completion_tokens']:.0f}  engine kl "
        f"{row.get('engine_kl', 0):.1e}  parity {row.get('parity_max_abs', 0):.1e}  stale "
        f"{row['staleness']}  {row['seconds']:.1f} s ({times})  "
        f"{row['tokens_per_s']:.0f} tokens/s{off_policy}{guards_said}"
    )


def measured(groups: Sequence[ScoredGroup], dataset: Samples) -> dict[str, float]:
    """Measure a step's rollouts: means over rollouts, shares of groups, counts."""
    rewards = [score.reward for one in groups for score in one.scores if score.reward is not None]
    lengths = [len(rollout.completion_ids) for one in groups for rollout in one.group.rollouts]
    statuses = Counter(score.status.value for one in groups for score in one.scores)
    static = [one for one in groups if one.static]
    steered = [one for one in groups if not one.static]
    levels = [dataset.address(one.row).level for one in groups]
    return {
        "reward": sum(rewards) / max(1, len(rewards)),
        "useful_groups": useful_share(groups),
        **({"useful_steered": useful_share(steered)} if steered else {}),
        **({"useful_static": useful_share(static)} if steered and static else {}),
        "level": sum(levels) / len(levels),
        "prompts": float(len(groups)),
        "completion_tokens": sum(lengths) / len(lengths),
        "sampled_tokens": float(sum(lengths)),
        **{f"status_{status.value}": float(statuses[status.value]) for status in ScoreStatus if statuses[status.value]},
    }


def useful_share(groups: Sequence[ScoredGroup]) -> float:
    """Return the share of groups whose rewards differ."""
    return sum(one.outcome in (Outcome.TRAINED, Outcome.OBSERVED) for one in groups) / len(groups)


def group_mean(scored: ScoredGroup) -> float | None:
    """Return the mean reward of a group; None when none of its rollouts has one."""
    known = [score.reward for score in scored.scores if score.reward is not None]
    return sum(known) / len(known) if known else None


def summarize(
    rows: Sequence[dict[str, Any]], account: Sequence[dict[str, Any]] = (), flat_after_steps: int = 0
) -> dict[str, Any]:
    """Return what summary.json holds: first and last quarter of the steps, counters that must hold, and the account.

    Args:
        rows: the lines of the steps.
        account: the ledger's lines of the same steps.
        flat_after_steps: a run of fewer steps says nothing of the trend of its reward; 0: none does.

    Raises:
        RuntimeError: a prompt group was trained on twice, or is not accounted for: a fault of ours.
    """
    quarter = max(1, len(rows) // 4)
    first, last = reward_estimate(rows[:quarter]), reward_estimate(rows[-quarter:])
    trend = reward_trend(rewards_of([kept(row) for row in rows])) if 0 < flat_after_steps <= len(rows) else None
    faults = ledger.reconcile(account)
    if faults:
        raise RuntimeError(f"the ledger does not reconcile: {'; '.join(faults[:5])}")
    return {
        "steps": len(rows),
        "reward_first": first.value,
        "reward_first_interval": [first.low, first.high],
        "reward_last": last.value,
        "reward_last_interval": [last.low, last.high],
        "useful_groups": sum(row["useful_groups"] for row in rows) / len(rows),
        **noise_scale(rows),
        **({} if trend is None else {"reward_trend": asdict(trend)}),
        "groups": ledger.totals(account),
        "parity_max_abs": max(row.get("parity_max_abs", 0.0) for row in rows),
        "decodes_per_prompt": rows[-1]["decodes_per_prompt"],
        "rollouts_without_reward": sum(row.get("status_crashed", 0) + row.get("status_timeout", 0) for row in rows),
    }


def reward_estimate(rows: Sequence[dict[str, Any]]) -> ConfidenceInterval:
    """Estimate the mean reward of some steps; a group is one observation, because its rollouts share their prompt."""
    return mean_interval([reward for row in rows for reward in row["group_rewards"] if reward is not None])
