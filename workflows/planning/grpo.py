"""``temporay plan grpo PRESET --model FOLDER --machine 8xH100-80GB``: memory by role, tokens and hours of GRPO."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field
from temporay.models.collate import Batch, collate_groups
from temporay.models.cost.kv_cache import blocks_of, kv_shape_of, least_blocks
from temporay.models.engines._base import check_length
from temporay.models.engines._tensor_parallel import check_divides
from temporay.models.families._base import Family
from temporay.operators.errors import UserError
from temporay.operators.records import FinishReason, Group, Prompt, Rollout
from temporay.workflows.grpo.settings import GrpoSettings
from temporay.workflows.planning.machine import Machine, machine_of
from temporay.workflows.planning.trainer import (
    GB,
    Assumed,
    TrainerPlan,
    as_record,
    assumed_mfu,
    check_fits,
    memory_lines,
    plan_trainer,
    training_seconds,
    unused_lines,
)
from temporay.workflows.rollouts.adapters import check_adapters
from temporay.workflows.rollouts.settings import PoolConfig

ENGINE_SHARE = 0.9  # of a device's memory that vLLM takes if nothing else is said


class GrpoPlanConfig(GrpoSettings, Assumed):
    """Settings of ``temporay plan grpo``."""

    pool: PoolConfig = PoolConfig()
    sampling_tokens_per_s: float = Field(default=1800.0, gt=0)  # that one engine is assumed to write


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """What each device of an engine holds."""

    weight_bytes: float
    token_bytes: float  # keys and values of a token
    longest: int  # tokens of the longest request
    num_at_once: int  # longest requests that fit at a time

    @property
    def fits(self) -> bool:
        return self.num_at_once > 0


def plan_engine(config: GrpoPlanConfig, trainer: TrainerPlan, machine: Machine) -> EnginePlan:
    """Count weights and cache in bfloat16.

    Raises:
        UserError: the longest prompt and its completion do not fit into ``max_model_len``.
    """
    limit, max_tokens = config.longest_completion
    ranks = config.pool.settings.tensor_parallel
    shape = kv_shape_of(config.model)
    longest = config.pool.settings.max_model_len or trainer.prompt_tokens + max_tokens
    check_length("of the longest clip", trainer.prompt_tokens, max_tokens, longest, limit=limit)
    weight_bytes = 2.0 * trainer.num_weights / ranks
    room = ENGINE_SHARE * machine.device_bytes - weight_bytes
    num_blocks = int(room * ranks / shape.bytes_of_blocks(1, "bfloat16"))
    num_at_once = (num_blocks - 1) // blocks_of(longest) if num_blocks >= least_blocks(longest) else 0
    token_bytes = shape.bytes_per_token("bfloat16") / ranks
    return EnginePlan(weight_bytes=weight_bytes, token_bytes=token_bytes, longest=longest, num_at_once=num_at_once)


def run(config: GrpoPlanConfig) -> dict[str, Any]:
    """Print the plan and return its numbers.

    Raises:
        UserError: engines and trainer share GPUs or have too few, the model's heads do not divide into
            ``tensor_parallel``, the longest request does not fit ``max_model_len``, or passes are limited by tokens.
    """
    machine = machine_of(config.machine)
    check_devices(config, machine)
    check_adapters(config.pool, config.trained)
    has_reference = config.loss.beta > 0
    num_groups = max(1, config.micro_batch_size // config.group_size)
    num_rollouts = min(config.group_size, config.micro_batch_size)  # of each

    def longest(family: Family, processor: Any, prompt: Prompt) -> Batch:
        return longest_groups(family, processor, prompt, num_groups, num_rollouts, config.max_tokens)

    trainer = plan_trainer(config, config, longest, reference=has_reference)
    engine = plan_engine(config, trainer, machine)
    rollouts = config.prompts_per_step * config.group_size
    forwards = has_reference + (config.updates_per_step > 1)  # reference and old log-probs
    passes = rollouts / (num_groups * num_rollouts)
    flops = passes * (config.num_iterations * trainer.flops.training + forwards * trainer.flops.forward)
    seconds, formula = training_seconds(flops, config.num_workers, machine, config.mfu)
    written = rollouts * config.max_tokens
    sampling = written / (config.pool.num_engines * config.sampling_tokens_per_s)
    lasts = max(seconds, sampling) if config.max_staleness else seconds + sampling
    hours = config.num_steps * lasts / 3600
    lines = [
        *memory_lines(trainer, config, machine, num_groups * num_rollouts, "rollouts"),
        *engine_lines(config, engine, machine),
        *unused_lines(machine, most_devices(config), "--pool.num-engines or --num-workers"),
        f"a step: {rollouts} rollouts, up to {passes * trainer.size.num_tokens:,.0f} tokens; training {formula}",
        f"  sampling {written:,} tokens / ({config.pool.num_engines} engines x {config.sampling_tokens_per_s:,.0f} "
        f"tokens/s) = {sampling:.1f} s; {'the slower of both' if config.max_staleness else 'one after the other'}",
        f"{config.num_steps:,} steps: {hours:.1f} h; {assumed_mfu(config.mfu)}; sampling_tokens_per_s "
        f"{config.sampling_tokens_per_s:,.0f} is assumed for any size of model; all prompts and completions are as the "
        "longest",
    ]
    print("\n".join(lines))
    fits = trainer.total_bytes <= machine.usable_bytes and engine.fits
    numbers = {"trainer": as_record(trainer), "longest": engine.longest, "hours": hours}
    return {**numbers, "machine": config.machine, "fits": fits}


def tell(result: Mapping[str, Any]) -> None:
    """End with exit code 2 if the run does not fit."""
    check_fits(result)


def check_devices(config: GrpoPlanConfig, machine: Machine) -> None:
    """Refuse engines that find no devices of their own, or that the model cannot be cut for.

    Raises:
        UserError: engines and trainer share devices or have too few, an engine has not one device for each of its
            ``tensor_parallel`` workers, or heads do not divide into them.
    """
    pool = config.pool
    if pool.placement != "apart":
        raise UserError(
            f"pool.placement is {pool.placement}, but a plan counts engines on devices of their own; give "
            "--pool.placement apart"
        )
    if pool.num_gpus not in (None, pool.settings.tensor_parallel):
        raise UserError(
            f"pool.num_gpus is {pool.num_gpus:g}, but a plan gives an engine pool.settings.tensor_parallel "
            f"({pool.settings.tensor_parallel}) devices; leave --pool.num-gpus out"
        )
    if pool.settings.tensor_parallel > 1:
        check_divides(config.model, pool.settings.tensor_parallel)
    of_engines = pool.num_engines * pool.settings.tensor_parallel
    if config.num_workers + of_engines > machine.num_devices:
        raise UserError(
            f"devices: {config.num_workers} for the trainer and {of_engines} for engines, but {config.machine} has "
            f"{machine.num_devices}; give fewer --num-workers or --pool.num-engines, or a larger --machine"
        )


def most_devices(config: GrpoPlanConfig) -> int:
    """Return how many devices the run uses once engines that may come later have come."""
    num_engines = config.pool.max_engines or config.pool.num_engines
    return config.num_workers + num_engines * config.pool.settings.tensor_parallel


def longest_groups(
    family: Family, processor: Any, prompt: Prompt, num_groups: int, num_rollouts: int, max_tokens: int
) -> Batch:
    """Collate groups whose completions are all as long as they may be."""
    (prompt_ids,) = family.encode(processor, [prompt]).prompt_ids
    rollout = Rollout(
        completion_ids=(processor.tokenizer.eos_token_id,) * max_tokens,
        logprobs=(0.0,) * max_tokens,
        text="",
        finish_reason=FinishReason.LENGTH,
        weight_versions=(0,) * max_tokens,
    )
    group = Group(key=prompt.key, prompt_ids=prompt_ids, rollouts=(rollout,) * num_rollouts)
    advantages = [[1.0] * num_rollouts] * num_groups
    return collate_groups(family, processor, [prompt] * num_groups, [group] * num_groups, advantages)


def engine_lines(config: GrpoPlanConfig, engine: EnginePlan, machine: Machine) -> list[str]:
    """Say what one device of an engine holds."""
    ranks = config.pool.settings.tensor_parallel
    verdict = f"{engine.num_at_once} of the longest at a time" if engine.fits else "does not fit"
    lines = [
        f"engines, each of {config.pool.num_engines} on {ranks} device(s): weights {engine.weight_bytes / GB:.1f} GB a "
        f"device, {engine.token_bytes:,.0f} bytes a token, longest request {engine.longest:,} tokens = "
        f"{engine.longest * engine.token_bytes / GB:.2f} GB; {verdict}"
    ]
    if not engine.fits:
        lines.append(
            f"  weights and one request need more than {ENGINE_SHARE:.0%} of {machine.device_bytes / GB:.0f} GB; "
            f"give --pool.settings.tensor-parallel above {ranks}, --max-tokens below {config.max_tokens}, shorter "
            "prompts or a smaller model"
        )
    return lines
