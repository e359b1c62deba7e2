"""torchvision can be imported in every process, whatever it was built for; each case needs a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

SCHEMAS = "import torch; print([hasattr(torch.ops.torchvision, name) for name in ('nms', 'qnms')])"

AGAIN = "from temporay.models.torchvision_schemas import register; register(); register()"


def run_python(program: str, *, path: Path | None = None) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def write_torchvision(folder: Path, *, library: bytes | None) -> Path:
    """Write a stand-in for torchvision; without an operator library, nothing can fail to load."""
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("")
    if library is not None:
        (package / "_C.so").write_bytes(library)
    return folder


def test_transforms_can_be_used() -> None:
    program = "import torch; from torchvision.transforms.v2 import functional as F; "
    program += "print(tuple(F.resize(torch.zeros(2, 3, 8, 8), [4, 4]).shape))"
    assert run_python(program) == "(2, 3, 4, 4)"


def test_a_library_that_cannot_load_gets_the_schemas_once(tmp_path: Path) -> None:
    path = write_torchvision(tmp_path, library=b"built for something else")
    assert run_python(f"{SCHEMAS}; {AGAIN}; {SCHEMAS}", path=path) == "[True, True]\n[True, True]"


def test_nothing_is_defined_where_nothing_is_broken(tmp_path: Path) -> None:
    path = write_torchvision(tmp_path, library=None)
    assert run_python(f"{AGAIN}; {SCHEMAS}", path=path) == "[False, False]"  # loads before torch, too
