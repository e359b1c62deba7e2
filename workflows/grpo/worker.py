"""One training worker of GRPO: it takes batches from the mailbox, learns, publishes its weights, and saves.

    batch → forward, backward, step → report and the next version of the weights → checkpoint when due

A worker that starts again takes the batches since its checkpoint again. Nobody waits for the weights after those, so
that they are not published.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any

import ray
from temporay.models.adapters import AdapterForm
from temporay.models.parallel import local_part
from temporay.models.policy import Policy
from temporay.workflows.grpo.batches import UpdateReport
from temporay.workflows.grpo.settings import GrpoConfig
from temporay.workflows.grpo.update import learn_from
from temporay.workflows.learner.best import keep_if_best
from temporay.workflows.learner.learner import Learner
from temporay.workflows.rollouts.published_weights import PublishedWeights, WeightFormat, publish

WORKER_STAGE = "grpo_worker"  # the name of the training workers' lines in metrics.jsonl


def update_loop(arguments: Mapping[str, Any]) -> None:
    """Learn from one batch after the other; every Ray Train worker runs this."""
    config: GrpoConfig = arguments["config"]
    mailbox, has_reference = arguments["mailbox"], bool(config.loss.beta)
    learner = Learner(
        config, WORKER_STAGE, temperature=config.temperature, reference=has_reference, shares_metrics=True
    )
    reference = starting_policy(learner) if has_reference else None
    if reference is not None:
        learner.log({"step": learner.step, "reference_bytes_per_rank": local_bytes(reference)})
    if rank_0_hears(learner, mailbox.wants_start):
        hand_over_start(learner, arguments["weights"], mailbox)
    keep_if_validated(learner, mailbox, config)
    while not learner.finished:
        step = learner.step
        references = ray.get(mailbox.take_batch.remote(step))
        if not references:  # the driver was stopped: what it has logged must not be done again
            learner.save_if_due({}, may_save=partial(is_logged, mailbox, step - 1), last=True)
            return
        report = learn_from(learner, ray.get(references[0]), config, reference)
        if rank_0_hears(learner, mailbox.wants_result, step):
            hand_over_result(learner, config, arguments["weights"], mailbox, report)
        keep_if_validated(learner, mailbox, config)  # before the checkpoint, behind which no run would come back here
        learner.save_if_due(report.metrics, may_save=partial(is_logged, mailbox, step))
        if learner.stopping:
            return
    learner.write_model()


def hand_over_start(learner: Learner, how: WeightFormat | None, mailbox: Any) -> None:
    """Tell the driver where training starts, with the weights that engines must load; on every rank."""
    # Engines were started with the weights of step 0.
    weights = publish_weights(learner, how, mailbox) if learner.step > 0 else None
    if learner.policy.parallel.rank == 0:
        ray.get(mailbox.put_start.remote(learner.step, weights))


def hand_over_result(
    learner: Learner, config: GrpoConfig, how: WeightFormat | None, mailbox: Any, report: UpdateReport
) -> None:
    """Publish the weights after the last step and hand them over with its report; on every rank.

    This process then refers to them no more. They leave the object store as soon as the pool lets go of them.
    """
    start = time.perf_counter()
    weights = publish_weights(learner, how, mailbox)
    num_bytes = weights.num_bytes if weights else 0
    report = dataclasses.replace(report, publish_s=time.perf_counter() - start, publish_bytes=num_bytes)
    if config.pool.placement == "in_turns":  # engines take what the passes needed
        learner.policy.parallel.release_cache()
    if learner.policy.parallel.rank == 0:
        ray.get(mailbox.put_result.remote(learner.step - 1, report, weights))


def keep_if_validated(learner: Learner, mailbox: Any, config: GrpoConfig) -> None:
    """Wait for the validation of these weights if one is due, and keep them if none were better; on every rank."""
    if not (config.validates and learner.step > 0 and config.validates_after(learner.step)):
        return
    value = ray.get(mailbox.take_validation.remote(learner.step))
    if value is not None:
        keep_if_best(learner, config.best_metric, value)


def rank_0_hears(learner: Learner, method: Any, *arguments: Any) -> bool:
    """Let rank 0 ask the mailbox a question, and return the answer on every rank, as all must act alike."""
    parallel = learner.policy.parallel
    return bool(parallel.from_rank_0(ray.get(method.remote(*arguments)) if parallel.rank == 0 else None))


def publish_weights(learner: Learner, how: WeightFormat | None, mailbox: Any) -> PublishedWeights | None:
    """Publish the policy's adapters, or its weights as engines take them; only rank 0 returns them.

    Every rank must call it.
    """
    if how is None:
        return None
    policy, config = learner.policy, learner.config
    form: AdapterForm | None = None
    if config.trained.weights == "lora":
        form = AdapterForm(base=config.model, rank=config.trained.lora.rank, alpha=config.trained.lora.alpha)
    weights = policy.adapter_factors() if form else policy.whole_weights(how.dtype)
    if policy.parallel.rank > 0:
        deque(weights, maxlen=0)  # ranks gather each weight together
        return None
    return publish(
        weights,
        learner.step,
        adapters=form,
        bucket_bytes=how.bucket_bytes,
        store=lambda bucket: ray.get(mailbox.hold.remote(bucket))[0],
    )


def is_logged(mailbox: Any, step: int) -> bool:
    """Wait for the step's line in metrics.jsonl, which a run that goes on from its checkpoint would not write."""
    return bool(ray.get(mailbox.wait_until_logged.remote(step)))


def starting_policy(learner: Learner) -> Policy:
    """Load the weights that training started from, frozen, as the reference of a KL penalty; also after a restart.

    It is a second model beside the policy, sharded over the same ranks, and kept in the type of the checkpoint's files:
    2 bytes for each weight in bfloat16, on top of the 16 that weights, gradients and AdamW take. It is computed as the
    policy is, so its divergence is exactly 0 before the first update.
    """
    settings = learner.policy.settings
    hardware = settings.hardware.model_copy(update={"sharding": "parameters"})  # no step needs it whole
    return Policy.load(
        learner.config.model,
        learner.family,
        dataclasses.replace(settings, gradient_checkpointing=False, is_reference=True, hardware=hardware),
        learner.policy.parallel,
    )


def local_bytes(policy: Policy) -> int:
    """Count the bytes of the parameters that this rank holds."""
    return sum(part.numel() * part.element_size() for part in map(local_part, policy.model.parameters()))
