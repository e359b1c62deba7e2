"""The attention of text layers under transformers' attention interface: plain rows, and rows of groups.

Shapes: L positions of a row, H heads, K heads of keys and values, D size of a head.
"""

from typing import Any

from temporay.models.families._shared_prompt import SharedPrompts
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "shared_prompt"  # transformers' name of this implementation


def attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    shared_prompts: SharedPrompts | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers' ``sdpa`` does, or within the groups of a row.

    Returns:
        (1, L, H, D) values, and no weights.
    """
    if shared_prompts is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return plain
    return shared_prompts.attend(query, key, value, scaling, dropout).transpose(1, 2), None


AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
