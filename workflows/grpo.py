"""GRPO with verifiable rewards: two coroutines, produce and train, joined by one buffer.

    produce: prompts → rollouts (engines) → scores (reward tasks) → advantages → buffer
    train:   buffer → update (Ray Train workers) → weights of the next version → engines

``max_staleness`` 0 makes it the synchronous, exactly on-policy loop. Group-relative advantages: DeepSeekMath,
arXiv 2402.03300, eq. 21; accuracy reward only and no KL term unless asked for, as SynRL (arXiv 2603.17693) trains.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.chat import to_prompt
from models.lora import Trained
from models.losses import GrpoLossSettings
from models.parallel import Hardware
from models.policy import OptimizerConfig
from operators.advantage import ScaleRewards, TaskScales, group_advantages, is_flat
from operators.at_rest.shards import Dataset
from operators.errors import UserError
from operators.metrics import Interval, mean_interval
from operators.records import Group, Prompt, Sample, Sampling, Score
from operators.rollout_buffer import RolloutBuffer
from operators.seeding import digest
from workflows.command_line import parse
from workflows.config import Config
from workflows.learner import LearnerConfig, epoch_rows
from workflows.policy_learner import PolicyLearner, TrainingBatch, UpdateConfig
from workflows.reward_tasks import RewardConfig, score_groups
from workflows.rollout_pool import PoolConfig, RolloutPool
from workflows.run_dir import RunDir
from workflows.session import ray_session

STAGE = "grpo"
SCALES = "grpo_scales"  # a line per batch, written before the batch can be trained on


class GrpoSettings(Config):
    """How a policy is improved, wherever it and its prompts are."""

    seed: int = 0
    num_steps: int = 100
    prompts_per_step: int = 16
    group_size: int = 8  # rollouts per prompt
    temperature: float = 1.0
    max_tokens: int = 256
    instruction: str = ""
    max_staleness: int = 0  # updates a batch may lag behind the newest weights
    scale_rewards: ScaleRewards = "group"  # task: by a moving deviation of each task's rewards (OneThinker)
    rewards: RewardConfig = RewardConfig()
    loss: GrpoLossSettings = GrpoLossSettings()
    optimizer: OptimizerConfig = OptimizerConfig()
    num_workers: int = 1  # Ray Train workers (FSDP2 ranks)
    threads: int = 2  # CPU threads of each
    trained: Trained = Trained()  # all weights or LoRA adapters; vision tower and projector trained or frozen
    hardware: Hardware = Hardware()
    micro_batch_size: int = 32  # rollouts per forward pass of one worker
    checkpoint_every: int = 20  # updates
    max_failures: int = 3  # restarts of the training workers from their newest checkpoint


class GrpoConfig(GrpoSettings):
    """Settings of ``temporay grpo``."""

    data: Path  # a dataset made by ``temporay generate``, usually with --split rl
    model: Path  # Hugging Face layout
    out: Path
    pool: PoolConfig = PoolConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    """A scored batch and what making it took."""

    batch: TrainingBatch
    metrics: dict[str, float]
    rewards_by_group: list[list[float | None]]


@dataclass(slots=True)
class Loop:
    """What the two halves share."""

    config: GrpoConfig
    run_dir: RunDir
    dataset: Dataset
    pool: RolloutPool
    learner: PolicyLearner
    buffer: RolloutBuffer[Produced]
    scales: TaskScales
    num_decodes: int = 0
    num_prompts: int = 0


async def produce(loop: Loop, first_step: int) -> None:
    """prompts → rollouts → scores → advantages, one batch per step, no further ahead than the buffer allows."""
    config = loop.config
    for step in range(first_step, config.num_steps):
        version = await loop.buffer.room_for(step)
        samples, prompts = draw_prompts(loop, step)
        sampling = Sampling(
            num_rollouts=config.group_size,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            seed=digest("rollout", config.seed, step) % 2**31,
        )
        groups = await loop.pool.generate(prompts, sampling)
        scores = await score_groups(groups, samples, config.rewards)
        if config.scale_rewards == "task":
            update_scales(loop, step, samples, scores)
        stds = [loop.scales.std(sample.address.task) for sample in samples]
        await loop.buffer.put(step, with_advantages(config, version, prompts, groups, scores, stds))


async def train(loop: Loop, first_step: int) -> None:
    """batch → update → published weights → one line of metrics."""
    for step in range(first_step, loop.config.num_steps):
        produced = await loop.buffer.get(step)
        update = await loop.learner.update(step, produced.batch)
        await loop.pool.load_weights(update.weights_version, update.weights)
        await loop.buffer.mark_done(step)
        report_step(loop, step, produced, update.metrics)


def draw_prompts(loop: Loop, step: int) -> tuple[list[Sample], list[Prompt]]:
    """The samples of a step and their prompts; every clip is decoded here once and nowhere else."""
    config = loop.config
    first = step * config.prompts_per_step
    indices = epoch_rows(STAGE, config.seed, len(loop.dataset), first, config.prompts_per_step)
    samples = [loop.dataset.sample(i) for i in indices]
    prompts = []
    for i, sample in zip(indices, samples, strict=True):
        frames_THWC = loop.dataset.frames(i)
        loop.num_decodes += 1
        loop.num_prompts += 1
        prompts.append(to_prompt(loop.pool.processor, sample, frames_THWC, instruction=config.instruction))
    return samples, prompts


def update_scales(loop: Loop, step: int, samples: Sequence[Sample], scores: Sequence[list[Score]]) -> None:
    """The spread of each task's rewards with this batch, kept in metrics.jsonl for a run that resumes after it."""
    rewards = [[score.reward for score in group] for group in scores]
    loop.scales = loop.scales.updated([sample.address.task for sample in samples], rewards)
    loop.run_dir.log({"stage": SCALES, "step": step, "scales": loop.scales.to_json()})


