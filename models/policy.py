"""The model that is trained: one rank's share of it, its optimizer and its learning-rate schedule.

Normalisation is global: a loss divides by the counts of the whole batch over all ranks and micro-batches, so W ranks
take the same step as one. Shapes: B sequences, L positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from temporay.models.collate import Batch
from temporay.models.families._base import Family
from temporay.models.lora import EVERYTHING, Trained, adapter_scales, merged, set_trained
from temporay.models.losses import Counts, sft_loss
from temporay.models.parallel import (
    DEFAULT_HARDWARE,
    Hardware,
    Parallel,
    cut_again,
    exchange_after,
    pass_dtype,
    shard,
    this_process,
)
from temporay.models.scoring_head import Scores, add_scoring_head
from temporay.operators.settings import Settings
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.tensor import DTensor

Loss = Callable[[Scores, Batch, Counts], tuple[Tensor, Mapping[str, Tensor]]]


class OptimizerConfig(Settings):
    """AdamW and its learning rate by step: a linear warm-up, then the schedule."""

    lr: float = Field(default=1e-5, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.0, ge=0)  # on matrices only
    grad_clip: float = Field(default=1.0, gt=0)  # largest norm of the whole gradient
    warmup_steps: int = Field(default=0, ge=0)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    decay_start: float = Field(default=0.0, ge=0, lt=1)  # share of all steps before which the rate stays at its peak
    final_lr_ratio: float = Field(default=0.0, ge=0, le=1)  # of the peak, at the last step

    @model_validator(mode="after")
    def _constant_does_not_decay(self) -> Self:
        if self.schedule == "constant" and (self.decay_start or self.final_lr_ratio):
            raise ValueError("a constant schedule has no decay_start or final_lr_ratio; give linear or cosine")
        return self


def supervised(scores: Scores, batch: Batch, counts: Counts) -> tuple[Tensor, Mapping[str, Tensor]]:
    """``sft_loss`` as the loss of ``Policy.forward_backward``."""
    return sft_loss(scores.logprobs_BL, batch.completion_mask_BL, counts.num_tokens), {}


def lr_factor(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """The learning rate of a step (from 0) as a share of its peak."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    start = max(config.warmup_steps, round(config.decay_start * total_steps))
    if config.schedule == "constant" or step < start:
        return 1.0
    done = min(1.0, (step - start + 1) / max(1, total_steps - start))
    remaining = 1.0 - done if config.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return config.final_lr_ratio + (1.0 - config.final_lr_ratio) * remaining


