"""A machine by its name: ``8xH100-80GB`` is eight devices of 80 GB each, whose speed is known."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator
from temporay.models.cost.footprint import PEAK_TFLOPS, known_peak

PATTERN = re.compile(r"(\d+)x(.+)-(\d+)GB")
RESERVED_BYTES = 1e9  # of a device, for its driver and libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Devices of one kind, on one node or several."""

    num_devices: int
    device: str
    device_bytes: float  # of each
    peak_flops: float  # of each, dense, in bfloat16

    @property
    def usable_bytes(self) -> float:
        """Bytes of a device that a process can have."""
        return self.device_bytes - RESERVED_BYTES


def machine_of(text: str) -> Machine:
    """Read a machine's name.

    Raises:
        ValueError: it has another form, or its device is not known.
    """
    found = PATTERN.fullmatch(text)
    peak = known_peak(found[2]) if found else None
    if found is None or peak is None or int(found[1]) < 1:
        known = ", ".join(name.replace(" ", "-") for name, _ in PEAK_TFLOPS)
        raise ValueError(f"machine is {text!r}; give COUNTxNAME-MEMORYGB, e.g. 8xH100-80GB, with one of: {known}")
    return Machine(num_devices=int(found[1]), device=found[2], device_bytes=float(found[3]) * 1e9, peak_flops=peak)


def _checked(text: str) -> str:
    machine_of(text)
    return text


MachineName = Annotated[str, AfterValidator(_checked)]
