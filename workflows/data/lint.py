"""``temporay lint``: checks every byte of a dataset and prints one line per problem; exit code 2 when there is any."""

from contextlib import chdir
from pathlib import Path

import tyro
from temporay.operators.dataset.lint import Problem, lint_index, lint_shard
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.recipe import primitives_of
from temporay.operators.settings import Settings
from temporay.workflows.session import ray_session

FOUND_PROBLEMS = 2  # exit code


class LintConfig(Settings):
    """Settings of ``temporay lint``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``
    parallel: bool = True  # shards on all cores, by Ray


def run(config: LintConfig) -> list[Problem]:
    """Print every problem and how many there are.

    Raises:
        UserError: there is no finished dataset, a primitive of it is not known, or the images of a
            virtual one are others now.
    """
    dataset = Dataset.open(config.data)
    primitives_of(dataset.recipe.tasks)  # one that is unknown here ends the command now, not after the first shard
    problems = list(lint_index(dataset))
    num_shards = dataset.recipe.num_shards
    if config.parallel and num_shards > 1:
        problems += _in_parallel(dataset.path, num_shards)
    else:
        for shard in range(num_shards):
            problems += lint_shard(dataset.path, shard)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems in {len(dataset)} samples of {num_shards} shards: {dataset.path}")
    return problems


def _in_parallel(folder: Path, num_shards: int) -> list[Problem]:
    import ray  # heavy: not for --help

    with ray_session():
        task = ray.remote(num_cpus=1, max_retries=1)(_lint_shard_from)
        found = ray.get([task.remote(Path.cwd(), folder, shard) for shard in range(num_shards)])
    return [problem for problems in found for problem in problems]


def _lint_shard_from(place: Path, folder: Path, shard: int) -> list[Problem]:
    """In the folder of the command: a recipe may name its images by relative paths, and a worker has another folder."""
    with chdir(place):
        return lint_shard(folder, shard)


def tell(problems: list[Problem]) -> int:
    """Return the exit code of the command."""
    return FOUND_PROBLEMS if problems else 0
