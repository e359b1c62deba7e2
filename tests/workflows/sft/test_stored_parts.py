"""The parts of a mixture in the object store: a process reads them once, and holds no reference to them."""

from __future__ import annotations

from unittest.mock import patch

import ray
from temporay.workflows.sft.stored_parts import MOST_KEPT, StoredParts


def is_held(name: str) -> bool:
    """Return whether this process refers to an object. Ray ends no idle worker that does."""
    return name.encode() in ray._private.worker.global_worker.core_worker.get_all_reference_counts()


def test_what_a_process_keeps_holds_no_object(ray_cluster: None) -> None:
    stored = StoredParts.put(())
    name = stored.ref[0].hex()
    assert stored.parts() == ()
    assert is_held(name)
    del stored
    assert not is_held(name)


def test_parts_are_read_once_while_few_others_are(ray_cluster: None) -> None:
    stored = StoredParts.put(())
    others = [StoredParts.put(()) for _ in range(MOST_KEPT)]
    with patch.object(ray, "get", wraps=ray.get) as get:
        for one in (stored, *others[:-1], stored):
            one.parts()
        assert get.call_count == MOST_KEPT
        for one in (others[-1], stored):
            one.parts()
        assert get.call_count == MOST_KEPT + 2
