"""Worker processes of a tensor parallel engine end with the process that started them, also while they load."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1200)]
LIMIT_S = 300.0  # on a machine that is busy with others; seconds on a free one
START = """
import sys
from pathlib import Path
from tests.models.small_engines import start_engine

if __name__ == "__main__":
    engine = start_engine("vllm", Path(sys.argv[1]), tensor_parallel=2)
    print("ready", flush=True)
    sys.stdin.read()
"""

LOSE = """
import sys
from pathlib import Path
from temporay.models.engines._base import EngineLostError
from temporay.models.families._base import family_of
from temporay.operators.records import Sampling
from tests.models.small_engines import small_prompts, start_engine

if __name__ == "__main__":
    model = Path(sys.argv[1])
    engine = start_engine("vllm", model, tensor_parallel=2)
    engine._workers[1].kill()
    prompts = small_prompts(family_of(model).load_processor(model), [((4, 48, 48), 4.0)])
    try:
        engine.generate(prompts, Sampling(num_rollouts=1, temperature=1.0, max_tokens=4, seed=0))
    except EngineLostError as error:
        print("told:", error)
"""


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Return the children that multiprocessing started; they are two workers, once both are there."""
    return [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]


def runs(process: psutil.Process) -> bool:
    """Return whether a process is there and not a zombie, which whoever adopted it may not have buried yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("moment", ["loading", "ready"])
def test_workers_end_with_a_killed_engine(tiny_model: Path, tmp_path: Path, moment: str) -> None:
    pytest.importorskip("vllm", reason="vLLM cannot be imported", exc_type=ImportError)
    script = tmp_path / "start.py"
    script.write_text(START)
    command = [sys.executable, str(script), str(tiny_model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as engine:
        process = psutil.Process(engine.pid)
        if moment == "ready":
            assert engine.stdout is not None
            assert any(line.startswith("ready") for line in iter(engine.stdout.readline, ""))
            workers = process.children(recursive=True)
        else:
            while len(workers := workers_of(process)) < 2:
                time.sleep(0.1)
        assert len(workers) >= 2
        engine.kill()
    end_s = time.monotonic() + LIMIT_S
    while (left := [worker for worker in workers if runs(worker)]) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert not left


def test_an_engine_says_that_it_lost_a_worker(tiny_model: Path, tmp_path: Path) -> None:
    pytest.importorskip("vllm", reason="vLLM cannot be imported", exc_type=ImportError)
    script = tmp_path / "lose.py"
    script.write_text(LOSE)
    ended = subprocess.run([sys.executable, str(script), str(tiny_model)], capture_output=True, text=True)
    assert "told: worker processes of an engine have ended: VllmWorker-1" in ended.stdout