def scales_before(run_dir: RunDir, step: int) -> TaskScales:
    """What ``update_scales`` left before a step, whose lines from there on are forgotten."""
    run_dir.drop_from(SCALES, step)
    rows = run_dir.rows(SCALES)
    return TaskScales.from_json(rows[-1]["scales"]) if rows else TaskScales()


def with_advantages(
    config: GrpoConfig,
    version: int,
    prompts: Sequence[Prompt],
    groups: Sequence[Group],
    scores: Sequence[list[Score]],
    task_stds: Sequence[float | None],
) -> Produced:
    """Keeps the groups whose rewards differ; a flat group carries no signal and is dropped whole, counted."""
    rewards = [[score.reward for score in group] for group in scores]
    advantages = [
        group_advantages(row, scale_rewards=config.scale_rewards, task_std=std)
        for row, std in zip(rewards, task_stds, strict=True)
    ]
    kept = [i for i, row in enumerate(rewards) if not is_flat(row)]
    statuses = Counter(score.status.value for group in scores for score in group)
    known = [r for row in rewards for r in row if r is not None]
    lengths = [len(r.completion_ids) for group in groups for r in group.rollouts]
    metrics = {
        "reward": sum(known) / max(1, len(known)),
        "useful_groups": len(kept) / len(groups),
        "completion_tokens": sum(lengths) / len(lengths),
        **{f"status_{name}": float(count) for name, count in sorted(statuses.items())},
    }
    batch = TrainingBatch(
        weight_version=version,
        prompts=[prompts[i] for i in kept],
        groups=[groups[i] for i in kept],
        advantages=[list(advantages[i]) for i in kept],
    )
    return Produced(batch=batch, metrics=metrics, rewards_by_group=rewards)


def report_step(loop: Loop, step: int, produced: Produced, update: dict[str, float]) -> None:
    """One line in metrics.jsonl and one on the terminal."""
    row = {
        "stage": STAGE,
        "step": step,
        **produced.metrics,
        **update,
        "staleness": step - produced.batch.weight_version,
        "decodes_per_prompt": loop.num_decodes / loop.num_prompts,
        "group_rewards": [group_mean(row) for row in produced.rewards_by_group],
    }
    loop.run_dir.log(row)
    print(
        f"step {step + 1}/{loop.config.num_steps}  reward {row['reward']:.3f}  useful groups "
        f"{row['useful_groups']:.0%}  tokens {row['completion_tokens']:.0f}  parity {row.get('parity_max_abs', 0):.1e}"
        f"  engine kl {row.get('engine_kl', 0):.1e}",
        flush=True,
    )


def group_mean(rewards: Sequence[float | None]) -> float | None:
    """Mean reward of a group; None when none of its rollouts has one."""
    known = [reward for reward in rewards if reward is not None]
    return sum(known) / len(known) if known else None


