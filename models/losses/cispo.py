"""CISPO's loss, arXiv 2506.13585 equation 4."""

from temporay.models.losses._base import GrpoLossSettings, LossInputs, PolicyLoss, mean_over_tokens
from torch import Tensor


class Cispo(PolicyLoss):
    """The ratio itself is capped at ``epsilon_high`` and carries no gradient, so that every token keeps its own."""

    @classmethod
    def fault(cls, settings: GrpoLossSettings) -> str | None:
        if settings.epsilon_high >= 1:
            return None
        return (
            f"epsilon_high is {settings.epsilon_high:g}, and cispo caps the ratio itself there, below 1, which is the "
            "ratio of an unchanged policy; give 1 or more, e.g. 5 (arXiv 2510.13786)"
        )

    def surrogate(self, ratio: Tensor, inputs: LossInputs) -> Tensor:
        return -ratio.clamp(max=self.settings.epsilon_high).detach() * inputs.advantages_B1 * inputs.logprobs_BT

    def clipped(self, ratio: Tensor, inputs: LossInputs) -> dict[str, Tensor]:
        return {"clip_fraction_high": (ratio > self.settings.epsilon_high) & (inputs.advantages_B1 > 0)}

    def mean(self, token_loss: Tensor, inputs: LossInputs) -> Tensor:
        return mean_over_tokens(token_loss, inputs)
