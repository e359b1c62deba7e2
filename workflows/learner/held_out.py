"""Whether samples that a run validates on are held out: none of them, and no twin of one, is trained on."""

from collections.abc import Sequence
from pathlib import Path

from temporay.operators.dataset.opening import Samples
from temporay.operators.errors import UserError


def check_held_out(source: Path, held_out: Samples, trained_on: Sequence[Samples]) -> None:
    """Refuse samples to validate on that say nothing about new ones.

    Args:
        source: what ``validation`` names; ``held_out`` are its samples.

    Raises:
        UserError: there are none, or some are trained on, as they are or as their twins.
    """
    if len(held_out) == 0:
        raise UserError(f"validation {source} has no samples; generate some first")
    asked = {held_out.address(i).pair_id for i in range(len(held_out))}  # a sample and its twin share their pair
    for samples in trained_on:
        shared = sorted(asked.intersection(samples.address(i).pair_id for i in range(len(samples))))
        if shared:
            raise UserError(
                f"{len(shared)} of {len(held_out)} samples of validation {source} are in {samples.path} too, as they "
                f"are or as twins, e.g. {shared[0]}; give other samples, such as those of --split test"
            )
