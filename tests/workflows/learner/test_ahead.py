"""Items made ahead of their use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from temporay.workflows.learner.ahead import ahead


def test_items_made_ahead_keep_their_order_and_faults_arrive() -> None:
    assert list(ahead(iter(range(5)), 2)) == list(range(5))

    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    items = ahead(broken(), 2)
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)