async def reinforce(config: GrpoConfig, run_dir: RunDir, dataset: Dataset, pool: RolloutPool) -> None:
    """Both halves at once, from the newest checkpoint on; the first fault of either ends both."""
    learner_config = LearnerConfig(
        stage=f"{STAGE}_worker",
        model=config.model.absolute(),
        out=config.out.absolute(),
        optimizer=config.optimizer,
        num_steps=config.num_steps,
        checkpoint_every=config.checkpoint_every,
        threads=config.threads,
        temperature=config.temperature,
        trained=config.trained,
        hardware=config.hardware,
        reference=bool(config.loss.beta),
    )
    update = UpdateConfig(loss=config.loss, micro_batch_size=config.micro_batch_size, max_tokens=config.max_tokens)
    workers = PolicyLearner.started(
        learner_config, update, num_workers=config.num_workers, max_failures=config.max_failures
    )
    async with workers as learner:
        first = learner.first_step
        await pool.load_weights(first, learner.weights)
        run_dir.drop_from(STAGE, first)
        buffer: RolloutBuffer[Produced] = RolloutBuffer(max_staleness=config.max_staleness, updates_done=first)
        loop = Loop(config, run_dir, dataset, pool, learner, buffer, scales_before(run_dir, first))
        async with asyncio.TaskGroup() as halves:
            halves.create_task(produce(loop, first))
            halves.create_task(train(loop, first))


def check(config: GrpoConfig, dataset: Dataset) -> None:
    """Refuses what cannot work, before anything starts.

    Raises:
        UserError: a setting is out of range or the dataset is empty.
    """
    if len(dataset) == 0:
        raise UserError(f"{config.data} has no samples; generate some with `temporay generate … --split rl`")
    if config.group_size < 2:
        raise UserError(f"group_size is {config.group_size}; advantages are relative to a group, give at least 2")
    if config.trained.lora.dropout:
        raise UserError(
            f"trained.lora.dropout is {config.trained.lora.dropout:g}, but engines sample without, so that trainer and "
            "engines would disagree; give 0"
        )
    if config.max_staleness < 0:
        raise UserError(f"max_staleness is {config.max_staleness}; give 0 (on-policy) or more")


def run_with(config: GrpoConfig, pool: RolloutPool) -> dict[str, Any]:
    """The whole run on engines that are there already; returns what summary.json holds."""
    dataset = Dataset.open(config.data)
    check(config, dataset)
    run_dir = RunDir.open(config.out, config, kind=STAGE)
    finished = run_dir.summary()
    if finished is not None:
        return finished
    with run_dir.stage(STAGE):
        asyncio.run(reinforce(config, run_dir, dataset, pool))
    return run_dir.finish(summarize(run_dir.rows(STAGE)))


def summarize(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """First and last quarter of the steps compared, and the counters that must hold."""
    quarter = max(1, len(rows) // 4)
    first, last = reward_estimate(rows[:quarter]), reward_estimate(rows[-quarter:])
    return {
        "steps": len(rows),
        "reward_first": first.value,
        "reward_first_interval": [first.low, first.high],
        "reward_last": last.value,
        "reward_last_interval": [last.low, last.high],
        "useful_groups": sum(row["useful_groups"] for row in rows) / len(rows),
        "parity_max_abs": max(row.get("parity_max_abs", 0.0) for row in rows),
        "decodes_per_prompt": rows[-1]["decodes_per_prompt"],
        "rollouts_without_reward": sum(row.get("status_crashed", 0) + row.get("status_timeout", 0) for row in rows),
    }


def reward_estimate(rows: Sequence[dict[str, Any]]) -> Interval:
    """Mean reward of some steps; a group is one observation, because its rollouts share their prompt."""
    return mean_interval([reward for row in rows for reward in row["group_rewards"] if reward is not None])


def run(config: GrpoConfig) -> dict[str, Any]:
    """Starts engines of the policy itself and improves it."""
    with ray_session(), RolloutPool.started(config.pool, config.model) as pool:
        return run_with(config, pool)


def main(arguments: list[str]) -> None:
    from workflows.presets.training import GRPO_PRESETS  # presets are made of this module's config

    summary = run(parse(STAGE, GrpoConfig, GRPO_PRESETS, arguments))
    print(f"reward {summary['reward_first']:.3f} → {summary['reward_last']:.3f} in {summary['steps']} steps")
