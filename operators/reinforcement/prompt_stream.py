"""The order of prompts: an endless stream over a dataset's rows, with a cursor that is a value.

    units (rows, or pairs of twins) → a permutation per epoch → prompts at the cursor, the next cursor

Without a curriculum, every unit comes once per epoch. With one, every stratum has such a stream of its own, and the
shares of the step say how often a stratum is chosen. All choices depend on the seed, the data and the cursor alone. So
a run that resumes chooses what it would have chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from temporay.operators.errors import UserError
from temporay.operators.reinforcement.curriculum import Stratum
from temporay.operators.seeding import place_in_epochs, rng_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Rows that are chosen together: one, or a sample and its twin."""

    rows: tuple[int, ...]
    stratum: Stratum


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPrompt:
    """A row of the dataset and its place in the stream."""

    position: int  # among all prompts chosen so far
    row: int
    stratum: Stratum
    static: bool  # from the stream of all units, which no curriculum steers


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where the streams stand."""

    num_prompts: int = 0  # chosen so far
    static: int = 0  # units taken from the stream of all
    by_stratum: Mapping[Stratum, int] = field(default_factory=dict)  # units taken from each stratum's own

    def to_json(self) -> dict[str, Any]:
        """Return JSON values, from which ``from_json`` makes an equal cursor."""
        rows = [[task, level, taken] for (task, level), taken in sorted(self.by_stratum.items())]
        return {"num_prompts": self.num_prompts, "static": self.static, "by_stratum": rows}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` gave."""
        by_stratum = {(task, level): taken for task, level, taken in tree["by_stratum"]}
        return cls(num_prompts=tree["num_prompts"], static=tree["static"], by_stratum=by_stratum)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptStream:
    """The units of a dataset and the seed of their orders."""

    units: tuple[Unit, ...]
    by_stratum: Mapping[Stratum, tuple[Unit, ...]]
    seed: int

    @classmethod
    def over(
        cls, tasks: Sequence[str], levels: Sequence[int], pair_ids: Sequence[str], *, seed: int, pairs: bool
    ) -> Self:
        """Return the stream over rows, which are given column by column.

        Raises:
            UserError: pairs are asked for, and a row has no twin.
        """
        by_unit: dict[object, list[int]] = {}
        for row, pair_id in enumerate(pair_ids):
            by_unit.setdefault(pair_id if pairs else row, []).append(row)
        by_stratum: dict[Stratum, list[Unit]] = {}
        for name, rows in by_unit.items():
            if pairs and len(rows) != 2:
                raise UserError(
                    f"a reward compares twins, but the data has {len(rows)} sample of pair {name}; "
                    "generate it with --twins True, or leave that reward out"
                )
            stratum = tasks[rows[0]], levels[rows[0]]
            by_stratum.setdefault(stratum, []).append(Unit(rows=tuple(rows), stratum=stratum))
        units = sorted((unit for some in by_stratum.values() for unit in some), key=lambda unit: unit.rows)
        return cls(units=tuple(units), by_stratum={s: tuple(some) for s, some in by_stratum.items()}, seed=seed)

    def sizes(self) -> dict[Stratum, int]:
        """Return the number of units of every stratum."""
        return {stratum: len(units) for stratum, units in self.by_stratum.items()}

    def choose(
        self, cursor: Cursor, num_prompts: int, shares: Mapping[Stratum, float] | None = None, static_share: float = 1.0
    ) -> tuple[list[ChosenPrompt], Cursor]:
        """Choose at least ``num_prompts`` prompts, in whole units. Returns them and the next cursor.

        Args:
            shares: the part of the steered prompts that each stratum gets; None: nothing is steered.
            static_share: the part of the prompts that is not steered. It counts only together with ``shares``.
        """
        chosen: list[ChosenPrompt] = []
        while len(chosen) < num_prompts:
            unit, static, cursor = self._next(cursor, shares, static_share)
            chosen += [
                ChosenPrompt(position=cursor.num_prompts + i, row=row, stratum=unit.stratum, static=static)
                for i, row in enumerate(unit.rows)
            ]
            cursor = replace(cursor, num_prompts=cursor.num_prompts + len(unit.rows))
        return chosen, cursor

    def _next(
        self, cursor: Cursor, shares: Mapping[Stratum, float] | None, static_share: float
    ) -> tuple[Unit, bool, Cursor]:
        choice = rng_at("prompt", self.seed, cursor.num_prompts)  # one per prompt, whatever its step
        if shares is None or choice.random() < static_share:
            unit = self._at("all", self.units, cursor.static)
            return unit, True, replace(cursor, static=cursor.static + 1)
        total = sum(shares.values())
        stratum = list(shares)[int(choice.choice(len(shares), p=[share / total for share in shares.values()]))]
        taken = cursor.by_stratum.get(stratum, 0)
        unit = self._at(stratum, self.by_stratum[stratum], taken)
        return unit, False, replace(cursor, by_stratum={**cursor.by_stratum, stratum: taken + 1})

    def _at(self, name: object, units: Sequence[Unit], place: int) -> Unit:
        return units[place_in_epochs(place, len(units), "prompts", str(name), self.seed)]
