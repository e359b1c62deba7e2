"""The table of an ideal audit: what each attack gets in each cell, for the terminal and for the dataset card."""

from collections.abc import Mapping, Sequence
from typing import Any

SHORT = {
    "first_frame": "first",
    "last_frame": "last",
    "random_frame": "random",
    "first_two_frames": "first 2",
    "last_two_frames": "last 2",
    "first_and_last_frame": "ends",
    "any_two_frames": "any 2",
    "middle_three_frames": "middle 3",
    "bag_of_frames": "bag",
    "net_displacement": "net way",
    "path_length": "way",
    "clip_length": "length",
    "length_times_first_speed": "length x speed",
    "first_operation": "first op",
    "first_two_operations": "first 2 ops",
    "all_but_one": "all but 1",
}
AuditedCell = Mapping[str, Any]  # as audit.json holds it


def tables(cells: Sequence[AuditedCell]) -> list[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Return header and lines of one table for each set of attacks; accuracies are in percent.

    A number that is over its bound has an exclamation mark. A declared bound above chance stands in brackets.
    """
    by_attacks: dict[tuple[str, ...], list[AuditedCell]] = {}
    for cell in cells:
        if cell["judged"]:
            by_attacks.setdefault(tuple(attack["attack"] for attack in cell["attacks"]), []).append(cell)
    start = ("primitive", "mode", "level", "n", "chance", "reference", "solved")
    return [
        ((*start, *(SHORT.get(name, name.replace("_", " ")) for name in names)), [_line(cell) for cell in found])
        for names, found in by_attacks.items()
    ]


def text(cells: Sequence[AuditedCell]) -> str:
    """Return the tables with aligned columns and headers of two lines."""
    blocks = []
    for header, lines in tables(cells):
        words = [name.split() for name in header]
        rows = [[word[0] for word in words], [" ".join(word[1:]) for word in words], *map(list, lines)]
        widths = [max(len(row[c]) for row in rows) for c in range(len(header))]
        blocks.append("\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)) for row in rows))
    return "\n\n".join(blocks)


def _line(cell: AuditedCell) -> tuple[str, ...]:
    solved = f"{100 * cell['solved']:.0f}{'' if cell['certifies'] else '!'}"
    start = (cell["task"], cell["mode"], str(cell["level"]), str(cell["num_samples"]), f"{100 * cell['chance']:.0f}")
    reference = f"{100 * cell['reference']:.0f}"
    return (*start, reference, solved, *(_accuracy(attack, cell["chance"]) for attack in cell["attacks"]))


def _accuracy(attack: Mapping[str, Any], chance: float) -> str:
    mark = "" if attack["passed"] else "!"
    declared = f" [{100 * attack['chance']:.0f}]" if attack["chance"] > chance + 0.005 else ""
    return f"{100 * attack['accuracy']:.0f}{mark}{declared}"
