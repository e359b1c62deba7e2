"""How a training worker learns from one batch of rollouts: micro-batches, updates, and a report.

TrainingBatch → mini-batches → micro-batches of this rank → forward, backward, step → UpdateReport
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from temporay.models.collate import Batch, BatchCounts, StepSize, collate_groups
from temporay.models.losses._base import LossInputs, build_loss, k3, token_share
from temporay.models.losses._correction import engine_log_ratio, importance_log_ratio, importance_weights
from temporay.models.losses._spread import RatioSpread
from temporay.models.policy import Policy
from temporay.models.scoring_head import Scores
from temporay.operators.reinforcement.gradient_noise import gradient_estimates
from temporay.operators.seeding import rng_at
from temporay.workflows.grpo.batches import TrainingBatch, TrainingGroup, UpdateReport
from temporay.workflows.grpo.passes import (
    RolloutPass,
    StepPasses,
    rollout_passes,
    size_of_step,
    step_passes,
)
from temporay.workflows.grpo.settings import GrpoSettings
from temporay.workflows.learner.ahead import ahead
from temporay.workflows.learner.learner import Learner

PREFETCH_PASSES = 2  # micro-batches that are collated ahead of the one that is computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """One rank's micro-batches of an update."""

    batches: Iterable[Batch]  # to be read once, unless a batch gets several updates
    size: StepSize
    whole: StepPasses  # of all ranks


def learn_from(
    learner: Learner, batch: TrainingBatch, config: GrpoSettings, reference: Policy | None = None
) -> UpdateReport:
    """Do all updates of one batch: ``num_iterations`` passes over it, each cut into ``mini_batches`` updates.

    An update without a group, or whose gradient is not finite, is left out and counted; the schedule goes on.
    """
    logprobs = shown_logprobs(learner, batch, config)
    pieces = mini_batches(batch.groups, config.mini_batches, (config.seed, learner.step))
    ready = [prepared(learner, piece, config, reference) for piece in pieces]
    measured: list[dict[str, float]] = []
    spread = RatioSpread()
    for _ in range(config.num_iterations):
        measured += [update_once(learner, made, config, spread) for made in ready]
    metrics = mean_of(measured) | spread.summary(learner.policy.parallel)
    trained = tuple(one.group.key for piece in pieces for one in piece)
    return UpdateReport(metrics=metrics, trained=trained, logprobs=logprobs)


def mini_batches(groups: list[TrainingGroup], count: int, place: tuple[int, int]) -> list[list[TrainingGroup]]:
    """Cut the groups of a batch into one piece per update of a pass, in an order of the step's own.

    Args:
        place: seed of the run, and step.
    """
    if count == 1:
        return [groups]
    order = rng_at("mini_batches", *place).permutation(len(groups)).tolist()
    return [[groups[i] for i in order[first::count]] for first in range(count)]


def prepared(learner: Learner, piece: list[TrainingGroup], config: GrpoSettings, reference: Policy | None) -> Prepared:
    """Make this rank's micro-batches of an update, with log-probs of the weights that exist before the first update.

    Where a batch gets one update, the policy it starts from is the current one, and nothing is computed twice. A thread
    collates the next micro-batches while others are computed.
    """
    parallel = learner.policy.parallel
    whole = step_passes(piece, config.pass_limits, parallel.world_size)
    passes = whole.passes[parallel.rank :: parallel.world_size]
    batches: Iterable[Batch] = ahead((collated(learner, one) for one in passes), PREFETCH_PASSES)
    if reference is not None:
        batches = [dataclasses.replace(b, reference_logprobs_BT=reference.logprobs(b)) for b in batches]
    if config.updates_per_step > 1:
        batches = [dataclasses.replace(b, old_logprobs_BT=learner.policy.logprobs(b)) for b in batches]
    measures = config.hardware.sharding == "parameters"  # else no rank has a whole gradient before the last pass
    num_first_passes = whole.num_first // parallel.world_size if measures else 0
    size = dataclasses.replace(size_of_step(passes), num_first_passes=num_first_passes)
    return Prepared(batches=batches, size=size, whole=whole)


def update_once(learner: Learner, made: Prepared, config: GrpoSettings, spread: RatioSpread) -> dict[str, float]:
    """Take one optimizer step, or none when there is nothing to learn from or the gradient is not finite."""
    if not made.size.num_passes:
        learner.policy.skip_step()
        return {"skipped": 1.0}
    loss = GrpoUpdateLoss(config, spread)
    metrics = learner.update(made.batches, loss, made.size)
    if "skipped_not_finite" in metrics:
        return metrics
    if (first_square := metrics.pop("grad_square_first", None)) is not None:
        units = {"num_first_units": made.whole.num_first_groups, "num_units": made.whole.num_groups}
        metrics |= gradient_estimates(first_square, metrics["grad_norm"] ** 2, **units)
    parallel = learner.policy.parallel
    worst_R = torch.zeros(parallel.world_size)
    worst_R[parallel.rank] = loss.largest_gap
    return {**metrics, "parity_max_abs": float(parallel.sum(worst_R).max())}


