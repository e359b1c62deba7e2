"""Randomness by address: a hash of what is being drawn, never a sum, a worker, a clock or an order.

Adding an index to a seed makes neighbouring seeds share almost every sample; a hash does not.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np


def digest(*parts: object) -> int:
    """128-bit integer that depends on every part and on their order; parts must be JSON values."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


def rng_at(*parts: object) -> np.random.Generator:
    """A generator of its own for every address and purpose."""
    return np.random.default_rng(digest(*parts))


def fraction(*parts: object) -> float:
    """A number in [0, 1) fixed by the parts, for splits."""
    return digest(*parts) / 2.0**128
