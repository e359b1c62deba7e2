"""``temporay generate``: a recipe -> a dataset folder, one fused Ray Data actor call per shard.

    shard numbers -> [sample, frames, clip, row] x samples_per_shard inside one actor -> tar + marker -> index, card

Frames never leave the process that drew them; only counts come back. Shards whose marker has the same recipe hash are
kept, so a killed command goes on where it stopped, with any number of workers.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

import cv2
from pydantic import Field
from temporay.operators.dataset.card import write_card, write_sheet
from temporay.operators.dataset.drawn_coco import write_drawn_coco
from temporay.operators.dataset.label_check import Verdict
from temporay.operators.dataset.markers import counts_of, labels_checked, marker_path, read_marker, read_markers
from temporay.operators.dataset.reader import recorded_copies
from temporay.operators.dataset.recipe import Recipe, check
from temporay.operators.dataset.replacing import settle
from temporay.operators.dataset.samples import Source, open_source
from temporay.operators.dataset.shards import DRAWN_FOLDER, RECIPE_FILE, recipe_json, write_index, write_shard
from temporay.operators.errors import UserError
from temporay.operators.files import write_json
from temporay.workflows.config import converted, difference
from temporay.workflows.data.throughput import FinishedShard, ceiling_per_s, cores, report_progress
from temporay.workflows.runs.run_dir import RunDir
from temporay.workflows.session import ray_session

MAX_WORKER_CPUS = 1.0
FREE_CPUS = 1.0  # kept for Ray Data's own tasks: it waits for ever, silently, when actors hold every CPU
NO_PROGRESS_TIMEOUT_S = 1800.0  # no shard takes this long
PROBE_S, MIN_PROBED_SAMPLES = 1.0, 512  # the machine's ceiling is measured for runs that take longer than measuring


class GenerateConfig(Recipe):
    """Settings of ``temporay generate``: the recipe, and where and by how many workers it is carried out."""

    out: Path
    num_workers: int | None = Field(default=None, ge=1)  # processes; None: one per core, at most one per shard

    @property
    def recipe(self) -> Recipe:
        """The settings that decide what the dataset holds."""
        return converted(Recipe, self)


class ShardMaker:
    """The state of one worker: the recipe and its source, read once."""

    def __init__(self, recipe: Recipe, recipe_hash: str, folder: Path) -> None:
        cv2.setNumThreads(1)  # workers are the parallelism
        self.recipe, self.recipe_hash, self.folder = recipe, recipe_hash, folder
        self.source = open_source(recipe, folder / DRAWN_FOLDER, recorded_copies(folder))

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Make the shards in column ``shard``; return their counts.

        An error of the user comes back as a value: Ray Data keeps only the text of an exception's cause.
        """
        counts, errors, began_at = [], [], []
        for shard in batch["shard"]:
            began_at.append(time.time())
            try:
                stats = write_shard(self.recipe, self.source, self.recipe_hash, int(shard), self.folder)
                counts.append(json.dumps(dict(counts_of(stats.samples))))
                errors.append("")
            except UserError as error:
                counts.append("{}")
                errors.append(str(error))
        return {"counts_json": counts, "user_error": errors, "began_at": began_at}


def run(config: GenerateConfig) -> dict[str, Any]:
    """Carries a command line's recipe out."""
    return build(config.recipe, config.out, config.num_workers)


def build(recipe: Recipe, out: Path, num_workers: int | None = None) -> dict[str, Any]:
    """Make or complete a dataset; return what summary.json holds.

    Raises:
        UserError: the folder cannot be written or holds another recipe's data, source files are missing or broken,
            or too many addresses in a row gave no sample.
    """
    check(recipe)
    folder = out.absolute()
    _prepare(folder)
    run_dir = RunDir(path=folder, resumed=(folder / RECIPE_FILE).exists())
    with run_dir.stage("source"):
        if recipe.shows_images and recipe.coco.captions is None:
            write_drawn_coco(folder / DRAWN_FOLDER, recipe.drawn)
        copies = recorded_copies(folder) if run_dir.resumed else None
        source = open_source(recipe, folder / DRAWN_FOLDER, copies)
        recipe_hash = _settle_recipe(recipe, source, folder)
    pending = [shard for shard in range(recipe.num_shards) if not _is_done(folder, shard, recipe_hash)]
    if pending:
        num_pending = sum(len(recipe.shard_indices(shard)) for shard in pending)
        with run_dir.stage("shards"), ray_session():
            ceiling = ceiling_per_s(recipe, source, PROBE_S, cores()) if num_pending >= MIN_PROBED_SAMPLES else None
            workers = min(num_workers or os.cpu_count() or 1, len(pending))
            finished = _make_shards(_located(recipe), recipe_hash, folder, pending, workers)
            report_progress(finished, len(pending), ceiling)
    summary = complete(run_dir, recipe, source, {"num_shards_made_now": len(pending)})
    print_summary(summary, folder)
    return summary


