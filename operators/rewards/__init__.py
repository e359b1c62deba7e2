"""Verifiable rewards: one file each, the directory is the registry. Their value is None where they do not apply.

accuracy            1 for the right option, else 0
answer_format       1 for a thought and a readable answer in their tags and nothing else, else 0
interval            temporal overlap (tIoU) of the answered interval with the true one
number              answered number within a tolerance, or mean relative accuracy (MRA)
order               answered order against the true one: exact, or Kendall's tau
overlong            0 to -1 for completions close to and above a length, in tokens (DAPO)
process             claims of the chain of thought that hold in the event log: precision × coverage
repetition          0 to -1 for repeated n-grams of tokens
shuffled_contrast   1 for right completions if ordered frames beat shuffled ones (T-GRPO, strict margin)
twin                1 if a sample and its twin are both right, else 0
"""

from temporay.operators.components import with_own_folders

__path__ = with_own_folders(__name__, __path__)
