"""What the rewards of a run ask of its data: twins, shuffled frames, and samples that they apply to at all."""

from temporay.operators.dataset.opening import Samples
from temporay.operators.errors import UserError
from temporay.operators.reinforcement.prompt_stream import PromptStream
from temporay.operators.rewards._base import Need
from temporay.operators.scoring.scores import inapplicable, load_rewards, needs_of
from temporay.workflows.grpo.settings import GrpoConfig

SAMPLES_PER_TASK = 16  # looked at for rewards that leave them out


def compared_with(config: GrpoConfig) -> frozenset[Need]:
    """Return what must be generated for comparison, because a reward asks for it."""
    return needs_of(load_rewards(config.rewards.weights, config.rewards.settings))


def check_order_counts(config: GrpoConfig, dataset: Samples) -> None:
    """Refuse a comparison with shuffled frames that can never be made.

    Raises:
        UserError: a reward compares with them, and no answer depends on the order of the frames.
    """
    if "shuffled" in compared_with(config) and not any(dataset.sample(i).order_dependent for i in range(len(dataset))):
        raise UserError(
            f"a reward compares with shuffled frames, but no answer in {config.data} depends on their order; leave "
            "that reward out, or write order_dependent into the lines of own data for which it is true"
        )


def left_out(config: GrpoConfig, dataset: Samples) -> list[str]:
    """Say which rewards do not apply to which tasks of the data, by the first samples of each."""
    by_task: dict[str, list[int]] = {}
    for i in range(len(dataset)):
        by_task.setdefault(dataset.address(i).task, []).append(i)
    looked_at = [dataset.sample(i) for rows in by_task.values() for i in rows[:SAMPLES_PER_TASK]]
    return inapplicable(load_rewards(config.rewards.weights, config.rewards.settings), looked_at, dataset.style)


def prompt_stream(config: GrpoConfig, dataset: Samples) -> PromptStream:
    """Return the order of prompts over the dataset's rows, in pairs when a reward compares twins.

    Raises:
        UserError: a reward compares twins, and the data has none.
    """
    addresses = [dataset.address(i) for i in range(len(dataset))]
    return PromptStream.over(
        [address.task for address in addresses],
        [address.level for address in addresses],
        [address.pair_id for address in addresses],
        seed=config.seed,
        pairs="twin" in compared_with(config),
    )
