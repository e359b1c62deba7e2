"""What a GRPO run asks of its data, its engines and the cluster, seen before anything starts."""

from __future__ import annotations

from temporay.models.families._base import family_of
from temporay.models.token_lengths import TokenLengths
from temporay.operators.dataset.opening import Samples
from temporay.operators.errors import UserError
from temporay.operators.reinforcement.rollout_files import steps_in
from temporay.workflows.grpo import validation
from temporay.workflows.grpo.learner import trainer_needs
from temporay.workflows.grpo.reward_needs import check_order_counts, prompt_stream
from temporay.workflows.grpo.settings import GrpoConfig, GrpoSettings
from temporay.workflows.grpo.sharing import check_sharing
from temporay.workflows.placement import ClusterState, RoleNeed
from temporay.workflows.rollouts.adapters import check_adapters
from temporay.workflows.rollouts.defaults import Demand
from temporay.workflows.rollouts.settings import ResolvedPool
from temporay.workflows.runs.trackers import check_trackers


def check(config: GrpoConfig, dataset: Samples) -> None:
    """Refuse what cannot work, before anything starts.

    Raises:
        UserError: the dataset is empty, there is no such model, or settings contradict each other or the data.
    """
    if len(dataset) == 0:
        raise UserError(f"{config.data} has no samples; generate some with `temporay generate … --split rl`")
    if (config.mode == "from_rollouts") != (config.rollouts is not None):
        raise UserError("mode from_rollouts and --rollouts RUN go together: give both, or neither")
    if config.rollouts is not None:
        missing = sorted(set(range(config.num_steps)) - set(steps_in(config.rollouts)))
        if missing:
            raise UserError(
                f"{config.rollouts} has no rollouts of step {missing[0]} ({len(missing)} of {config.num_steps} are "
                "missing); give fewer --num-steps, or sample them with --mode rollouts_only"
            )
    family_of(config.model)
    check_trackers(config.trackers)
    check_sharing(config, config.pool, config.mode)
    check_adapters(config.pool, config.trained)
    validation.check_validation(config, dataset)
    prompt_stream(config, dataset)
    check_order_counts(config, dataset)
    levels = {dataset.address(i).level for i in range(len(dataset))}
    if config.curriculum.enabled and len(levels) < 2:
        raise UserError(
            f"curriculum.enabled is True, but all of {config.data} is of level {levels.pop()}; generate several: "
            "`temporay generate … --levels 0 1 2`"
        )
    if config.trained.lora.dropout:
        raise UserError(
            f"trained.lora.dropout is {config.trained.lora.dropout:g}, but engines sample without, so that trainer and "
            "engines would disagree; give 0"
        )


def demand_of(settings: GrpoSettings, dataset: Samples, lengths: TokenLengths) -> Demand:
    """Return the most that a run asks of its engines; the canary asks for completions of its own length."""
    limit, max_tokens = settings.longest_completion
    return Demand.of_data(
        dataset,
        lengths,
        instruction=settings.instruction,
        max_tokens=max_tokens,
        limit=limit,
        num_prompts=settings.prompts_per_step,
        num_rollouts=settings.group_size,
    )


def needs(config: GrpoConfig, engines: ResolvedPool | None, cluster: ClusterState) -> list[RoleNeed]:
    """Return what a run needs of a cluster by role, all of it at once."""
    trainer = () if config.mode == "rollouts_only" else trainer_needs(config, config.pool, cluster)
    return [*([] if engines is None else [engines.need]), *trainer]
