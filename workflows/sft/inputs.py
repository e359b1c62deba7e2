"""What a supervised run trains and validates on, settled before its workers start: counted, cut to what fits, ordered.

parts → token counts → rows that are not too long → schedule; held-out rows → their counts → what is validated on
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from temporay.models.cost.kv_cache import kv_shape_of
from temporay.models.families._base import check_weights, family_of
from temporay.operators.dataset.opening import check_dropped
from temporay.operators.errors import UserError
from temporay.operators.seeding import rng_at
from temporay.workflows.evaluation.asking import tell_not_asked
from temporay.workflows.evaluation.during_training import HeldOutQuestions
from temporay.workflows.learner.held_out import check_held_out
from temporay.workflows.rollouts.defaults import checked_length, lengths_of
from temporay.workflows.sft.mixture import Mixture, Part, parts_of, row_order
from temporay.workflows.sft.schedule import Numbers, Schedule, make_schedule
from temporay.workflows.sft.settings import SftConfig
from temporay.workflows.sft.token_counts import TooLong, check_share, count_rows, count_tokens, too_long
from temporay.workflows.sft.validation import HeldOut

SHOWN = 3  # samples that are named in a line


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedWhileTraining:
    """What is asked, and the most tokens that a prompt and its answer have."""

    held_out: HeldOutQuestions
    max_model_len: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What every worker is given. Rows are those of the mixture."""

    parts: tuple[Part, ...]
    schedule: Schedule
    frame_bytes_N: Numbers  # by row
    dropped: tuple[TooLong, ...]
    held_out: HeldOut | None  # targets that are given
    asked: AskedWhileTraining | None = None  # questions that the model answers


def prepare(
    config: SftConfig, parts: tuple[Part, ...], held_out: Part | None, asked: AskedWhileTraining | None = None
) -> Inputs:
    """Count tokens, leave out what is too long and say so on the terminal, and settle every step.

    Args:
        held_out: whose targets are validated on.
        asked: what is answered in their place.

    Raises:
        UserError: too much is too long.
    """
    counts = count_tokens(parts, config)
    limits = length_limits(config)
    mixture = Mixture.open(parts)
    dropped = leave_out(mixture, range(len(mixture)), counts.tokens_N, limits, config)
    schedule = make_schedule(
        functools.partial(row_order, parts, kept_rows(mixture, dropped), config.seed),
        counts.tokens_N,
        config.pass_limits,
        num_steps=config.num_steps,
        batch_size=config.batch_size,
        tokens_per_step=config.tokens_per_step,
    )
    return Inputs(
        parts=parts,
        schedule=schedule,
        frame_bytes_N=counts.frame_bytes_N,
        dropped=tuple(dropped),
        held_out=None if held_out is None else hold_out(held_out, config, limits),
        asked=asked,
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


def leave_out(
    mixture: Mixture, rows: Sequence[int], tokens_N: Numbers, limits: dict[str, int | None], config: SftConfig
) -> list[TooLong]:
    """Return the rows that are too long, and name some of them on the terminal.

    Args:
        tokens_N: one count per entry of ``rows``.

    Raises:
        UserError: more than ``max_dropped_share`` is too long.
    """
    dropped = too_long(rows, tokens_N, limits)
    if dropped:
        check_share(dropped, len(rows), config.max_dropped_share, limits)
        named = [f"{mixture.sample(one.row).key} ({one.tokens} tokens)" for one in dropped[:SHOWN]]
        more = "" if len(dropped) <= SHOWN else f" and {len(dropped) - SHOWN} more, all in summary.json"
        paths = ", ".join(str(part.path) for part in mixture.parts)
        print(
            f"sft: {len(dropped)} of {len(rows)} samples left out, {dropped[0].reason}: {', '.join(named)}{more} "
            f"(from {paths})",
            flush=True,
        )
    return dropped


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


def check_model(config: SftConfig, parts: tuple[Part, ...]) -> None:
    """Refuse a model that cannot learn from these samples, before a folder is written or a process starts.

    Raises:
        UserError: its files lack weights, or its chat template makes no prompt of the first sample.
    """
    check_weights(config.model)
    count_rows(parts, config, [0])


def held_out_part(config: SftConfig, parts: tuple[Part, ...]) -> Part | None:
    """Open what is validated on; None for a run without validation, or on a benchmark.

    Raises:
        UserError: there is no such dataset, or it shares samples or twins with what is trained on.
    """
    if config.validation is None or config.validation_benchmark is not None:
        return None  # `temporay overlap` compares a benchmark's videos and questions with the training data
    (part,) = parts_of(config.validation, (), config.video_reading, config.out)
    check_dropped(part.path, part.num_rows, part.dropped, config.max_dropped_share)
    check_held_out(config.validation, Mixture.open((part,)).datasets[0], Mixture.open(parts).datasets)
    return part


def questions_to_ask(config: SftConfig) -> AskedWhileTraining | None:
    """Choose the questions that the model answers while it trains; None where it is given targets, or nothing.

    Raises:
        UserError: they cannot be read, an arm can ask none of them, or the longest does not fit the model.
    """
    if not config.has_answers:
        return None
    held_out = HeldOutQuestions.open(
        config, benchmark=config.validation_benchmark, max_tokens=config.validation_tokens, command="sft"
    )
    assert held_out is not None, "settings with answers have something to validate on"
    tell_not_asked(held_out.not_asked)
    demand = replace(held_out.demand(lengths_of(config.model)), limit="validation_tokens")
    return AskedWhileTraining(held_out=held_out, max_model_len=checked_length(demand, kv_shape_of(config.model)))


def hold_out(part: Part, config: SftConfig, limits: dict[str, int | None]) -> HeldOut:
    """Choose samples to validate on, once for all steps; the limits of training hold for them too.

    Raises:
        UserError: too many of the chosen samples are too long.
    """
    chosen = rng_at("sft/validation", config.seed).permutation(part.num_rows)[: config.validation_samples].tolist()
    counted = count_rows((part,), config, chosen).tokens_N
    dropped = leave_out(Mixture.open((part,)), chosen, counted, limits, config)
    gone = {one.row for one in dropped}
    tokens_N = np.zeros(part.num_rows, np.int64)
    tokens_N[chosen] = counted
    rows = tuple(row for row in chosen if row not in gone)
    return HeldOut(part=part, rows=rows, tokens_N=tokens_N, dropped=tuple(dropped))
