"""Validation during training: every so many steps a measure of held-out samples, and the best weights so far.

    measure → row of metrics.jsonl → OUT/best

``TargetValidation`` measures the loss of held-out targets under every arm; ``answers.AnswerValidation`` has the model
answer instead.

    samples of ``validation`` → frames of an arm → log-probabilities of the target → loss by arm, gaps

The targets are given, not generated, so that no accuracy is known. What the order of the frames is worth shows in the
gap between the loss of an arm and that of the ordered frames, which is 0 for a model that does not watch.

A target is exact if each of its tokens has a probability above one half: greedy decoding then gives just this target.
Whether a model reasons at all is another matter. So a chain of thought is measured from its first word on, after the
tag that opens it. A run may stop once all shares of exact targets are high enough.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from temporay.operators.errors import SampleRejected, refusal
from temporay.operators.media import Clips
from temporay.operators.scoring.arms import apply_arm
from temporay.workflows.learner.best import keep_if_best
from temporay.workflows.learner.learner import Learner
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.sft.collation import Collate
from temporay.workflows.sft.mixture import Part
from temporay.workflows.sft.schedule import Numbers, Pass, pack
from temporay.workflows.sft.settings import ANSWER_ONLY, SftConfig
from temporay.workflows.sft.token_counts import TooLong


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What is validated on."""

    part: Part
    rows: tuple[int, ...]
    tokens_N: Numbers  # by row of the part; 0 for rows that are not validated on
    dropped: tuple[TooLong, ...]


class Validation(ABC):
    """One rank's part in validating; every rank must make the same calls."""

    def __init__(self, learner: Learner, config: SftConfig) -> None:
        """Take back what was logged behind the step that the run goes on from."""
        self._learner, self._config = learner, config
        self._stage = f"{learner.stage}_validation"
        is_first = learner.policy.parallel.rank == 0
        self._run_dir = RunDir(path=learner.config.out, resumed=True) if is_first else None
        if self._run_dir is not None:
            self._run_dir.drop_from(self._stage, learner.step + 1 if learner.step else 0)

    @abstractmethod
    def measure(self) -> dict[str, Any]:
        """Return the values of a row of metrics.jsonl, ``best_metric`` among them; the same on every rank."""

    def run_before_training(self) -> None:
        """Validate the starting model and log it; its weights are not kept, because they are there already."""
        if self._learner.step == 0:
            with self._learner.timed("validation"):
                self._log(self.measure())

    def run_if_due(self) -> None:
        """Validate if it is due, log it, keep the weights if none were better, and end the run if it may stop here."""
        learner, metric = self._learner, self._config.best_metric
        if learner.step % self._config.validate_every and not learner.finished:
            return
        with learner.timed("validation"):
            found = self.measure()
            self._log(found)
            keep_if_best(learner, metric, found[metric])
            learner.has_learned = self._config.may_stop(found.get("exact", {}))

    def has_stopped(self) -> bool:
        """Return whether the run stopped early at the step that it resumes from."""
        learner = self._learner
        rows = self._run_dir.rows(self._stage) if self._run_dir is not None else []
        here = [row.get("exact", {}) for row in rows if row["step"] == learner.step > 0]
        return bool(learner.policy.parallel.from_rank_0(bool(here) and self._config.may_stop(here[-1])))

    def _log(self, found: Mapping[str, Any]) -> None:
        if self._run_dir is not None:
            self._run_dir.log({"stage": self._stage, "step": self._learner.step, **found})


