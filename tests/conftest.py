"""What tests of several layers share: drawn fixtures and one local Ray cluster for the session."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections import Counter
from collections.abc import Iterator

os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # Ray reads these when it is imported
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from temporay.operators.canvas import Canvas
from temporay.operators.dataset.drawn_coco import DrawnScenes, write_drawn_coco
from temporay.operators.dataset.recipe import CocoPaths, Recipe
from temporay.operators.sampling import EVERY_FRAME
from temporay.workflows.session import ON_ONE_MACHINE

os.environ.update(ON_ONE_MACHINE)
RAY_OBJECT_STORE_BYTES = 150 << 20
CLEANUP_S = 120.0  # what a test's fixtures may take beyond the time of the test
STDERR = pytest.StashKey[int]()
RAY_LOGICAL_CPUS = 4  # more than the machine may have: what a test runs is small, and actors must not hold all of them


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, because they share fixtures, and begin with the files that take longest.

    Those start Ray. A long file that comes last would leave the other process idle; tests of operators are short.
    All files that read what two ranks did stay together too, because otherwise ranks would do it in both processes.
    """
    with_ray = Counter(item.path for item in items if "ray_cluster" in getattr(item, "fixturenames", ()))
    with_ranks = {item.path for item in items if "two_ranks" in getattr(item, "fixturenames", ())}
    items.sort(key=lambda item: (-with_ray[item.path], item.path not in with_ranks, "operators" in item.path.parts))
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = "two_ranks" if item.path in with_ranks else item.nodeid.partition("::")[0]
            item.add_marker(pytest.mark.xdist_group(group))


def pytest_configure(config: pytest.Config) -> None:
    """Keep standard error itself: while a test runs, pytest has a file of its own in its place."""
    config.stash[STDERR] = os.dup(2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End the process of a test that hangs with its fixtures, and print the stacks of all threads."""
    end_if_it_hangs(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Watch the end of a failed test's fixtures too: pytest has just called off what watched the test."""
    if isinstance(node, pytest.Item):
        end_if_it_hangs(node)


def end_if_it_hangs(item: pytest.Item) -> None:
    """Give a test its time and some more from now on; pytest-xdist reports a crash after that, and goes on.

    pytest-timeout is no such end: it raises an error once, in Python code alone, and is off after any failure.
    """
    marker = item.get_closest_marker("timeout")
    limit_s = float(marker.args[0] if marker else item.config.getini("timeout")) + CLEANUP_S
    faulthandler.dump_traceback_later(limit_s, exit=True, file=item.config.stash[STDERR])


@pytest.fixture(autouse=True)
def plain_sigterm() -> Iterator[None]:
    """Take back what a command under test does at SIGTERM: it would end this process ten seconds after the signal."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(scope="session")
def drawn_coco(tmp_path_factory: pytest.TempPathFactory) -> CocoPaths:
    """A COCO captions file and its images, drawn."""
    captions, images = write_drawn_coco(tmp_path_factory.mktemp("drawn_coco"), DrawnScenes(side=48, variants=4))
    return CocoPaths(captions=captions, images=images)


@pytest.fixture
def recipe(drawn_coco: CocoPaths) -> Recipe:
    """Twelve small samples of a task with drawn motion and one with images, in three shards."""
    canvas = Canvas(
        width=48,
        height=48,
        fps=8.0,
        num_frames=(6, 9),
        num_scenes=(2, 3),
        frames_per_scene=(2, 4),
        jitter="smooth",
        sampling=EVERY_FRAME,
    )
    return Recipe(
        tasks=("motion_direction", "first_last"),
        num_samples=12,
        seed=7,
        canvas=canvas,
        coco=drawn_coco,
        samples_per_shard=5,
    )


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """One local Ray cluster; commands under test find it and leave it running."""
    import ray

    ray.init(
        num_cpus=RAY_LOGICAL_CPUS,
        object_store_memory=RAY_OBJECT_STORE_BYTES,
        include_dashboard=False,
        logging_level="ERROR",
        log_to_driver=False,
    )
    yield
    ray.shutdown()
