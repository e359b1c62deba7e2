"""What a supervised run trains and validates on, settled before its workers start: counted, cut to what fits, ordered.

parts → token counts → rows that are not too long → schedule; held-out rows → their counts → what is validated on
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from temporay.models.families._base import family_of
from temporay.operators.errors import UserError
from temporay.operators.seeding import rng_at
from temporay.workflows.sft.mixture import Mixture, Part, parts_of, row_order
from temporay.workflows.sft.schedule import Numbers, PassLimits, Schedule, make_schedule
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.token_counts import (
    TooLong,
    Wording,
    check_share,
    count_rows,
    count_tokens,
    dropped_line,
    too_long,
)
from temporay.workflows.sft.validation import HeldOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What every worker is given. Rows are those of the mixture."""

    parts: tuple[Part, ...]
    schedule: Schedule
    frame_bytes_N: Numbers  # by row
    dropped: tuple[TooLong, ...]
    held_out: HeldOut | None
    held_out_dropped: tuple[TooLong, ...]


def wording_of(config: SftConfig) -> Wording:
    """Return how samples are told to answer."""
    return Wording(instruction=config.instruction, answer_only_instruction=config.answer_only_instruction)


def prepare(config: SftConfig, parts: tuple[Part, ...]) -> Inputs:
    """Count tokens, leave out what is too long and say so on the terminal, and settle every step.

    Raises:
        UserError: too much is too long.
    """
    counts = count_tokens(parts, config.model, wording_of(config), config.out)
    limits = length_limits(config)
    mixture = Mixture.open(parts)
    dropped = too_long(range(len(mixture)), counts.tokens_N, limits)
    if dropped:
        check_share(dropped, len(mixture), config.max_dropped_share, limits)
        print(f"sft: {dropped_line(dropped, mixture)}", flush=True)
    schedule = make_schedule(
        functools.partial(row_order, parts, kept_rows(mixture, dropped), config.seed),
        counts.tokens_N,
        pass_limits(config),
        num_steps=config.num_steps,
        batch_size=config.batch_size,
        tokens_per_step=config.tokens_per_step,
    )
    held_out, held_out_dropped = hold_out(config, limits)
    return Inputs(
        parts=parts,
        schedule=schedule,
        frame_bytes_N=counts.frame_bytes_N,
        dropped=tuple(dropped),
        held_out=held_out,
        held_out_dropped=tuple(held_out_dropped),
    )


def length_limits(config: SftConfig) -> dict[str, int | None]:
    """Return what no sample may exceed, in tokens, by the setting's name."""
    max_length = config.max_length
    if max_length is None:
        max_length = family_of(config.model).load_processor(config.model).tokenizer.model_max_length
    return {
        "max_length": max_length,
        "micro_batch_tokens": config.micro_batch_tokens,
        "tokens_per_step": config.tokens_per_step,
    }


def pass_limits(config: SftConfig) -> PassLimits:
    """Return what one forward and backward pass may hold."""
    return PassLimits(micro_batch_size=config.micro_batch_size, micro_batch_tokens=config.micro_batch_tokens)


def kept_rows(mixture: Mixture, dropped: list[TooLong]) -> list[list[int]]:
    """Return for every part the rows that are trained on.

    Raises:
        UserError: a part has none left.
    """
    gone = {one.row for one in dropped}
    kept = [[row for row in mixture.rows_of(p) if row not in gone] for p in range(len(mixture.parts))]
    for part, rows in zip(mixture.parts, kept, strict=True):
        if not rows:
            raise UserError(f"every sample of {part.path} is too long ({dropped[0].reason}); raise the limit")
    return kept


def hold_out(config: SftConfig, limits: dict[str, int | None]) -> tuple[HeldOut | None, list[TooLong]]:
    """Choose samples to validate on, once for all steps; the limits of training hold for them too.

    Raises:
        UserError: there is no such dataset, or all chosen samples are too long.
    """
    if config.validation is None:
        return None, []
    (part,) = parts_of(config.validation, (), config.video_reading)
    chosen = rng_at("sft/validation", config.seed).permutation(part.num_rows)[: config.validation_samples].tolist()
    counted = count_rows((part,), config.model, wording_of(config), chosen).tokens_N
    dropped = too_long(chosen, counted, limits)
    if dropped:
        check_share(dropped, len(chosen), config.max_dropped_share, limits)
        print(f"sft validation: {dropped_line(dropped, Mixture.open((part,)))}", flush=True)
    gone = {one.row for one in dropped}
    tokens_N = np.zeros(part.num_rows, np.int64)
    tokens_N[chosen] = counted
    held_out = HeldOut(
        part=part,
        rows=tuple(row for row in chosen if row not in gone),
        tokens_N=tokens_N,
        limits=pass_limits(config),
        arms=config.validation_arms,
        every=config.validate_every,
        best_metric=config.best_metric,
    )
    return held_out, dropped
