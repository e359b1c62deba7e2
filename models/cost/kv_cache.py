"""Memory of an engine's KV cache: keys and values of every layer, in blocks of tokens.

A token takes 2 x layers x KV heads x head size numbers: 147,456 bytes in bfloat16 for Qwen3-VL-4B and 8B. vLLM starts
only if its longest request fits beside one empty block (``vllm.v1.core.kv_cache_utils.check_enough_kv_cache_memory``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from temporay.models.families._base import family_of

KvDtype = Literal["float32", "bfloat16"]
BLOCK_SIZE = 32  # tokens; vLLM's CPU default of 128 would leave short prompts out of the prefix cache
NUM_BYTES: dict[KvDtype, int] = {"float32": 4, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class KvShape:
    """What a model's text part stores for each token, and how many tokens it has positions for."""

    num_layers: int
    num_kv_heads: int
    head_dim: int
    max_position: int  # tokens

    def bytes_per_token(self, dtype: KvDtype) -> int:
        """Count the bytes of keys and values of all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim * NUM_BYTES[dtype]

    def bytes_of_blocks(self, num_blocks: int, dtype: KvDtype) -> int:
        """Count the bytes of blocks of BLOCK_SIZE tokens."""
        return num_blocks * BLOCK_SIZE * self.bytes_per_token(dtype)


def kv_shape_of(path: Path) -> KvShape:
    """Read the shape from a checkpoint folder's config.json."""
    text: Any = family_of(path, with_weights=False).load_config(path).get_text_config()
    heads = text.num_attention_heads
    return KvShape(
        num_layers=text.num_hidden_layers,
        num_kv_heads=getattr(text, "num_key_value_heads", None) or heads,
        head_dim=getattr(text, "head_dim", None) or text.hidden_size // heads,
        max_position=text.max_position_embeddings,
    )


def blocks_of(num_tokens: int) -> int:
    """Return how many blocks hold some tokens of one sequence."""
    return -(-num_tokens // BLOCK_SIZE)


def least_blocks(max_model_len: int) -> int:
    """Return the fewest blocks that an engine starts with: those of its longest request, and the empty one."""
    return blocks_of(max_model_len) + 1
