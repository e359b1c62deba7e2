"""The model that is trained: one rank's share of it, its optimizer and its learning-rate schedule.

A loss divides by the counts of the whole batch over all ranks and micro-batches, so W ranks take the same step as one.

Shapes: B completions, T completion tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from temporay.models.collate import Batch, BatchCounts, StepSize
from temporay.models.families._base import Family
from temporay.models.families._shared_prompt import SharedPrompts
from temporay.models.lora import EVERYTHING, Trained, adapter_scales, is_factor, merged, set_trained
from temporay.models.losses._base import Loss
from temporay.models.parallel import (
    DEFAULT_HARDWARE,
    Hardware,
    Parallel,
    cut_again,
    exchange_after,
    local_part,
    pass_dtype,
    resting_device,
    shard,
    this_process,
    whole,
)
from temporay.models.scoring_head import Scores, add_scoring_head
from temporay.models.weight_files import WeightFiles, keep_stored_types, read_weights
from temporay.operators.settings import Settings
from torch import Tensor, nn
from torch.distributed.tensor import DTensor


class OptimizerConfig(Settings):
    """AdamW and its learning rate by step: a linear warm-up, then the schedule."""

    lr: float = Field(default=1e-5, gt=0)
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = Field(default=0.0, ge=0)  # applied to matrices only
    grad_clip: float = Field(default=1.0, gt=0)  # largest norm of the whole gradient
    warmup_steps: int = Field(default=0, ge=0)
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    decay_start: float = Field(default=0.0, ge=0, lt=1)  # share of all steps before which the rate stays at its peak
    final_lr_ratio: float = Field(default=0.0, ge=0, le=1)  # rate at the last step as a share of the peak

    @model_validator(mode="after")
    def _constant_does_not_decay(self) -> Self:
        if self.schedule == "constant" and (self.decay_start or self.final_lr_ratio):
            raise ValueError("a constant schedule has no decay_start or final_lr_ratio; give linear or cosine")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """How a policy is trained, on every rank alike."""

    optimizer: OptimizerConfig
    total_steps: int  # optimizer steps of the whole run
    temperature: float = 1.0  # logits are divided by it, as when sampling
    gradient_checkpointing: bool = False  # activations are computed again in the backward pass
    trained: Trained = EVERYTHING
    is_reference: bool = False  # nothing is trained, whatever ``trained`` says
    hardware: Hardware = DEFAULT_HARDWARE


def lr_factor(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """Return the learning rate of a step (from 0) as a share of its peak."""
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
        settings: PolicySettings,
        parallel: Parallel | None = None,
        *,
        files: WeightFiles | None = None,
    ) -> None:
        """Take over a model: mark what is trained, add adapters and the scoring head, shard it, and read its weights.

        Args:
            parallel: where the model lives; None is this process alone, or its process group, on the CPU.
            files: the weights, if the model is on the meta device. Every rank reads its own part of them.
        """
        parallel = parallel or this_process(torch.device("cpu"))
        optimizer, hardware = settings.optimizer, settings.hardware
        if settings.is_reference:
            model.requires_grad_(False)
        else:
            set_trained(model, family, settings.trained)
        if files is not None and parallel.mesh is not None:  # FSDP2 gives them the type of the passes
            keep_stored_types(model, files)
        add_scoring_head(model)
        shard(model, family, parallel, gradient_checkpointing=settings.gradient_checkpointing, hardware=hardware)
        if files is not None:
            read_weights(model, files, resting_device(parallel, hardware))
        if parallel.mesh is None and parallel.device.type != "cpu":
            model.to(parallel.device)
        model.train()
        self.model = model
        self.family = family
        self.settings = settings
        self.parallel = parallel
        self.pass_dtype = pass_dtype(parallel.device, hardware.precision)
        self.step_index = 0  # optimizer steps done
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(model, optimizer.weight_decay), lr=optimizer.lr, betas=optimizer.betas, fused=True
        )

    @classmethod
    def load(cls, path: Path, family: Family, settings: PolicySettings, parallel: Parallel | None = None) -> Self:
        """Load a checkpoint folder; no rank holds more of it than its own part and one weight.

        Raises:
            UserError: the folder's weights are not those of its config.
        """
        model, files = family.model_and_files(path, torch.float32)
        return cls(model, family, settings, parallel, files=files)

    def forward_backward(self, batches: Iterable[Batch], loss: Loss, size: StepSize | None = None) -> dict[str, float]:
        """Add the gradient of a whole step, micro-batch by micro-batch.

        Args:
            batches: this rank's micro-batches; every rank has the same number, some with an all-zero completion mask.
            loss: returns this rank's share of the loss and of its metrics.
            size: of ``batches``, where they are made while others are computed; None: all are made first, and counted.

        Returns:
            The loss, its metrics, mean ``entropy`` and the counts ``tokens`` and ``sequences``, over all ranks. Where
            the size has first passes, ``grad_square_first`` is the squared norm of what they add to the gradient.
        """
        if size is None:
            batches = list(batches)
            size = StepSize.of(batches)
        counts = self._global_counts(size)
        totals: dict[str, Tensor] = {}
        for position, batch in enumerate(batches, 1):
            exchange_after(self.model, self.settings.hardware, is_last=position == size.num_passes)
            on_device = batch.to(self.parallel.device)
            scores = self.scores(on_device)
            value, metrics = loss(scores, on_device, counts)
            (value * self.parallel.world_size).backward()  # type: ignore[no-untyped-call] # FSDP takes the mean
            entropy = (scores.entropy_BT * on_device.completion_mask_BT).sum() / max(counts.num_tokens, 1.0)
            if position == size.num_first_passes:
                metrics = {**metrics, "grad_square_first": self._grad_square_share()}
            for name, share in {"loss": value.detach(), "entropy": entropy, **metrics}.items():
                totals[name] = totals.get(name, torch.zeros_like(share)) + share.detach()
        names = sorted(totals)
        summed = self.parallel.sum(torch.stack([totals[name].float() for name in names])).tolist()
        return {**dict(zip(names, summed, strict=True)), "tokens": counts.num_tokens, "sequences": counts.num_sequences}

    def _grad_square_share(self) -> Tensor:
        """Return this rank's share of the squared norm of the gradient so far; nothing waits for it."""
        mesh = self.parallel.mesh
        num_copies = mesh.size(0) if mesh is not None and mesh.ndim == 2 else 1  # replicas hold the same gradient
        norm = torch.nn.utils.get_total_norm(
            [local_part(p.grad) for p in self.model.parameters() if p.grad is not None]
        )
        return norm.square().to(self.parallel.device) / num_copies

    def step(self) -> dict[str, float]:
        """Clip the gradient and apply it.

        Raises:
            FloatingPointError: the gradient is not finite; the weights stay as they are.
        """
        config = self.settings.optimizer
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        grad_norm = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        if not math.isfinite(grad_norm):
            raise FloatingPointError(f"the gradient norm of step {self.step_index} is {grad_norm}")
        lr = config.lr * lr_factor(config, self.step_index, self.settings.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step_index += 1
        return {"grad_norm": grad_norm, "lr": lr}

    def skip_step(self) -> None:
        """Count a step without an update, for a batch with nothing to learn from, and drop its gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        self.step_index += 1

    @torch.no_grad()
    def logprobs(self, batch: Batch) -> Tensor:
        """Return ``logprobs_BT`` of the completion tokens without dropout, on the CPU; 0 elsewhere."""
        self.model.eval()
        scores = self.scores(batch.to(self.parallel.device))
        self.model.train()
        cut_again(self.model)
        return scores.logprobs_BT.cpu()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all weights on the CPU by Hugging Face name, on rank 0; empty elsewhere. Every rank must call it."""
        is_first = self.parallel.rank == 0
        return {name: tensor.cpu() for name, tensor in self.whole_weights() if is_first}

    def whole_weights(self, dtype: torch.dtype | None = None) -> Iterator[tuple[str, Tensor]]:
        """Yield one weight after another, whole, by Hugging Face name. Every rank must take them all.

        Adapters are merged into these weights; the model keeps them apart. A weight is on the device on which a rank's
        own part rests, and may be the model's own memory.

        Args:
            dtype: type of floating-point weights; None: as the model has them.
        """
        for name, tensor in merged(self.gathered(), adapter_scales(self.model)):
            yield name, tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor

    def adapter_factors(self) -> Iterator[tuple[str, Tensor]]:
        """Yield one factor of the adapters after another, whole. Every rank must take them all."""
        weights = self.gathered()
        return ((name, weights[name]) for name in weights if is_factor(name))

    def gathered(self) -> Gathered:
        """Return the weights as the model has them, with adapters apart."""
        cut_again(self.model)
        tied = getattr(self.model, "all_tied_weights_keys", {})  # the same tensor under a second name
        return Gathered({name: part for name, part in self.model.state_dict().items() if name not in tied})

    def scores(self, batch: Batch) -> Scores:
        """Score a batch that is on the policy's device, with gradients where they are enabled.

        The model gets no attention mask. Padding comes after all tokens, so that no token attends to it, and without a
        mask attention uses its causal kernel, which does half the work.
        """
        scores = self.model(
            input_ids=batch.input_ids_RL,
            scored_mask_BT=batch.completion_mask_BT,
            completion_ids_BT=batch.completion_ids_BT,
            predictors_BT=batch.predictors_BT,
            temperature=self.settings.temperature,
            shared_prompts=SharedPrompts(batch.groups) if batch.groups else None,
            **batch.model_inputs,
            **batch.host_inputs,
        )
        return Scores(*scores)

    def _global_counts(self, size: StepSize) -> BatchCounts:
        """Return global counts, and check that no rank will wait for another forever."""
        passes = size.num_passes, size.num_with_video
        mine = [size.counts.num_tokens, size.counts.num_sequences, *passes]
        summed = self.parallel.sum(torch.tensor(mine, dtype=torch.float64)).tolist()
        expected = [float(self.parallel.world_size * n) for n in passes]
        if summed[2:] != expected:
            raise RuntimeError(
                f"ranks differ in micro-batches (all, with video): this one has {passes}, sum {summed[2:]}"
            )
        return BatchCounts(num_tokens=summed[0], num_sequences=summed[1])


class Gathered(Mapping[str, Tensor]):
    """Weights by name that are gathered when they are asked for. Every rank must ask for the same, in one order."""

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        self.parts = parts  # those of this rank

    def __getitem__(self, name: str) -> Tensor:
        return whole(self.parts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Iterable[nn.Parameter] | float]]:
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices, others = [p for p in trained if p.ndim >= 2], [p for p in trained if p.ndim < 2]
    groups = [(matrices, weight_decay), (others, 0.0)]
    # A reference trains nothing, but an optimizer needs a group.
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params or not trained]
