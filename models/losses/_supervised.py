"""The loss of supervised fine-tuning."""

from collections.abc import Mapping

from temporay.models.collate import Batch, BatchCounts
from temporay.models.losses._base import token_share
from temporay.models.scoring_head import Scores
from torch import Tensor


def supervised(scores: Scores, batch: Batch, counts: BatchCounts) -> tuple[Tensor, Mapping[str, Tensor]]:
    """Return the negative log-likelihood of the completion, per token of the global batch."""
    return -token_share(scores.logprobs_BT, batch.completion_mask_BT, counts), {}
