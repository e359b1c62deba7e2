"""The house rules that a machine can check: who imports whom, purity, sizes, names, and calls that are never made."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("operators", "models", "workflows", "cluster")
FILES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TEST_FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))

MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 80
FORBIDDEN_IMPORTS = {
    "operators": {
        "ray",
        "torch",
        "transformers",
        "vllm",
        "trl",
        "datasets",
        "accelerate",
        "models",
        "workflows",
        "cluster",
    },
    "models": {"ray", "workflows", "cluster"},
    "workflows": {"cluster"},
    "cluster": {"operators", "models", "workflows"},
}
COMPONENT_PACKAGES = (
    "temporay.operators.primitives",
    "temporay.operators.rewards",
    "temporay.operators.advantages",
    "temporay.operators.benchmarks",
    "temporay.operators.own_data.forms",
)
# Rooms from the ground up; a file may import rooms of its own line and of lines above it in this list.
LAYERS = (
    ("operators",),  # the files that stand in no folder
    ("operators/pixels", "operators/videos"),
    ("operators/primitives",),
    ("operators/scoring", "operators/rewards", "operators/own_data", "operators/dataset", "operators/pages"),
    ("operators/advantages", "operators/audit", "operators/benchmarks", "operators/exports", "operators/reinforcement"),
    ("models/families", "models/weight_files"),
    ("models", "models/losses", "models/cost", "models/engines"),
    ("workflows", "workflows/environment", "workflows/session", "workflows/config", "workflows/command_line"),
    ("workflows/placement", "workflows/room"),
    ("workflows/runs",),
    ("workflows/data", "workflows/learner", "workflows/rollouts"),
    ("workflows/base_model", "workflows/evaluation", "workflows/evaluate", "workflows/compare", "workflows/doctor"),
    ("workflows/sft", "workflows/grpo"),
    ("workflows/planning",),
    ("workflows/reports",),
    ("workflows/pipeline", "workflows/tune", "workflows/export_model"),
    ("workflows/presets",),
    ("workflows/__main__",),
    ("cluster",),
)
# What takes long to load, or is a package of the user's choice: imported where it is needed.
HEAVY = {
    *("ray", "torch", "transformers", "peft", "datasets", "webdataset"),
    *("requests", "aiohttp", "tensorboardX", "wandb", "mlflow"),
}
LAZY = {("workflows/__main__.py", "temporay.workflows.command_line")}  # ``temporay --help`` does without tyro
VAGUE_NAME = re.compile(r"(?:^|_)(?:utils?|helpers?|managers?)(?:_|$)")
UNSAFE_CALLS = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "os.system"}
UNSAFE_FLAGS = {"shell", "trust_remote_code", "allow_pickle"}

Rule = Callable[[Path, str], Iterator[str]]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every imported name in full, also inside functions: (line, "temporay.operators.records.Sample")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{prefix}.{alias.name}") for alias in node.names)


def import_arrows(path: Path, source: str) -> Iterator[str]:
    package = path.parts[0]
    for line, name in imports(ast.parse(source)):
        if name.startswith("."):
            yield f"{path}:{line} relative import; write the full name"
        elif name.partition(".")[0] in PACKAGES:
            yield f"{path}:{line} imports {name}; write temporay.{name}"
        elif name.removeprefix("temporay.").partition(".")[0] in FORBIDDEN_IMPORTS[package]:
            yield f"{path}:{line} {package} must not import {name}"


def core_knows_no_component(path: Path, source: str) -> Iterator[str]:
    """In operators, only a component's own package may name it, and there only files that start with an underscore."""
    if path.parts[0] != "operators":
        return
    for line, name in imports(ast.parse(source)):
        for package in COMPONENT_PACKAGES:
            modules = name.removeprefix(package + ".").split(".") if name.startswith(package) else ["_"]
            if not any(module.startswith("_") for module in modules):
                yield f"{path}:{line} imports the component {name}; load it by name, or move what is shared to _base"


def layers(path: Path, source: str) -> Iterator[str]:
    """Find imports of a room that stands above the importing one."""
    own = layer_of(path.with_suffix("").as_posix())
    for line, name in imports(ast.parse(source)):
        first, _, rest = name.partition(".")
        if first == "temporay" and layer_of(rest.replace(".", "/")) > own:
            yield f"{path}:{line} imports {name}, which stands above it (see LAYERS)"


def layer_of(place: str) -> int:
    """Return the layer of a file or folder: that of the longest name in LAYERS which it begins with."""
    found = {room: i for i, rooms in enumerate(LAYERS) for room in rooms if f"{place}/".startswith(f"{room}/")}
    return found[max(found, key=len)]


def lazy_imports(path: Path, source: str) -> Iterator[str]:
    """Only what is heavy is imported inside a function."""
    functions = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for line, name in sorted({found for function in functions for found in imports(function)}):
        if name.partition(".")[0] not in HEAVY and (path.as_posix(), name.rpartition(".")[0]) not in LAZY:
            yield f"{path}:{line} imports {name} inside a function; import it at the top of the file"


