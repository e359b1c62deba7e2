"""Whether a model can be cut for a tensor parallel engine: each worker computes whole attention heads.

Megatron-LM, arXiv 1909.08053, section 3. vLLM copies key-value heads where there are fewer of them than workers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporay.models.families._base import family_of
from temporay.operators.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCounts:
    """The attention heads of one layer of a model."""

    text: int
    key_value: int  # of the text part
    vision: int

    def divide_into(self, num_workers: int) -> bool:
        """Return whether every worker gets whole heads."""
        pairs = (self.key_value, num_workers)
        return self.text % num_workers == 0 == self.vision % num_workers and max(pairs) % min(pairs) == 0


def head_counts(path: Path) -> HeadCounts:
    """Read the numbers of heads from a checkpoint folder's config.json."""
    config: Any = family_of(path, with_weights=False).load_config(path)
    text = config.get_text_config()
    return HeadCounts(
        text=text.num_attention_heads, key_value=text.num_key_value_heads, vision=config.vision_config.num_heads
    )


def check_divides(path: Path, tensor_parallel: int) -> None:
    """Refuse a number of workers that the heads of a model do not divide into.

    Raises:
        UserError: they do not.
    """
    heads = head_counts(path)
    if not heads.divide_into(tensor_parallel):
        valid = [n for n in range(1, heads.text + 1) if heads.divide_into(n)]
        raise UserError(
            f"tensor_parallel is {tensor_parallel}, but {path} has {heads.text} attention heads, {heads.key_value} "
            f"key-value heads and {heads.vision} vision heads; give {', '.join(map(str, valid))}"
        )
