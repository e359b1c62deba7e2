"""Questions that are scored together: a pair, a 2 x 2 instance, all questions of a video."""

from collections.abc import Callable, Iterable, Sequence

from temporay.operators.benchmarks._base import ScoredItem, percent


def grouped(scored: Iterable[ScoredItem], name: Callable[[ScoredItem], str] | None = None) -> list[list[ScoredItem]]:
    """Return the members of each group, groups in the order in which they come.

    Args:
        name: the name of a question's group; None: ``BenchmarkItem.group``.
    """
    groups: dict[str, list[ScoredItem]] = {}
    for one in scored:
        groups.setdefault(one.item.group if name is None else name(one), []).append(one)
    return list(groups.values())


def all_right(groups: Sequence[Sequence[ScoredItem]]) -> float:
    """Return the share of groups whose questions are all answered right, in percent."""
    return percent(all(one.values["score"] == 1.0 for one in group) for group in groups)
