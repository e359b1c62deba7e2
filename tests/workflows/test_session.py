"""Which Ray a command gets."""

from __future__ import annotations

from typing import Any

import pytest
import ray
from temporay.workflows.session import ray_session


def test_without_an_address_a_cluster_of_its_own_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray by itself would join one that was started on this machine, and refuse the settings given here."""
    asked: list[dict[str, Any]] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **arguments: asked.append(arguments))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with ray_session():
        assert asked[0]["address"] == "local"