def complete(
    run_dir: RunDir, recipe: Recipe, source: Source, done: Mapping[str, Any], again: Set[int] = frozenset()
) -> dict[str, Any]:
    """Make duplicates and the samples in ``again`` once more; then write index, card and summary.json."""
    folder = run_dir.path
    with run_dir.stage("index"):
        num_changed = settle(recipe, source, folder, again)
        write_index(recipe, folder)
        write_sheet(folder)
        write_card(folder)
    counts: Counter[str] = Counter()
    num_bytes = 0
    for marker in read_markers(folder, recipe.num_shards):
        counts.update(counts_of(marker.samples))
        num_bytes += marker.nbytes
    return run_dir.finish(
        {
            "recipe_hash": marker.recipe_hash,
            "num_samples": counts["ok"],
            "num_shards": recipe.num_shards,
            **done,
            "num_samples_made_again": num_changed,
            "num_bytes": num_bytes,
            "counts": dict(sorted(counts.items())),
            "labels_checked": labels_checked(read_markers(folder, recipe.num_shards)),
            "dropped_from_source": dict(source.dropped),
            "num_copied_images": len(source.copies.first),
        }
    )


def _prepare(folder: Path) -> None:
    probe = folder / f".writable.{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; give --out a folder you may write to") from error


def _settle_recipe(recipe: Recipe, source: Source, folder: Path) -> str:
    """Write recipe.json, or check that the folder was begun with the same recipe; return its hash."""
    wanted = recipe_json(recipe, source)
    path = folder / RECIPE_FILE
    if path.exists():
        changed = difference(json.loads(path.read_text())["identity"], wanted["identity"])
        if changed:
            raise UserError(
                f"{folder} holds a dataset of another recipe; give another --out, or the same settings. "
                f"Different: {'; '.join(changed)}"
            )
    else:
        write_json(path, wanted)
    return str(wanted["recipe_hash"])


def _is_done(folder: Path, shard: int, recipe_hash: str) -> bool:
    stats = read_marker(folder, shard)
    if stats is None:
        return False
    tar = folder / stats.shard
    if stats.recipe_hash == recipe_hash and tar.is_file() and tar.stat().st_size == stats.nbytes:
        return True
    marker_path(folder, shard).unlink()
    return False


def _located(recipe: Recipe) -> Recipe:
    """With absolute paths: a worker's current folder is its own."""
    coco = recipe.coco
    given = {"captions": coco.captions, "images": coco.images, "instances": coco.instances}
    paths = {name: path.absolute() for name, path in given.items() if path is not None}
    return recipe.model_copy(update={"coco": coco.model_copy(update=paths)})


def _make_shards(
    recipe: Recipe, recipe_hash: str, folder: Path, pending: list[int], num_workers: int
) -> Iterator[FinishedShard]:
    """Every shard as it is finished."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext  # heavy: not for --help

    context = DataContext.get_current()
    context.execution_no_progress_timeout_s = NO_PROGRESS_TIMEOUT_S
    context.print_on_execution_start = False
    total_cpus = float(ray.cluster_resources().get("CPU", 0.0))
    num_cpus = MAX_WORKER_CPUS
    if "RAY_ADDRESS" not in os.environ:  # a cluster that was joined may grow; one of this machine cannot
        num_cpus = min(MAX_WORKER_CPUS, (total_cpus - FREE_CPUS) / num_workers)
    # A block for each shard. If Ray Data made the numbers itself, the first would come after seconds, out of a task.
    shards = ray.data.from_items([{"shard": shard} for shard in pending], override_num_blocks=len(pending))
    made = shards.map_batches(
        ShardMaker,
        fn_constructor_args=(recipe, recipe_hash, folder),
        batch_size=1,
        num_cpus=num_cpus,
        compute=ActorPoolStrategy(min_size=1, max_size=num_workers, initial_size=num_workers),
    )
    for row in made.iter_rows():
        if row["user_error"]:
            raise UserError(row["user_error"])
        yield FinishedShard(counts=json.loads(row["counts_json"]), began_at=row["began_at"])


def print_summary(summary: Mapping[str, Any], folder: Path) -> None:
    """Print what was made, what was left out or replaced and why, and how many labels the pixels confirm."""
    megabytes = summary["num_bytes"] / 1e6
    print(f"{summary['num_samples']} samples in {summary['num_shards']} shards, {megabytes:.1f} MB: {folder}")
    lost = {k: n for k, n in summary["counts"].items() if k != "ok"} | summary["dropped_from_source"]
    if lost:
        print("left out or replaced: " + ", ".join(f"{reason} {n}" for reason, n in sorted(lost.items())))
    if summary["num_copied_images"]:
        print(f"{summary['num_copied_images']} images show a picture that others show too; all of one are in one split")
    verdicts: Counter[str] = Counter()
    for by_verdict in summary["labels_checked"].values():
        verdicts.update(by_verdict)
    if verdicts:
        num_decided = verdicts[Verdict.AGREES] + verdicts[Verdict.DIFFERS]
        print(
            f"labels checked from pixels: {num_decided}, wrong and replaced: {verdicts[Verdict.DIFFERS]}, "
            f"not decidable: {verdicts[Verdict.UNSURE]}"
        )
