"""Plans for the ideal audit: of a dataset's own samples, or made afresh from its recipe. No pixel is drawn."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from temporay.operators.audit.ideal import PlannedSample
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import MAX_INDEX, Recipe
from temporay.operators.dataset.rows import SampleRow, to_row
from temporay.operators.dataset.samples import Source, plan_sample
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.records import GENERATOR_VERSION, Address, Sample

MAX_TRIES = 20  # addresses for each plan that is wanted
FIRST_INDEX = MAX_INDEX // 2  # fresh plans are not those of the dataset's first samples


def plans_of(dataset: Dataset, most: int) -> Iterator[PlannedSample]:
    """Plan the samples of a dataset again, at most ``most`` of each task and level.

    Raises:
        UserError: this version draws other clips than the one that made the dataset.
    """
    version = dataset.recorded["identity"]["generator_version"]
    if version != GENERATOR_VERSION:
        raise UserError(
            f"{dataset.path} was made by generator version {version}, and this is version {GENERATOR_VERSION}, which "
            "draws other clips; make the dataset again"
        )
    taken: Counter[tuple[str, int]] = Counter()
    for i, row in enumerate(dataset.rows):
        cell = row["task"], row["level"]
        taken[cell] += 1
        if taken[cell] <= most:
            plan, _ = plan_sample(dataset.recipe, dataset.source, dataset.sample(i).address)
            yield PlannedSample(row=row, plan=plan)


def fresh_plans(recipe: Recipe, source: Source, level: int, count: int) -> Iterator[PlannedSample]:
    """Plan ``count`` samples of every task at one level; with twins, as pairs."""
    for task in recipe.tasks:
        found = 0
        for index in range(FIRST_INDEX, FIRST_INDEX + MAX_TRIES * count):
            if found >= count:
                break
            address = Address(task=task, split=recipe.split, index=index, seed=recipe.seed, level=level)
            try:
                pair = [plan_sample(recipe, source, one) for one in _pair(address, recipe)]
            except SampleRejected:
                continue
            found += len(pair)
            yield from (PlannedSample(row=_row(sample), plan=plan) for plan, sample in pair)


def _pair(address: Address, recipe: Recipe) -> Sequence[Address]:
    return [address, replace(address, twin=True)][: recipe.unit_size]


def _row(sample: Sample) -> SampleRow:
    return to_row(sample, recipe_hash="", content_hash="", instruction="")