class TargetValidation(Validation):
    """Validation by held-out targets that are given."""

    def __init__(self, learner: Learner, held_out: HeldOut, collate: Collate, config: SftConfig) -> None:
        """Take one rank's share of the passes; ``collate`` is that of the held-out part alone."""
        super().__init__(learner, config)
        self._held_out, self._collate = held_out, collate
        parallel = learner.policy.parallel
        passes = pack(held_out.rows, held_out.tokens_N, config.pass_limits, parallel.world_size)
        self._passes: list[Pass] = passes[parallel.rank :: parallel.world_size]
        self._samples = [config.as_taught(collate.mixture.sample(row)) for row in held_out.rows]
        self._skipped_S = [collate.num_opening_tokens(s) if s.rationale else 0 for s in self._samples]

    def measure(self) -> dict[str, Any]:
        """Measure every arm.

        Returns:
            Losses and what is made of them, and under ``exact`` the shares of exact targets. ``ARM_loss`` is in nats
            per token. ``ARM_gap`` is this loss less that of ordered frames. ``ARM_wins`` is the share of samples that
            are likelier in order: a half or less, if the model does not watch. The shares are those of chains of
            thought and answers by task; those of targets without a chain of thought have ``answer_only`` in front.
            There, only what is learned counts.
        """
        nats_AS, tokens_AS, doubtful_AS = self._sums()
        return {**self._losses(nats_AS, tokens_AS), "exact": self._exact_shares(doubtful_AS)}

    def _exact_shares(self, doubtful_AS: torch.Tensor) -> dict[str, float]:
        exact_S = doubtful_AS[self._config.validation_arms.index("ordered")] == 0
        found: dict[str, list[bool]] = {}
        for sample, is_exact in zip(self._samples, exact_S.tolist(), strict=True):
            task = sample.address.task
            found.setdefault(task if sample.rationale else f"{ANSWER_ONLY} {task}", []).append(is_exact)
        return {name: sum(found[name]) / len(found[name]) for name in sorted(found)}

    def _losses(self, nats_AS: torch.Tensor, tokens_AS: torch.Tensor) -> dict[str, float]:
        arms = self._config.validation_arms
        loss_A = nats_AS.sum(1) / tokens_AS.sum(1)
        mean_AS = nats_AS / tokens_AS
        ordered = arms.index("ordered")
        metrics = {f"{arm}_loss": float(loss_A[a]) for a, arm in enumerate(arms)}
        for a, arm in enumerate(arms):
            if a != ordered:
                metrics[f"{arm}_gap"] = float(loss_A[a] - loss_A[ordered])
                metrics[f"{arm}_wins"] = float((mean_AS[ordered] < mean_AS[a]).double().mean())
        return metrics

    def _clips(self, row: int) -> Clips:
        try:
            return self._collate.mixture.frames_shown(row)
        except SampleRejected as error:
            raise refusal(error, f"restore it, or leave it out of {self._held_out.part.path}") from error

    def _sums(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return nats, tokens and doubtful tokens of every sample's target, by arm, from all ranks, (A, S) float64.

        A token is doubtful if the others together are as likely.
        """
        arms, policy = self._config.validation_arms, self._learner.policy
        place = {row: s for s, row in enumerate(self._held_out.rows)}
        sums_3AS = torch.zeros(3, len(arms), len(place), dtype=torch.float64)
        for one in self._passes:
            clips = [self._clips(row) for row in one.rows]
            addresses = [self._collate.mixture.sample(row).address for row in one.rows]
            for a, arm in enumerate(arms):
                shown = [apply_arm(arm, clip, address) for clip, address in zip(clips, addresses, strict=True)]
                batch = self._collate.batch(one, shown)
                logprobs_BT = policy.logprobs(batch).double()  # blanks too: all ranks must make the same calls
                if not one.is_blank:
                    places = [place[row] for row in one.rows]
                    sums_3AS[0, a, places] = -(logprobs_BT * batch.completion_mask_BT).sum(-1)
                    sums_3AS[1, a, places] = batch.completion_mask_BT.sum(-1).double()
                    doubtful_BT = (logprobs_BT <= math.log(0.5)) & batch.completion_mask_BT.bool()
                    for b, s in enumerate(places):
                        doubtful_BT[b, : self._skipped_S[s]] = False
                    sums_3AS[2, a, places] = doubtful_BT.sum(-1).double()
        nats_AS, tokens_AS, doubtful_AS = policy.parallel.sum(sums_3AS).cpu()
        return nats_AS, tokens_AS, doubtful_AS
