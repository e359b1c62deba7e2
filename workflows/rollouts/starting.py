"""The start of a pool: wait until as many engines as must be up are up, and say meanwhile what is waited for."""

import time
from dataclasses import replace

from temporay.workflows.placement import RoleNeed
from temporay.workflows.rollouts.roster import EngineRoster, SlotState
from temporay.workflows.room import LINE_EVERY_S, Wait

REFRESH_INTERVAL_S = 0.2


def wait_for_engines(roster: EngineRoster, count: int, need: RoleNeed) -> str:
    """Ask for some engines, wait until they are loaded, and return their name.

    Raises:
        UserError: one can never be placed.
        Exception: what kept the last of them from loading, after its restarts.
    """
    for _ in range(count):
        roster.add()
    wait = Wait(first_line_s=LINE_EVERY_S)
    replies: list[tuple[str, str]] = []
    while len(replies) < count:
        replies += roster.refresh()
        if roster.fault is not None:
            raise roster.fault
        if len(replies) < count:
            _look(wait, roster, need)
            time.sleep(REFRESH_INTERVAL_S / 4)
    counts = {reply: replies.count(reply) for reply in replies}
    print("rollouts: " + "; ".join(f"{n} x {name} ({why})" for (name, why), n in counts.items()), flush=True)
    return "+".join(sorted({name for name, _ in replies}))


def _look(wait: Wait, roster: EngineRoster, need: RoleNeed) -> None:
    """Say what engines wait for that are not there yet.

    Raises:
        UserError: one can never be placed.
    """
    absent, loading = (roster.count(state) for state in (SlotState.ABSENT, SlotState.LOADING))
    otherwise = f"waiting for {loading} of {need.count} engines to load" if loading else ""
    wait.look([replace(need, count=absent)], otherwise=otherwise)
