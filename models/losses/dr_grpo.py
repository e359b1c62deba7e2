"""Dr. GRPO's loss, arXiv 2503.20783."""

from temporay.models.losses._base import LossInputs, PolicyLoss
from torch import Tensor


class DrGrpo(PolicyLoss):
    """The sum over tokens divided by sequences times ``max_completion_length``: free of a bias by length."""

    def mean(self, token_loss: Tensor, inputs: LossInputs) -> Tensor:
        num_sequences = max(inputs.counts.num_sequences, 1.0)
        return (token_loss * inputs.mask_BT).sum() / (num_sequences * inputs.max_completion_length)
