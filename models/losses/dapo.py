"""DAPO's loss, arXiv 2503.14476 equation 8. Its higher upper clip is ``epsilon_high``."""

from temporay.models.losses._base import LossInputs, PolicyLoss, mean_over_tokens
from torch import Tensor


class Dapo(PolicyLoss):
    """The mean over all tokens: every token counts the same."""

    def mean(self, token_loss: Tensor, inputs: LossInputs) -> Tensor:
        return mean_over_tokens(token_loss, inputs)
