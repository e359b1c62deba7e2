"""What a batch says of the weights that wrote it."""

from types import SimpleNamespace
from typing import Any

import pytest
from temporay.workflows.grpo.producer import oldest_version


def written_under(*versions: int) -> Any:
    return SimpleNamespace(group=SimpleNamespace(rollouts=[SimpleNamespace(weight_version=v) for v in versions]))


def test_the_oldest_weights_count() -> None:
    assert oldest_version(5, [written_under(5, 4), written_under(5, 5)]) == 4
    assert oldest_version(5, []) == 5


def test_engines_that_hold_another_model_are_a_fault() -> None:
    with pytest.raises(RuntimeError, match="step 0 were written under weights of version 2"):
        oldest_version(0, [written_under(2, 2)])
