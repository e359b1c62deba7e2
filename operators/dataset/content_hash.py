"""What is shown and asked as one short hash, independent of its address; the hash decides the split.

Two samples with the same hash show and ask the same. A third of all hashes belongs to each split, so no content can be
in two splits, whatever seeds they are made with.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np
from temporay.operators.records import PLAIN, Backdrop, Scene, ScenePlan

SPLITS = ("train", "rl", "test")
DECIMALS = 3  # nothing smaller can be seen: a thousandth of a pixel or of a degree
HASH_BYTES = 8
UNSEEN = ("address", "events")  # the log says in words what happens; the tracks and shots show it


def content_hash(plan: ScenePlan) -> str:
    """Hash everything shown (shots, tracks, backdrop, size, length) and asked (the facts): 16 hexadecimal digits."""
    state = hashlib.blake2b(plan.address.task.encode(), digest_size=HASH_BYTES)
    for field in fields(plan):
        if field.name not in UNSEEN and not (field.name == "look" and plan.look == PLAIN):  # that adds nothing
            for part in _parts(getattr(plan, field.name)):
                state.update(part)
                state.update(b"\0")
    return state.hexdigest()


def split_of(hash_hex: str) -> str:
    """Return the split whose samples may have this hash."""
    return SPLITS[int(hash_hex, 16) % len(SPLITS)]


def _parts(value: object) -> Iterator[bytes]:
    match value:
        case Scene():
            yield str(value.image_id).encode()
        case Backdrop(kind="flat"):  # its other fields have values too, but are not shown
            yield from _parts(value.color)
        case np.ndarray():
            numbers = value if value.dtype.kind in "bui" else np.round(value, DECIMALS) + 0.0  # -0.0 is 0.0
            yield str(value.shape).encode()
            yield np.ascontiguousarray(numbers).tobytes()
        case float():
            yield repr(round(value, DECIMALS) + 0.0).encode()
        case dict():
            yield from _parts(sorted(value.items()))
        case list() | tuple():
            yield str(len(value)).encode()
            for item in value:
                yield from _parts(item)
        case _ if is_dataclass(value):
            for field in fields(value):
                yield from _parts(getattr(value, field.name))
        case _:
            yield repr(value).encode()
