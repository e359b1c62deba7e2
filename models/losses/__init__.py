"""Losses as pure tensor functions: one file each, found by ``loss.loss_type``.

grpo         mean over sequences of their token means
dr_grpo      divided by a constant length
dapo         mean over all tokens
gspo         one ratio for each sequence
cispo        the ratio is capped, and every token keeps its gradient
_base        what these have in common, and their settings
_correction  weights for tokens that engine and trainer score differently
_supervised  the loss of fine-tuning
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
