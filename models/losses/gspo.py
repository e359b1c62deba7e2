"""GSPO's loss, arXiv 2507.18071 equation 5; TRL's ``importance_sampling_level="sequence"``."""

from typing import ClassVar, Literal

from temporay.models.losses._base import LossInputs, PolicyLoss, mean_over_sequences
from torch import Tensor


class Gspo(PolicyLoss):
    """GRPO with one ratio for each sequence, the geometric mean of its tokens' ratios."""

    level: ClassVar[Literal["token", "sequence"]] = "sequence"

    def mean(self, token_loss: Tensor, inputs: LossInputs) -> Tensor:
        return mean_over_sequences(token_loss, inputs)
