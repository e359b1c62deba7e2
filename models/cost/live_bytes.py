"""The bytes of tensors that are alive while operations run, and the most there were at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import finalize

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary


class LiveBytes(TorchDispatchMode):
    """A count of the bytes in storages that operations make, from their first use to their end."""

    def __init__(self, known: Iterable[Tensor]) -> None:
        """Begin with nothing.

        Args:
            known: tensors that do not count, such as parameters.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._storages: Any = WeakIdKeyDictionary()
        for tensor in known:
            self._storages[tensor.untyped_storage()] = None
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return out

    def add(self, tensor: Tensor) -> None:
        """Count a tensor from now on, if it is new."""
        storage = tensor.untyped_storage()
        if storage not in self._storages:
            self._storages[storage] = None
            num_bytes = storage.nbytes()
            finalize(storage, self._drop, num_bytes)
            self.now += num_bytes
            self.reach(0)

    def reach(self, more: int) -> None:
        """Count bytes that are there for this moment only."""
        self.peak = max(self.peak, self.now + more)

    def _drop(self, num_bytes: int) -> None:
        self.now -= num_bytes


def drop_gradients(units: Sequence[Sequence[nn.Parameter]], live: LiveBytes, copied: int) -> list[RemovableHandle]:
    """Let a backward pass drop the gradients of a unit together, as soon as all are there.

    Args:
        units: trained parameters, by what ranks exchange at a time; all of a unit get gradients.
        copied: bytes for each gradient of the copy that is exchanged.

    Returns:
        What removes the hooks.
    """
    return [handle for unit in units for handle in _drop_together(unit, live, copied)]


def _drop_together(unit: Sequence[nn.Parameter], live: LiveBytes, copied: int) -> list[RemovableHandle]:
    missing = len(unit)

    def arrived(_: Tensor) -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            live.reach(copied * sum(parameter.numel() for parameter in unit))
            missing = len(unit)
            for parameter in unit:
                parameter.grad = None

    return [parameter.register_post_accumulate_grad_hook(arrived) for parameter in unit]  # type: ignore[no-untyped-call]
