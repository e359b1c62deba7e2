"""``temporay retry``: make the samples that failed again, after the cause was removed.

Every failed address whose clip can be made now takes its place back from the one that stood in for it. All other bytes
stay, so the dataset is the one that an undisturbed run would have made.
"""

import json
from pathlib import Path
from typing import Any

import tyro
from temporay.operators.dataset.markers import read_markers
from temporay.operators.dataset.reader import Dataset
from temporay.operators.dataset.replacing import to_retry
from temporay.operators.settings import Settings
from temporay.workflows.data.generate import complete, print_summary
from temporay.workflows.runs.run_dir import RunDir


class RetryConfig(Settings):
    """Settings of ``temporay retry``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``


def run(config: RetryConfig) -> dict[str, Any]:
    """Retries, then renews index, card and summary; says how many failed before and still do.

    Raises:
        UserError: there is no finished dataset, its captions are others now, or a file cannot be written.
    """
    dataset = Dataset.open(config.data)
    recipe = dataset.recipe
    before = list(read_markers(dataset.path, recipe.num_shards))
    again = {i for marker in before for i in to_retry(marker)}
    num_failed = sum(1 for marker in before for _ in marker.letters)
    if not again:
        print(f"nothing failed in {dataset.path}")
        result: dict[str, Any] = json.loads((dataset.path / "summary.json").read_text())
        return result
    run_dir = RunDir(path=dataset.path, resumed=True)
    summary = complete(run_dir, recipe, dataset.source, {"num_failed_before": num_failed}, again)
    num_failing = sum(1 for marker in read_markers(dataset.path, recipe.num_shards) for _ in marker.letters)
    print(f"{num_failed} addresses had failed, {num_failing} still do")
    print_summary(summary, dataset.path)
    return summary
