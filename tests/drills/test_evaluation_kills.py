"""An evaluation killed at ten moments and resumed ends with the files of one that nobody disturbed, byte by byte.

Three kills strike while the command starts, six while it asks, and one once all rows are written.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from temporay.models.tiny import build
from temporay.operators.scoring.arms import FRAME_ARMS, OPTION_ARMS

from tests.drills.commands import Command
from tests.drills.faults import started_again, wait_for_survivors
from tests.odd_videos import write_video
from tests.operators.benchmarks import layouts
from tests.small_runs import SHAPE

SEED = 11
PER_TASK = 12  # questions of each of ten tasks; each kill may cost two chunks of eight questions
NUM_STARTING, NUM_ASKING = 3, 6
RUN_LIMIT_S = 900.0
POLL_S = 0.005
ARMS = (*FRAME_ARMS, *OPTION_ARMS)
# What says when, how long or where, and nothing of the answers. No other file or field may differ.
CLOCKS = {"seconds.json", "metrics.jsonl", ".owner"}
CLOCK_FIELDS = {"date", "start_time", "end_time", "total_evaluation_time_seconds", "seconds", "out"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw a benchmark with a video for each question, and a tiny model."""
    folder = tmp_path_factory.mktemp("evaluation_kills")
    layouts.tvbench(folder / "data", per_task=PER_TASK)
    for file in (folder / "data" / "json").iterdir():
        for n in range(PER_TASK):
            video = folder / "data" / "video" / file.stem / f"v{n}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            write_video(video, num_frames=20, fps=2, size=(64, 48))
    build(folder / "model", ["Question: where? Options: (A) To the left. (B) To the right. 1 2"] * 9, SHAPE, 0)
    return folder


@pytest.fixture
def command_of(inputs: Path) -> Iterator[Callable[[str], Command]]:
    """Make commands by the name of their folder, and leave none running."""
    commands: list[Command] = []

    def make(name: str) -> Command:
        given = {"model": inputs / "model", "data": inputs / "data", "out": inputs / name, "benchmark": "tvbench"}
        given |= {"max-tokens": 8, "pool.engine": "local", "video-reading.rule": "count", "video-reading.count": 4}
        flags = [str(part) for flag, value in given.items() for part in (f"--{flag}", value)]
        commands.append(Command(["evaluate", *flags, "--arms", *ARMS], inputs / f"{name}.log"))
        return commands[-1]

    yield make
    for command in commands:
        command.end()


def num_kept(out: Path) -> int:
    """Count the chunks of answers that are on disk."""
    return len(list((out / ".samples.jsonl.chunks").glob("*.jsonl")))


def wait_until(ready: Callable[[], bool], command: Command) -> bool:
    """Wait for something to be there, and return whether it was before the command ended."""
    limit = time.monotonic() + RUN_LIMIT_S
    while not ready():
        if command.process.poll() is not None and not started_again(command):
            return False
        assert time.monotonic() < limit, command.log.read_text(errors="replace")[-3000:]
        time.sleep(POLL_S)
    return True


def end_of(command: Command) -> None:
    wait_until(lambda: False, command)
    assert command.process.returncode == 0, command.log.read_text(errors="replace")[-3000:]


def undisturbed(command: Command, out: Path) -> tuple[float, int]:
    """Run a command to its end; return the seconds to its first chunk of answers, and how many chunks it kept."""
    most, begun, start = 0, 0.0, time.monotonic()

    def watch() -> bool:
        nonlocal most, begun
        most = max(most, num_kept(out))
        begun = begun or (time.monotonic() - start if most else 0.0)
        return False

    command.start()
    wait_until(watch, command)
    assert command.process.returncode == 0, command.log.read_text(errors="replace")[-3000:]
    return begun, most


def moments(starting_s: float, num_chunks: int, out: Path) -> Iterator[tuple[str, Callable[[], bool], float]]:
    """Yield the name of each moment, what has to be there before it, and how many seconds come after that."""
    random = Random(SEED)
    for n in range(NUM_STARTING):
        yield f"start {n}", lambda: True, starting_s * (n + random.random()) / NUM_STARTING
    for n in range(NUM_ASKING):
        # One more than before at least: else the blow would strike while the command starts again.
        chunks = max(1 + n * (num_chunks - 2) // NUM_ASKING, num_kept(out) + 1)
        yield f"{chunks} chunks", lambda least=chunks: num_kept(out) >= least, random.random() * 0.3  # type: ignore[misc]
    yield "rows written", (out / "samples.jsonl").exists, 0.0


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_an_evaluation_killed_ten_times_ends_as_an_undisturbed_one(
    inputs: Path, command_of: Callable[[str], Command], capsys: pytest.CaptureFixture[str]
) -> None:
    calm, out = inputs / "calm", inputs / "killed"
    starting_s, num_chunks = undisturbed(command_of(calm.name), calm)
    assert num_chunks > NUM_ASKING
    command, told = command_of(out.name), []
    command.start()
    for name, ready, then_s in moments(starting_s, num_chunks, out):
        assert wait_until(ready, command), f"it ended before {name}"
        time.sleep(then_s)
        kept, is_whole = num_kept(out), (out / "samples.jsonl").exists()
        assert command.kill_driver(), f"it ended before {name}"
        assert not (out / "summary.json").exists()
        told.append(f"{name:>14}  {'all' if is_whole else kept:>6}")
        assert wait_for_survivors(command) == []
        command.start()
    end_of(command)
    with capsys.disabled():
        print(f"\n\nundisturbed: {num_chunks} chunks, the first after {starting_s:.0f} s\n        killed    kept")
        print("\n".join(told))
    assert len(command.killed_at) == 10
    assert contents(out) == contents(calm)


def contents(out: Path) -> dict[str, Any]:
    """Return every file of a run by its name, without clocks: of samples the bytes."""
    found: dict[str, Any] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path.name not in CLOCKS):
        name = re.sub(r"\d{8}_\d{6}", "STAMP", str(path.relative_to(out)))
        assert name not in found, f"{name} is there twice"
        found[name] = without_clocks(json.loads(path.read_text())) if path.suffix == ".json" else path.read_bytes()
    assert {"config.json", "samples.jsonl", "summary.json"} < found.keys()
    return found


def without_clocks(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_clocks(inner) for name, inner in value.items() if name not in CLOCK_FIELDS}
    return [without_clocks(inner) for inner in value] if isinstance(value, list) else value
