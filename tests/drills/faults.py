"""Faults chosen by a seed over a run's progress, struck while it runs, and the time until it is where it was.

seed → faults (kind, step, moment) → a run that is disturbed → blows (when, back after)
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.drills.commands import DRIVER, Command

POLL_S = 0.01
START_S = 15.0  # a driver may also be killed while it starts, within this time of its first start
GONE_WITHIN_S = 60.0  # what a killed driver has to leave nothing behind
BEFORE_FIRST_STEP = -1
# What Ray says when its own processes did not come up within 30 s, because the machine is busy with others; no fault of
# the drill's and none that a run can do anything about but be started again.
TOO_BUSY, MAX_BUSY_STARTS = "The current node timed out during startup", 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Strikes once a step is logged and a part of the next one, or of the start, is over."""

    step: int
    moment: float  # share of the step or start that is over, in [0, 1)
    kind: str
    choice: float  # which of several victims, in [0, 1)


def choose_faults(seed: int, counts: Mapping[str, int], num_steps: int) -> list[Fault]:
    """Faults in the order of their moments; those of one kind are in different steps.

    None comes in the last quarter of the steps, so that the run is still there when its last one is due.
    """
    random = Random(seed)
    chosen = []
    for kind, count in counts.items():
        steps = range(BEFORE_FIRST_STEP if kind == DRIVER else 0, num_steps * 3 // 4)
        for step in random.sample(steps, count):
            chosen.append(Fault(step=step, moment=random.random(), kind=kind, choice=random.random()))
    return sorted(chosen, key=lambda fault: (fault.step, fault.moment))


@dataclass(slots=True, kw_only=True)
class Blow:
    """A fault that struck."""

    fault: Fault
    at: float  # seconds of the monotonic clock
    last_step: int  # the newest that was logged
    back_at: float | None = None  # when the step after it was

    def seconds_to_recover(self, step_s: float) -> float:
        """Beyond what a step takes."""
        assert self.back_at is not None
        return max(0.0, self.back_at - self.at - step_s)


@dataclass(slots=True)
class Story:
    """What a run went through."""

    exit_code: int
    step_s: float  # between two steps of an undisturbed stretch
    blows: list[Blow] = field(default_factory=list)
    survivors: list[str] = field(default_factory=list)  # what killed drivers left running long after


def live(command: Command, metrics: Path, stage: str, faults: Sequence[Fault], limit_s: float) -> Story:
    """Start a command, strike it with every fault in turn, start it again when its driver was killed.

    Raises:
        TimeoutError: it does not end.
    """
    watch = Watch(metrics, stage)
    waiting = list(faults)
    blows: list[Blow] = []
    due_at: float | None = None
    start = time.monotonic()
    command.start()
    while command.process.poll() is None or started_again(command):
        if time.monotonic() - start > limit_s:
            raise TimeoutError(f"still running after {limit_s:g} s and {len(blows)} of {len(faults)} faults")
        note_progress(watch, blows)
        if waiting and is_time_for(waiting[0], watch, blows):
            due_at = due_at or time.monotonic() + waiting[0].moment * span_of(waiting[0], watch)
            if time.monotonic() >= due_at and strike(command, waiting[0]):
                blows.append(Blow(fault=waiting.pop(0), at=time.monotonic(), last_step=watch.last_step))
                due_at = None
        time.sleep(POLL_S)
    note_progress(watch, blows)
    return Story(command.process.returncode, watch.step_s, blows, wait_for_survivors(command))


def is_time_for(fault: Fault, watch: Watch, blows: Sequence[Blow]) -> bool:
    """Return whether its step is there and no other of its kind struck in this step; a fault may come late."""
    struck = any(blow.fault.kind == fault.kind and blow.last_step >= watch.last_step for blow in blows)
    return watch.last_step >= fault.step and not (struck and fault.kind != DRIVER)


def started_again(command: Command) -> bool:
    """Whether Ray had not come up and gets another chance."""
    times = command.log.read_text(errors="replace").count(f"Exception: {TOO_BUSY}")
    if command.process.returncode == 0 or not command.busy_starts < times <= MAX_BUSY_STARTS:
        return False
    command.busy_starts = times
    command.start()
    return True


def note_progress(watch: Watch, blows: Sequence[Blow]) -> None:
    watch.look()
    for blow in blows:
        if blow.back_at is None and watch.last_step > blow.last_step:
            blow.back_at = time.monotonic()


def span_of(fault: Fault, watch: Watch) -> float:
    """Return the seconds that a fault's moment is a share of."""
    return START_S if fault.step == BEFORE_FIRST_STEP else watch.step_s


def strike(command: Command, fault: Fault) -> bool:
    if fault.kind != DRIVER:
        return command.kill_one(fault.kind, fault.choice)
    killed = command.kill_driver()
    if killed:
        command.start()
    return killed


def wait_for_survivors(command: Command) -> list[str]:
    """List what killed drivers left running although they had time to end it."""
    limit = max(command.killed_at.values(), default=0.0) + GONE_WITHIN_S
    while (survivors := command.survivors()) and time.monotonic() < limit:
        time.sleep(0.5)
    return survivors


class Watch:
    """The steps in metrics.jsonl as they come; a run that resumes takes some back."""

    def __init__(self, metrics: Path, stage: str) -> None:
        self._metrics = metrics
        self._stage = stage
        self._gaps_s: list[float] = []
        self._seen_at = 0.0
        self._size = -1
        self.last_step = BEFORE_FIRST_STEP

    @property
    def step_s(self) -> float:
        """Seconds between two steps, the least so far: others held a blow and what it took to come back."""
        return min(self._gaps_s, default=1.0)

    def look(self) -> None:
        size = self._metrics.stat().st_size if self._metrics.exists() else 0
        if size == self._size:
            return
        self._size = size
        last_step = max((row["step"] for row in step_rows(self._metrics, self._stage)), default=BEFORE_FIRST_STEP)
        now = time.monotonic()
        if last_step > self.last_step >= 0:
            self._gaps_s.append((now - self._seen_at) / (last_step - self.last_step))
        if last_step != self.last_step:
            self._seen_at = now
        self.last_step = last_step


def step_rows(metrics: Path, stage: str) -> list[dict[str, object]]:
    """Return the whole lines of a command's own steps."""
    lines = metrics.read_text(errors="replace").splitlines() if metrics.exists() else []
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # being written, or cut short by a kill
    return [row for row in rows if row["stage"] == stage and row.keys() & {"loss", "skipped"}]