def circle(sources: Mapping[str, str]) -> list[str]:
    """Return modules that import each other in a circle, imports inside functions included; or nothing."""
    graph = {
        module: {target for _, name in imports(ast.parse(source)) for target in (name, name.rpartition(".")[0])}
        & (sources.keys() - {module})
        for module, source in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def size_budget(path: Path, source: str) -> Iterator[str]:
    num_lines = len(source.splitlines())
    if num_lines > MAX_FILE_LINES:
        yield f"{path} has {num_lines} lines (at most {MAX_FILE_LINES})"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{path}:{node.lineno} {node.name} has {length} lines (at most {MAX_FUNCTION_LINES})"


def telling_names(path: Path, source: str) -> Iterator[str]:
    named = [(1, part) for part in path.with_suffix("").parts]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            named.append((node.lineno, node.name))
    for line, name in named:
        if VAGUE_NAME.search(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()):
            yield f"{path}:{line} {name} says nothing; name what it is about"


def safe_calls(path: Path, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        flags = {keyword.arg: keyword.value for keyword in node.keywords}
        if name in UNSAFE_CALLS or name.endswith(".extractall"):
            yield f"{path}:{node.lineno} calls {name}"
        if name == "torch.load" and not _is_true(flags.get("weights_only")):
            yield f"{path}:{node.lineno} calls torch.load without weights_only=True"
        yield from (f"{path}:{node.lineno} passes {flag}=True" for flag in UNSAFE_FLAGS if _is_true(flags.get(flag)))


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


RULES: tuple[Rule, ...] = (
    import_arrows,
    core_knows_no_component,
    layers,
    lazy_imports,
    size_budget,
    telling_names,
    safe_calls,
)


def type_names(source: str) -> Iterator[str]:
    """Yield the classes and type aliases at the top of a file."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (
                target.id
                for target in node.targets
                if isinstance(target, ast.Name) and re.fullmatch(r"(?:[A-Z][a-z0-9]+)+", target.id)
            )


def named_twice(files: Mapping[Path, str]) -> dict[str, list[str]]:
    """Return the type names that stand in several files, with these files."""
    found: dict[str, list[str]] = defaultdict(list)
    for path, source in files.items():
        for name in type_names(source):
            found[name].append(str(path))
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def test_no_type_name_occurs_twice() -> None:
    """One word has one meaning, and a search for a type finds one definition."""
    assert not named_twice({path: (ROOT / path).read_text() for path in FILES})
    planted = {Path("operators/a.py"): "class Row: ...", Path("models/b.py"): "Row = dict[str, int]"}
    assert set(named_twice(planted)) == {"Row"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds_everywhere(rule: Rule) -> None:
    assert len(FILES) > 20
    violations = [violation for path in FILES for violation in rule(path, (ROOT / path).read_text())]
    assert not violations, "\n".join(violations)


def test_no_modules_import_each_other_in_a_circle() -> None:
    sources = {".".join(("temporay", *path.with_suffix("").parts)): (ROOT / path).read_text() for path in FILES}
    assert not circle({module.removesuffix(".__init__"): source for module, source in sources.items()})


@pytest.mark.parametrize("inside", ["{}", "def f():\n    {}", "if TYPE_CHECKING:\n    {}"])
def test_circles_are_found(inside: str) -> None:
    chain = {"t.a": "import t.b", "t.b": "from t.c import x", "t.c": ""}
    assert not circle(chain)
    assert set(circle(chain | {"t.c": inside.format("from t import a")})) == {"t.a", "t.b", "t.c"}
    assert circle(chain | {"t.c": inside.format("from t.b import x")})


LONG_FUNCTION = "def f():\n" + "    pass\n" * MAX_FUNCTION_LINES
BAD: list[tuple[Rule, str, str]] = [
    (import_arrows, "operators/a.py", "import torch"),
    (import_arrows, "operators/a.py", "def f():\n    from ray.data import range"),
    (import_arrows, "operators/a.py", "from temporay.models import x"),
    (import_arrows, "workflows/a.py", "from operators.records import Sample"),
    (import_arrows, "models/a.py", "import ray.train"),
    (import_arrows, "models/a.py", "from temporay.workflows.config import Weights"),
    (import_arrows, "workflows/a.py", "from temporay.cluster.submit import submit"),
    (import_arrows, "cluster/a.py", "from temporay.operators.errors import UserError"),
    (import_arrows, "operators/a.py", "from . import records"),
    (
        core_knows_no_component,
        "operators/a.py",
        "from temporay.operators.primitives.scenes.scene_order import X",
    ),
    (core_knows_no_component, "operators/a.py", "from temporay.operators.primitives import scene_order"),
    (core_knows_no_component, "operators/a.py", "import temporay.operators.rewards.accuracy"),
    (core_knows_no_component, "operators/primitives/a.py", "from temporay.operators.primitives.b import B"),
    (layers, "operators/canvas.py", "from temporay.operators.pixels.clip import Codec"),
    (layers, "operators/pixels/a.py", "def f():\n    import temporay.operators.primitives._base"),
    (layers, "workflows/data/a.py", "from temporay.workflows.presets import generate"),
    (layers, "workflows/sft/a.py", "from temporay.workflows import pipeline"),
    (lazy_imports, "workflows/a.py", "def f():\n    from temporay.workflows.presets.sft import tiny"),
    (lazy_imports, "workflows/__main__.py", "def f():\n    from temporay.workflows.presets import sft"),
    (lazy_imports, "models/a.py", "class A:\n    async def f(self):\n        import json"),
    (size_budget, "operators/a.py", "x = 1\n" * (MAX_FILE_LINES + 1)),
    (size_budget, "operators/a.py", LONG_FUNCTION),
    (telling_names, "operators/video_utils.py", ""),
    (telling_names, "operators/a.py", "class CheckpointManager: ..."),
    (telling_names, "operators/a.py", "def load_helper(): ..."),
    (safe_calls, "operators/a.py", "pickle.load(f)"),
    (safe_calls, "operators/a.py", "eval(text)"),
    (safe_calls, "operators/a.py", "yaml.load(text)"),
    (safe_calls, "operators/a.py", "subprocess.run(text, shell=True)"),
    (safe_calls, "operators/a.py", "tarfile.open(path).extractall()"),
    (safe_calls, "models/a.py", "torch.load(path)"),
    (safe_calls, "models/a.py", "torch.load(path, weights_only=False)"),
    (safe_calls, "models/a.py", "AutoModel.from_pretrained(path, trust_remote_code=True)"),
]
GOOD: list[tuple[Rule, str, str]] = [
    (import_arrows, "models/a.py", "import torch\nfrom temporay.operators.records import Sample"),
    (import_arrows, "cluster/a.py", "import ray"),
    (core_knows_no_component, "operators/a.py", "from temporay.operators.primitives._base import Primitive"),
    (
        core_knows_no_component,
        "workflows/a.py",
        "from temporay.operators.primitives.scenes.scene_order import X",
    ),
    (layers, "operators/pixels/a.py", "from temporay.operators.canvas import Canvas"),
    (layers, "workflows/presets/a.py", "from temporay.workflows.pipeline import PipelineConfig\nimport layers"),
    (lazy_imports, "workflows/a.py", "import json\ndef f():\n    from ray.data import range"),
    (size_budget, "operators/a.py", LONG_FUNCTION.removesuffix("    pass\n")),
    (telling_names, "operators/a.py", "from contextlib import contextmanager\ndef futile(): ..."),
    (safe_calls, "models/a.py", "torch.load(path, weights_only=True)\nmodel.eval()\nyaml.safe_load(text)"),
]


@pytest.mark.parametrize(("rule", "path", "source"), BAD)
def test_rule_finds_what_it_forbids(rule: Rule, path: str, source: str) -> None:
    assert list(rule(Path(path), source))


@pytest.mark.parametrize(("rule", "path", "source"), GOOD)
def test_rule_allows_what_is_fine(rule: Rule, path: str, source: str) -> None:
    assert not list(rule(Path(path), source))


def test_operators_load_nothing_heavy() -> None:
    """The rule above sees our imports; this also sees what those import."""
    program = """
import importlib, json, pkgutil, sys
import temporay.operators as operators
for module in pkgutil.walk_packages(operators.__path__, "operators."):
    importlib.import_module(module.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "temporay" in done.stdout
    assert not FORBIDDEN_IMPORTS["operators"] & set(re.findall(r'"(\w+)"', done.stdout))


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        # Tasks start in many processes and are waited for, so they load neither models nor torch.
        (("rollouts.reward_tasks", "rollouts.media", "grpo.batches", "sft.clips", "data.generate"), {"torch"}),
        # Drivers, controllers and mailboxes read settings and reports, and load no model.
        (("grpo.loop", "sft.loop", "grpo.mailbox", "rollouts.actor", "doctor"), {"transformers"}),
    ],
)
def test_what_starts_often_loads_little(modules: tuple[str, ...], heavy: set[str]) -> None:
    program = f"""
import importlib, sys
for name in {modules}:
    importlib.import_module(f"temporay.workflows.{{name}}")
print("loaded:", sorted(name for name in sys.modules if "." not in name))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"'(\w+)'", done.stdout))
    assert "temporay" in loaded and not loaded & (heavy | {"transformers", "vllm"})


def test_tests_are_no_package() -> None:
    """With tests/operators/__init__.py, ``import operators`` would find the tests."""
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_nothing_stops_other_peoples_ray() -> None:
    """``ray stop`` ends every Ray of the account. Launcher files may: their nodes belong to the cluster."""
    command = re.compile(r"ray[\"',\s]+stop|pkill|killall")
    scripts = [ROOT / "Makefile", *(ROOT / ".ci").iterdir(), *(ROOT / path for path in FILES)]
    scripts += [ROOT / path for path in TEST_FILES if path.name != Path(__file__).name]
    found = [path.relative_to(ROOT) for path in scripts if path.is_file() and command.search(path.read_text())]
    assert not found
