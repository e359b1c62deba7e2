"""What a run needs, by role, against what a cluster has and could start: start, wait with a sentence, or refuse.

    needs, cluster state → packing node by node → decision and the sentence that says why

Pure arithmetic: ``room`` reads the cluster. Resources are Ray's: a name and an amount, GPUs also in fractions, of which
those of one bundle never come from two GPUs.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Resources = Mapping[str, float]
Decision = Literal["start", "wait", "refuse"]
TOLERANCE = 1e-6  # Ray counts in steps of 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleNeed:
    """Processes of one role."""

    role: str  # of one, e.g. "training worker"
    count: int
    each: Resources  # of one process, all on one node
    change: str  # the setting that makes it less, e.g. "num_workers"
    share: str = ""  # the setting by which it takes parts of what another role has
    amounts: Mapping[str, str] = field(default_factory=dict)  # by kind of resource: the setting that asks for so much

    @property
    def bundle(self) -> dict[str, float]:
        """What one process takes, without resources of which it takes nothing."""
        return {kind: amount for kind, amount in self.each.items() if amount > 0}

    @property
    def actor_options(self) -> dict[str, Any]:
        """The same for one process, as options of a Ray actor."""
        custom = {kind: amount for kind, amount in self.bundle.items() if kind not in ("CPU", "GPU")}
        return {"num_cpus": self.each.get("CPU", 0), "num_gpus": self.each.get("GPU", 0), "resources": custom}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One node that is up."""

    total: Resources
    free: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class StartableNodes:
    """Nodes of one type that an autoscaler could still start."""

    name: str
    count: int
    each: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """What there is to place on."""

    nodes: tuple[NodeState, ...]
    startable: tuple[StartableNodes, ...] | None = ()  # None: an autoscaler is there and does not say what it can start

    def has(self, kind: str) -> bool:
        """Return whether any node has a resource, or could be started with it."""
        could = (one.each for one in self.startable or () if one.count)
        return any(each.get(kind, 0) > 0 for each in (*(node.total for node in self.nodes), *could))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What to do, and the sentence that says why; empty for a start."""

    decision: Decision
    sentence: str = ""


def judge(needs: Sequence[RoleNeed], cluster: ClusterState) -> Placement:
    """Compare what a run needs with what a cluster has free, has in all, and could have."""
    needs = [need for need in needs if need.bundle and need.count]
    totals = [node.total for node in cluster.nodes]
    if packs(needs, [node.free for node in cluster.nodes]):
        return Placement(decision="start")
    grown = grown_by(needs, cluster)
    fits_when_free = packs(needs, totals)
    if cluster.startable is None or fits_when_free or packs(needs, totals + grown):
        return Placement(decision="wait", sentence=_waiting(needs, cluster, starts=not fits_when_free))
    return Placement(decision="refuse", sentence=_refusal(needs, cluster, grown))


def grown_by(needs: Sequence[RoleNeed], cluster: ClusterState) -> list[Resources]:
    """Return the nodes that could be started, of no type more than there are processes."""
    most = sum(need.count for need in needs)
    return [one.each for one in cluster.startable or () for _ in range(min(one.count, most))]


def most_at_once(needs: Sequence[RoleNeed], cluster: ClusterState, limit: int) -> int:
    """Return how many runs that need the same can be placed side by side, of at most ``limit``; at least one."""
    for count in range(limit, 1, -1):
        several = [replace(need, count=count * need.count) for need in needs]
        if packs(several, [*(node.total for node in cluster.nodes), *grown_by(several, cluster)]):
            return count
    return 1


def packs(needs: Sequence[RoleNeed], nodes: Sequence[Resources]) -> bool:
    """Return whether every process finds a node, in some order of the roles.

    Within a role all processes are alike, so the order of roles decides. Each goes where least is left. Roles that take
    parts of a GPU keep their order: Ray gives a part where least is free, so that two small ones of the first role may
    leave no GPU for a large one of the next.
    """
    parts = [need for need in needs if need.each.get("GPU", 0) % 1]
    orders = itertools.permutations(needs)
    return any(_packs_in_order(order, nodes) for order in orders if [n for n in order if n in parts] == parts)


def _packs_in_order(needs: Sequence[RoleNeed], nodes: Sequence[Resources]) -> bool:
    left = [_Left(node) for node in nodes]
    for need in needs:
        bundle = need.bundle
        for _ in range(need.count):
            fitting = [node for node in left if node.fits(bundle)]
            if not fitting:
                return False
            min(fitting, key=lambda node: node.worth(bundle)).take(bundle)
    return True


class _Left:
    """What is left of one node."""

    def __init__(self, resources: Resources) -> None:
        self._amounts = {kind: amount for kind, amount in resources.items() if kind != "GPU"}
        whole, part = divmod(resources.get("GPU", 0) + TOLERANCE, 1)
        self._gpus = [1.0] * int(whole) + [part] * (part > 2 * TOLERANCE)

    def fits(self, bundle: Resources) -> bool:
        others = all(self._amounts.get(kind, 0) >= bundle[kind] - TOLERANCE for kind in bundle if kind != "GPU")
        return others and self._chosen(bundle.get("GPU", 0)) is not None

    def worth(self, bundle: Resources) -> tuple[float, ...]:
        """Return what a bundle would waste here: kinds it does not need, then what else is left."""
        unasked = sum(amount for kind, amount in self._amounts.items() if kind not in bundle and is_custom(kind))
        return unasked, sum(self._gpus) - bundle.get("GPU", 0), self._amounts.get("CPU", 0)

    def take(self, bundle: Resources) -> None:
        for kind, amount in bundle.items():
            if kind != "GPU":
                self._amounts[kind] -= amount
        for i in self._chosen(bundle.get("GPU", 0)) or []:
            self._gpus[i] -= min(1.0, bundle["GPU"])

    def _chosen(self, gpus: float) -> list[int] | None:
        """Return which GPUs a bundle gets: whole ones, or for a fraction the fullest on which it fits."""
        share, count = (gpus, 1) if gpus < 1 else (1.0, math.ceil(gpus - TOLERANCE))
        fitting = [i for i, free in enumerate(self._gpus) if free >= share - TOLERANCE]
        fitting.sort(key=self._gpus.__getitem__)
        return [] if gpus <= 0 else fitting[:count] if len(fitting) >= count else None


def is_custom(kind: str) -> bool:
    """Return whether a resource is one that people name, and not one that Ray adds to every node."""
    return kind not in ("CPU", "GPU", "memory", "object_store_memory") and ":" not in kind


def total_of(needs: Iterable[RoleNeed]) -> Counter[str]:
    """Add up what some roles need."""
    total: Counter[str] = Counter()
    for need in needs:
        total.update({kind: need.count * amount for kind, amount in need.bundle.items()})
    return total


def summed(resources: Iterable[Resources]) -> Counter[str]:
    """Add up what some nodes have."""
    total: Counter[str] = Counter()
    for one in resources:
        total.update(one)
    return total


def amounts(resources: Resources) -> str:
    """Write resources for people: "2 GPUs, 1 CPU, 1 rollout"."""
    order = sorted(resources, key=lambda kind: (kind != "GPU", kind != "CPU", kind))
    plural = {kind: "s" if kind in ("CPU", "GPU") and abs(resources[kind] - 1) > TOLERANCE else "" for kind in order}
    return ", ".join(f"{round(resources[kind], 4):g} {kind}{plural[kind]}" for kind in order) or "nothing"


def roles(needs: Iterable[RoleNeed]) -> str:
    """Write needs for people: "1 engine (1 GPU), 8 training workers (1 GPU, 1 CPU each)"."""
    return ", ".join(
        f"{need.count} {need.role}s ({amounts(need.bundle)} each)"
        if need.count > 1
        else f"1 {need.role} ({amounts(need.bundle)})"
        for need in needs
    )


def _named(needed: Iterable[str], resources: Resources) -> dict[str, float]:
    return {kind: resources.get(kind, 0) for kind in needed}


def _waiting(needs: Sequence[RoleNeed], cluster: ClusterState, *, starts: bool) -> str:
    needed, total = total_of(needs), summed(node.total for node in cluster.nodes)
    free = summed(node.free for node in cluster.nodes)
    short = [kind for kind in needed if needed[kind] > free[kind] + TOLERANCE]
    have = "; ".join(
        f"{amounts({kind: needed[kind]})} needed, the cluster has {total[kind]:g}, {round(free[kind], 4):g} free"
        for kind in sorted(short, key=lambda kind: kind != "GPU")
    )
    have = have or f"{amounts(_named(needed, free))} are free, but not so that each finds a node"
    growth = "; nodes are to be started for it" if starts else ""
    return f"waiting for room for {roles(needs)}: {have}{growth}"


def _refusal(needs: Sequence[RoleNeed], cluster: ClusterState, grown: Sequence[Resources]) -> str:
    nodes = [node.total for node in cluster.nodes]
    needed = total_of(needs)
    total, possible = _named(needed, summed(nodes)), _named(needed, summed([*nodes, *grown]))
    could = f", with all nodes that it can start {amounts(possible)}" if grown else " and cannot start more"
    has = f"the cluster has {amounts(total)} on {len(nodes)} node{'s' * (len(nodes) != 1)}{could}"
    lonely = next((need for need in needs if not any(_Left(node).fits(need.bundle) for node in [*nodes, *grown])), None)
    if lonely is not None:
        why = f", and no node has {amounts(lonely.bundle)} for one {lonely.role}"
    elif all(amount <= possible[kind] + TOLERANCE for kind, amount in needed.items()):
        why = ", but not so that each finds a node"
    else:
        why = ""
    return (
        f"there is no room for {roles(needs)}, together {amounts(needed)}: {has}{why}; "
        f"{_advice(needs, lonely, [*nodes, *grown])}"
    )


def _advice(needs: Sequence[RoleNeed], lonely: RoleNeed | None, nodes: Sequence[Resources]) -> str:
    """Say what to change.

    Args:
        lonely: a role of which not even one process finds a node.
    """
    if lonely is not None:  # fewer processes would not help
        short = [
            kind for kind, amount in lonely.bundle.items() if not any(_Left(n).fits({kind: amount}) for n in nodes)
        ]
        if asked_by := dict.fromkeys(lonely.amounts[kind] for kind in short if kind in lonely.amounts):
            return f"correct {' and '.join(asked_by)}, or start a node that has as much"
    changes = " or ".join(dict.fromkeys(need.change for need in needs))
    if len(needs) > 1:
        changes += "".join(f", give {need.share}" for need in needs if need.share)
    return f"lower {changes}, or start more nodes"