class Policy:
    """One rank's model with AdamW. Every rank must make the same calls with the same number of micro-batches."""

    def __init__(
        self,
        model: nn.Module,
        family: Family,
        optimizer: OptimizerConfig,
        *,
        total_steps: int,
        parallel: Parallel | None = None,
        temperature: float = 1.0,
        gradient_checkpointing: bool = False,
        trained: Trained = EVERYTHING,
        hardware: Hardware = DEFAULT_HARDWARE,
    ) -> None:
        """Takes a model on the CPU over: marks what is trained, adds adapters and the scoring head, and shards it.

        Args:
            parallel: where the model lives; None is this process alone, or its process group, on the CPU.
            temperature: log-probabilities are those of the logits divided by it, as when sampling.
        """
        parallel = parallel or this_process(torch.device("cpu"))
        set_trained(model, family, trained)
        add_scoring_head(model)
        shard(model, family, parallel, gradient_checkpointing=gradient_checkpointing, hardware=hardware)
        model.train()
        self.model = model
        self.family = family
        self.trained = trained
        self.parallel = parallel
        self.config = optimizer
        self.total_steps = total_steps
        self.hardware = hardware
        self.pass_dtype = pass_dtype(parallel.device, hardware.precision)
        self.gradient_checkpointing = gradient_checkpointing
        self.temperature = temperature
        self.step_index = 0  # optimizer steps done
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(model, optimizer.weight_decay), lr=optimizer.lr, betas=optimizer.betas, fused=True
        )

    def forward_backward(self, batches: Sequence[Batch], loss: Loss) -> dict[str, float]:
        """Adds the gradient of a whole step, micro-batch by micro-batch.

        Args:
            batches: this rank's micro-batches; as many on every rank, if need be with an all-zero completion mask.
            loss: gives this rank's share of the loss and of its metrics.

        Returns:
            The loss, its metrics, mean ``entropy`` and the counts, over all ranks.
        """
        counts = self._count(batches)
        totals: dict[str, Tensor] = {}
        for position, batch in enumerate(batches, 1):
            exchange_after(self.model, self.hardware, is_last=position == len(batches))
            on_device = batch.to(self.parallel.device)
            scores = self.scores(on_device)
            value, metrics = loss(scores, on_device, counts)
            (value * self.parallel.world_size).backward()  # type: ignore[no-untyped-call] # FSDP takes the mean
            entropy = (scores.entropy_BL * on_device.completion_mask_BL).sum() / max(counts.num_tokens, 1.0)
            for name, share in {"loss": value.detach(), "entropy": entropy, **metrics}.items():
                totals[name] = totals.get(name, torch.zeros_like(share)) + share.detach()
        names = sorted(totals)
        summed = self.parallel.sum(torch.stack([totals[name].float() for name in names])).tolist()
        return {**dict(zip(names, summed, strict=True)), "tokens": counts.num_tokens, "sequences": counts.num_sequences}

    def step(self) -> dict[str, float]:
        """Clips the gradient and applies it.

        Raises:
            FloatingPointError: the gradient is not finite; the weights are as before.
        """
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip)
        grad_norm = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        if not math.isfinite(grad_norm):
            raise FloatingPointError(f"the gradient norm of step {self.step_index} is {grad_norm}")
        lr = self.config.lr * lr_factor(self.config, self.step_index, self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step_index += 1
        return {"grad_norm": grad_norm, "lr": lr}

    def skip_step(self) -> None:
        """A step without an update, when a batch held nothing to learn from; its gradient is forgotten."""
        self.optimizer.zero_grad(set_to_none=True)
        self.step_index += 1

    @torch.no_grad()
    def logprobs(self, batch: Batch) -> Tensor:
        """``logprobs_BL`` of the completion tokens without dropout, on the CPU; 0 elsewhere."""
        self.model.eval()
        scores = self.scores(batch.to(self.parallel.device))
        self.model.train()
        cut_again(self.model)
        return scores.logprobs_BL.cpu()

    def state_dict(self) -> dict[str, Tensor]:
        """All weights on the CPU with their Hugging Face names, on rank 0; empty elsewhere. Every rank must call it.

        Adapters are in the weights they belong to; the model's own stay as they are.
        """
        return dict(merged(self.full_state(), adapter_scales(self.model)))

    def full_state(self) -> dict[str, Tensor]:
        """``state_dict`` as the model has it: adapters and what they are beside apart."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        tied = getattr(self.model, "all_tied_weights_keys", {})  # the same tensor under a second name
        state = get_model_state_dict(self.model, options=options)
        return {name: tensor for name, tensor in state.items() if name not in tied and isinstance(tensor, Tensor)}

    def scores(self, batch: Batch) -> Scores:
        """Of a batch on the policy's device, with gradients where they are enabled.

        The model is given no attention mask: what a token attends to comes before it, padding comes after it, and
        without a mask attention takes its causal kernel, which does half the work.
        """
        scores = self.model(
            input_ids=batch.input_ids_BL,
            scored_mask_BL=batch.completion_mask_BL,
            temperature=self.temperature,
            **batch.model_inputs,
        )
        return Scores(*scores)

    def _count(self, batches: Sequence[Batch]) -> Counts:
        """Global counts, and a check that no rank will wait for another for ever."""
        tokens = sum(float(batch.completion_mask_BL[:, 1:].sum()) for batch in batches)
        sequences = sum(float((batch.completion_mask_BL[:, 1:].sum(-1) > 0).sum()) for batch in batches)
        passes = len(batches), sum(bool(batch.model_inputs) for batch in batches)
        summed = self.parallel.sum(torch.tensor([tokens, sequences, *passes], dtype=torch.float64)).tolist()
        expected = [float(self.parallel.world_size * n) for n in passes]
        if summed[2:] != expected:
            raise RuntimeError(
                f"ranks differ in micro-batches (all, with video): this one has {passes}, sum {summed[2:]}"
            )
        return Counts(num_tokens=summed[0], num_sequences=summed[1])


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Iterable[nn.Parameter] | float]]:
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices, others = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
    groups = [(matrices, weight_decay), (others, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]
