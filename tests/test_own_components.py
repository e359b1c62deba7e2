"""Components in a folder of the user's own: every contract test and every command takes them, and no file is edited."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import ray
from temporay.operators.components import OWN_FOLDERS

from tests.small_data import write_dataset
from tests.small_runs import write_model

ROOT = Path(__file__).parent.parent
TASKS = ("first_stop", "event_order")
ADVANTAGE = '''
"""Divided by the range of the group's rewards."""

from temporay.operators.advantages._base import Advantage


class ReachAdvantage(Advantage):
    """Distances to the mean as shares of the range."""

    def scale(self, known, task_std):
        return max(known) - min(known)
'''
FAMILY = '''
"""A family whose checkpoints keep a Qwen3-VL in a folder of their own."""

from temporay.models.families.qwen3_vl import Qwen3Vl


class Lantern(Qwen3Vl):
    """Found by its ``model_type`` alone."""

    model_types = ("lantern",)

    def build_model(self, path, dtype):
        return super().build_model(path / "inner" if (path / "inner").is_dir() else path, dtype)

    def load_config(self, path):
        return super().load_config(path / "inner" if (path / "inner").is_dir() else path)

    def load_processor(self, path):
        return super().load_processor(path / "inner" if (path / "inner").is_dir() else path)
'''
FIXTURE = """
import pytest
import ray
from tests.test_own_components import write_lantern


@pytest.fixture(scope="session")
def tiny_lantern(tiny_model, tmp_path_factory):
    return write_lantern(tiny_model, tmp_path_factory.mktemp("lantern"))
"""


def shown_in_readme() -> dict[str, str]:
    """Return the files that operators/README.md shows, by path."""
    blocks = re.findall(r"^```python\n# (\S+\.py)\n(.*?)^```$", (ROOT / "operators/README.md").read_text(), re.S | re.M)
    return dict(blocks)


def write_lantern(model: Path, folder: Path) -> Path:
    """Write a checkpoint of the family ``lantern`` around a model."""
    (folder / "inner").symlink_to(model)
    (folder / "config.json").write_text(json.dumps({"model_type": "lantern"}))
    (folder / "model.safetensors").symlink_to(model / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a primitive, a reward, an advantage and a model family."""
    folder = tmp_path_factory.mktemp("own")
    files = {**shown_in_readme(), "advantages/reach.py": ADVANTAGE, "families/lantern.py": FAMILY}
    for path, text in {**files, "plugin/lantern_fixture.py": FIXTURE}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text.lstrip())
    return folder


@pytest.fixture
def address(ray_cluster: None) -> str:
    """Where a command finds the cluster of these tests, so that not every command starts one."""
    found: str = ray.get_runtime_context().gcs_address
    return found


def run(own: Path, *arguments: str | Path, address: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python with the folder known; on a cluster, or where it starts one of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment.pop("RAY_ADDRESS", None)
    environment |= {OWN_FOLDERS: str(own), **({"RAY_ADDRESS": address} if address else {})}
    path = [str(own / "plugin"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(path)
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def temporay(own: Path, *arguments: str | Path, address: str = "") -> str:
    """Run a command and return what it printed."""
    done = run(own, "-m", "temporay.workflows", *arguments, address=address)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def data(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of the own primitive and of one of ours, from a command that starts a cluster of its own."""
    folder = tmp_path_factory.mktemp("generated") / "data"
    small = ["--canvas.width", "48", "--canvas.height", "48", "--canvas.num-frames", "6", "10", "--level", "0"]
    made = ["--tasks", *TASKS, "--num-samples", "12", "--num-workers", "1", "--split", "rl"]
    assert "12 samples" in temporay(own, "generate", "synrl", *made, *small, "--out", folder)
    return folder


def test_every_contract_test_takes_them(own: Path) -> None:
    tests = ["tests/test_components.py", "tests/operators", "tests/models/families", "tests/models/losses"]
    names = ("first_stop", "brief", "reach", "lantern")
    chosen = f"({' or '.join(names)}) and not vllm"  # vLLM has architectures of its own
    done = run(own, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "lantern_fixture", *tests, "-k", chosen)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    passed = {name: len(re.findall(rf"::\w+\[[^\]]*{name}[^\]]*\] PASSED", done.stdout)) for name in names}
    assert passed["first_stop"] > 15 and passed["brief"] > 20 and passed["reach"] > 3 and passed["lantern"] > 1, passed


def test_commands_about_data_take_a_primitive(own: Path, data: Path, address: str, tmp_path: Path) -> None:
    temporay(own, "lint", data, address=address)
    assert "first_stop" in temporay(own, "audit", data, address=address)
    temporay(own, "preview", data, "--out", tmp_path / "preview.html")
    assert "first_stop" in (tmp_path / "preview.html").read_text()
    temporay(own, "export", data, "--format", "verl", "--out", tmp_path / "verl")
    planned = ["--tasks", *TASKS, "--num-samples", "12", "--out", tmp_path / "planned"]
    assert re.search(r"shapes +12", temporay(own, "plan", "synrl", *planned))


def test_grpo_takes_all_of_them(own: Path, data: Path, address: str, tmp_path: Path) -> None:
    """A model of the own family answers the own primitive; the own reward and the own advantage train it."""
    model = tmp_path / "lantern"
    (tmp_path / "inner").mkdir()
    model.mkdir()
    write_lantern(write_model(write_dataset(tmp_path / "words"), tmp_path / "inner"), model)
    rewards = ["--rewards.weights", "brief=0.5", "tests.workflows.varied_rewards:Varied=1"]
    steps = ["--num-steps", "1", "--prompts-per-step", "2", "--group-size", "4", "--max-tokens", "8"]
    chosen = ["--scale-rewards", "reach", "--pool.engine", "local", "--guards.canary-every", "0", "--trackers"]
    settings = [*steps, *rewards, *chosen]
    made = ["--data", data, "--model", model, "--out", tmp_path / "run"]
    temporay(own, "grpo", "tiny", *made, *settings, address=address)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    [step] = [line for line in lines if line["stage"] == "grpo"]
    assert "status_crashed" not in step, "the own reward takes whatever random weights write"
    assert step["useful_groups"] > 0
    assert (tmp_path / "run" / "model" / "config.json").is_file()
