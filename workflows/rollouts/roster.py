"""Which engines a pool has: they join when Ray has placed and started them, and leave with their node or when told to.

    absent: ping → process is there: start → engine is loaded, serving ─ lost → absent …
                                                                       └ told to leave, after its calls → gone

Nothing here waits or belongs to an event loop: ``refresh`` looks at what has happened since. An engine that cannot be
placed stays pending in Ray, where an autoscaler sees it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError


class SlotState(Enum):
    """How far an engine is."""

    ABSENT = "absent"  # not placed, or its process is not there
    LOADING = "loading"
    SERVING = "serving"


@dataclass(slots=True, eq=False)
class Slot:
    """An engine's actor, for good; its process may change."""

    actor: Any
    call: Any | None  # reference of the call whose answer changes the state; None while it serves
    state: SlotState = SlotState.ABSENT
    since_s: float = 0.0  # monotonic time of the last change of state
    num_in_flight: int = 0  # prompts it is working on
    num_failures: int = 0  # without success in between
    leaving: bool = False
    process: str = ""  # name of the process that answers now
    ended: str = ""  # name of the process that was told to end; it may still answer


class EngineRoster:
    """The engines of a pool by state. Only one thread may use it."""

    def __init__(self, spawn: Callable[[], Any], *, max_restarts: int, start_timeout_s: float) -> None:
        self._spawn = spawn
        self._max_restarts = max_restarts
        self._start_timeout_s = start_timeout_s
        self.slots: list[Slot] = []
        self.num_joined = 0
        self.num_left = 0
        self.fault: Exception | None = None  # why the last engine could not be loaded

    def add(self) -> Slot:
        """Ask for one more engine; it joins when Ray has placed it."""
        actor = self._spawn()
        slot = Slot(actor=actor, call=actor.ping.remote(), since_s=time.monotonic())
        self.slots.append(slot)
        return slot

    def remove(self) -> None:
        """Give up one engine: one that does not serve yet, else the least busy one after its calls.

        Raises:
            ValueError: it is the last one.
        """
        staying = [slot for slot in self.slots if not slot.leaving]
        if len(staying) < 2:
            raise ValueError("the last engine cannot be removed; close the pool instead")
        slot = min(reversed(staying), key=lambda slot: (slot.state is SlotState.SERVING, slot.num_in_flight))
        slot.leaving = True
        self.release(slot)

    def release(self, slot: Slot) -> None:
        """End an engine that was told to leave, once it is idle."""
        if slot.leaving and slot.num_in_flight == 0 and slot in self.slots:
            self._drop(slot)

    def serving(self) -> list[Slot]:
        """Return the engines that take prompts, least busy first."""
        ready = [slot for slot in self.slots if slot.state is SlotState.SERVING and not slot.leaving]
        return sorted(ready, key=lambda slot: slot.num_in_flight)

    def count(self, state: SlotState) -> int:
        """Return how many engines are in a state."""
        return sum(slot.state is state for slot in self.slots)

    def refresh(self) -> list[Any]:
        """Take note of engines that came up or that Ray gave up on; return the answers of those that came up."""
        waiting = {slot.call: slot for slot in self.slots if slot.call is not None}
        if not waiting:
            return []
        ready, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=0, fetch_local=False)
        said = [self._advance(waiting[call]) for call in ready]
        for slot in list(self.slots):
            if slot.state is SlotState.LOADING and time.monotonic() - slot.since_s > self._start_timeout_s:
                self.end_process(slot)
                self.lost(slot, TimeoutError(f"it did not load within {self._start_timeout_s:g} s"))
        return [reply for reply in said if reply is not None]

    def end_process(self, slot: Slot) -> None:
        """Have Ray end an engine's process and start another for the same actor."""
        slot.ended = slot.process
        ray.kill(slot.actor, no_restart=False)

    def served(self, slot: Slot) -> None:
        """Note that an engine did its work: its failures are counted anew."""
        slot.num_failures = 0

    def lost(self, slot: Slot, error: Exception) -> None:
        """Note that a call failed with the engine's process or node; Ray may start it again, here or elsewhere."""
        if slot not in self.slots or slot.state is SlotState.ABSENT:
            return  # known already from another call
        slot.num_failures += 1
        if slot.num_failures > self._max_restarts or slot.leaving:
            self._drop(slot, error)
            return
        self._change(slot, SlotState.ABSENT)
        slot.call = slot.actor.ping.remote()

    def close(self) -> None:
        """End all engines."""
        for slot in list(self.slots):
            self._drop(slot)

    def _advance(self, slot: Slot) -> Any:
        try:
            reply = ray.get(slot.call)
        except ActorUnavailableError as error:
            if slot.state is SlotState.LOADING:
                self.lost(slot, error)
            else:
                slot.call = slot.actor.ping.remote()
            return None
        except Exception as error:  # Ray gave up on it, or it cannot be loaded there: others may do without it
            self.fault = error
            self._drop(slot, error)
            return None
        if slot.state is SlotState.ABSENT and reply == slot.ended:
            slot.call = slot.actor.ping.remote()
            return None
        if slot.state is SlotState.ABSENT:
            slot.process = reply
            self._change(slot, SlotState.LOADING)
            slot.call = slot.actor.start.remote()
            return None
        self._change(slot, SlotState.SERVING)
        slot.call = None
        return reply

    def _change(self, slot: Slot, state: SlotState) -> None:
        self.num_joined += state is SlotState.SERVING
        self.num_left += slot.state is SlotState.SERVING
        slot.state, slot.since_s = state, time.monotonic()

    def _drop(self, slot: Slot, error: Exception | None = None) -> None:
        self.num_left += slot.state is SlotState.SERVING
        self.slots.remove(slot)
        ray.kill(slot.actor)
        if error is not None:
            cause = getattr(error, "cause", None) or error  # not the traceback of another process
            print(f"rollouts: an engine is gone for good, {len(self.slots)} left: {cause!r:.300}", flush=True)