def mean_of(measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Sum up the updates of a batch: means, but the number of skipped updates, and the largest gap."""
    names = dict.fromkeys(name for one in measured for name in one)
    values = {name: [one[name] for one in measured if name in one] for name in names}
    means = {name: math.fsum(some) / len(some) for name, some in values.items()}
    sums = {name: math.fsum(some) for name, some in values.items() if name.startswith("skipped")}
    largest = {name: max(some) for name, some in values.items() if name == "parity_max_abs"}
    return {**means, **sums, **largest}


def shown_logprobs(learner: Learner, batch: TrainingBatch, config: GrpoSettings) -> dict[str, list[list[float]]]:
    """Score the batch's first groups before learning from them. Every rank must call it."""
    logprobs: dict[str, list[list[float]]] = {}
    for one in batch.groups[: batch.num_shown]:
        whole = [0.0] * len(one.advantages)  # no rollout is left out, as one without an advantage would be
        scored: list[list[float]] = []
        for part in rollout_passes([dataclasses.replace(one, advantages=whole)], config.pass_limits, 1):
            made = collated(learner, part)
            masks = made.completion_mask_BT.bool()
            rows = zip(learner.policy.logprobs(made), masks, strict=True)
            scored += [row[mask].tolist() for row, mask in rows]
        tokens = iter(scored)
        logprobs[one.group.key] = [next(tokens) if r.completion_ids else [] for r in one.group.rollouts]
    return logprobs


def collated(learner: Learner, one: RolloutPass) -> Batch:
    """Collate the rollouts of a pass."""
    batch = collate_groups(
        learner.family,
        learner.processor,
        [part.prompt.load() for part in one.groups],
        [part.group for part in one.groups],
        [part.advantages for part in one.groups],
    )
    if one.is_blank:
        batch = dataclasses.replace(batch, completion_mask_BT=torch.zeros_like(batch.completion_mask_BT))
    return batch.pinned() if learner.policy.parallel.device.type == "cuda" else batch


class GrpoUpdateLoss:
    """The GRPO loss of one update, and how far engine and trainer are apart on the tokens that the engine sampled.

    Metrics beside the loss's own: ``engine_gap``, the mean of |log p_trainer - log p_engine|, and ``engine_kl``, the k3
    estimate of KL(engine ‖ trainer), both in nats per token; ``largest_gap`` is the largest such difference.

    With one update per batch the policy it starts from is the current one: the ratio is 1 and its gradient is the
    policy gradient. With several, the ratio is to the weights before the first. What the engine sampled differently is
    corrected by importance weights. ``importance_clipped`` is the share of tokens whose weight was cut or made 0 by
    ``importance_sampling_clip_max``, ``importance_clipped_sequences`` that of sequences in the sequence modes.
    """

    def __init__(self, config: GrpoSettings, spread: RatioSpread) -> None:
        """Make the loss of one update.

        Args:
            spread: takes the ratios of the policy, where it has moved, and those of importance weights.
        """
        self._loss, self._spread = build_loss(config.loss), spread
        self._max_tokens = config.max_tokens
        self.largest_gap = 0.0  # |log p_trainer - log p_engine|, nats

    def __call__(
        self, scores: Scores, batch: Batch, counts: BatchCounts
    ) -> tuple[torch.Tensor, Mapping[str, torch.Tensor]]:
        assert batch.advantages_B is not None
        assert batch.engine_logprobs_BT is not None
        mask_BT = batch.completion_mask_BT
        old_BT = scores.logprobs_BT.detach() if batch.old_logprobs_BT is None else batch.old_logprobs_BT
        log_ratio_BT = engine_log_ratio(old_BT, batch.engine_logprobs_BT, mask_BT)
        gap_BT, kl_BT = log_ratio_BT.abs(), k3(torch.zeros_like(log_ratio_BT), log_ratio_BT)
        self.largest_gap = max(self.largest_gap, float(gap_BT.max()))
        inputs = LossInputs(
            logprobs_BT=scores.logprobs_BT,
            old_logprobs_BT=old_BT,
            mask_BT=mask_BT,
            advantages_B=batch.advantages_B,
            counts=counts,
            max_completion_length=self._max_tokens,
            importance_weights_BT=importance_weights(old_BT, batch.engine_logprobs_BT, mask_BT, self._loss.settings),
            reference_logprobs_BT=batch.reference_logprobs_BT,
        )
        loss, metrics = self._loss(inputs)
        if batch.old_logprobs_BT is not None:  # else the ratio is 1
            ratio = self._loss.ratio(inputs).detach()
            self._spread.add("ratio", ratio.log(), _mask_like(ratio, mask_BT))
        engine = {"engine_gap": gap_BT, "engine_kl": kl_BT}
        shares = {name: token_share(value, mask_BT, counts) for name, value in engine.items()}
        return loss, {**metrics, **shares, **self._importance(inputs, batch.engine_logprobs_BT)}

    def _importance(self, inputs: LossInputs, engine_logprobs_BT: torch.Tensor) -> dict[str, torch.Tensor]:
        """Note the importance weights, and return the shares of what they leave out or cut."""
        weights, settings, mask_BT = inputs.importance_weights_BT, self._loss.settings, inputs.mask_BT
        if weights is None:
            return {}
        log_ratio = importance_log_ratio(inputs.old_logprobs_BT, engine_logprobs_BT, mask_BT, settings)
        mask = _mask_like(log_ratio, mask_BT)
        self._spread.add("importance", log_ratio, mask)
        self._spread.add_weights(weights, mask)
        clipped = (log_ratio > math.log(settings.importance_sampling_clip_max)).float()
        shares = {"importance_clipped": token_share(clipped.expand_as(mask_BT), mask_BT, inputs.counts)}
        if settings.importance_sampling.startswith("sequence"):
            shares["importance_clipped_sequences"] = (clipped * mask).sum() / max(inputs.counts.num_sequences, 1.0)
        return shares


def _mask_like(values: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """Return the mask of tokens, or for values by sequence which sequences have any."""
    if values.shape == mask_BT.shape:
        return mask_BT
    return (mask_BT.sum(-1, keepdim=True) > 0).to(mask_BT.dtype)
