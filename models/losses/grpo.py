"""GRPO's loss, arXiv 2402.03300 equation 3."""

from temporay.models.losses._base import LossInputs, PolicyLoss, mean_over_sequences
from torch import Tensor


class Grpo(PolicyLoss):
    """The mean over sequences of the mean over their tokens: a token of a short sequence counts for more."""

    def mean(self, token_loss: Tensor, inputs: LossInputs) -> Tensor:
        return mean_over_sequences(token_loss, inputs)
