"""A component is one file, and its CamelCase name is its class: the directory is the registry.

``available`` lists names without importing them. ``load`` imports exactly one file. What is wrong with a file of the
user's own becomes one sentence; one of ours raises as it is. Components of your own need no copy of this repository: a
folder named by ``TEMPORAY_COMPONENTS`` has sub-folders called ``primitives``, ``rewards`` and so on, whose files are
found as if they stood here. For a single class, ``package.module:Class`` reaches any importable code.
"""

import functools
import importlib
import importlib.util
import inspect
import os
import pkgutil
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from temporay.operators.errors import UserError, unknown_name

OWN_FOLDERS = "TEMPORAY_COMPONENTS"  # environment variable: folders, separated as in PATH
# Their sub-folders.
KINDS = ("advantages", "benchmarks", "engines", "exports", "families", "losses", "primitives", "rewards")
OURS = Path(__file__).resolve().parent.parent


def with_own_folders(package: str, search_path: Iterable[str]) -> list[str]:
    """Return where a package looks for its modules: its own folder, then the user's folders of the same name.

    Every package of components assigns this to its ``__path__``, so that processes which only unpickle a component
    find it too.

    Raises:
        UserError: a folder that the environment names does not exist, or has none of the sub-folders.
    """
    folders = [Path(name).expanduser() for name in os.environ.get(OWN_FOLDERS, "").split(os.pathsep) if name]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{OWN_FOLDERS} names {folder}, which is not a folder; correct it, or unset it")
        if not any((folder / kind).is_dir() for kind in KINDS):
            raise UserError(
                f"{OWN_FOLDERS} names {folder}, which has none of the sub-folders that hold components: "
                f"{', '.join(KINDS)}; put each file into one of them, or correct the variable"
            )
    own = [folder.absolute() / package.rpartition(".")[2] for folder in folders]
    return list(dict.fromkeys([*search_path, *(str(folder) for folder in own if folder.is_dir())]))


def available(package: str) -> tuple[str, ...]:
    """Return the names of the components in a package, sorted.

    Files whose name starts with an underscore are not components.
    """
    return tuple(sorted(_modules(package)))


def load(package: str, name: str, suffix: str = "") -> Any:
    """Return the class of one component.

    Args:
        suffix: stands behind the CamelCase name of every class of this package.

    Raises:
        UserError: there is no such component (with the nearest name), or a file of the user's cannot be imported or
            lacks what its kind must have.
    """
    if ":" in name:
        module_name, _, class_name = name.partition(":")
        module = _imported(module_name, name)
        if not hasattr(module, class_name):
            raise UserError(f"cannot load {name!r}: {module_name} has no {class_name}; correct the name")
    else:
        modules = _modules(package)
        if name not in modules:
            raise _unknown(package, name)
        module = _imported(modules[name], name)
        class_name = "".join(word.capitalize() for word in name.split("_")) + suffix
        if not hasattr(module, class_name):
            raise UserError(f"{module.__file__} has no class {class_name}; name the class like its file")
    loaded = getattr(module, class_name)
    lacking = sorted(getattr(loaded, "__abstractmethods__", ()))
    if lacking:
        line = inspect.getsourcelines(loaded)[1]
        raise UserError(f"{module.__file__}, line {line}: {class_name} lacks {', '.join(lacking)}; write them")
    return loaded


def _unknown(package: str, name: str) -> UserError:
    kinds = package.rpartition(".")[2]
    kind = kinds.removesuffix("es") if kinds.endswith("sses") else kinds.removesuffix("s")
    error = unknown_name(kind, name, available(package))
    if os.environ.get(OWN_FOLDERS):
        return error
    return UserError(f"{error}; one of your own is found once {OWN_FOLDERS} names the folder with {kinds}/{name}.py")


def _imported(module_name: str, name: str) -> ModuleType:
    """Import a module; a fault in a file that is not ours becomes a sentence with file and line."""
    try:
        return importlib.import_module(module_name)
    except SyntaxError as error:
        raise UserError(f"{error.filename}, line {error.lineno}: {error.msg}; correct the file") from error
    except Exception as error:  # of somebody else's file, which may raise anything
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{module_name}.".startswith(f"{missing}."):
            raise UserError(
                f"cannot load {name!r}: {error}; give an importable 'module:Class', with its folder in PYTHONPATH"
            ) from error
        file = getattr(importlib.util.find_spec(module_name), "origin", None)
        lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
        if file is None or not lines or Path(file).resolve().is_relative_to(OURS):
            raise
        raise UserError(
            f"{file}, line {lines[-1]}: {type(error).__name__}: {error}; correct the file, or install what it imports"
        ) from error


def _modules(package: str) -> Mapping[str, str]:
    """Map the name of each component to its module. Components may stand in folders one level down."""
    folders = [Path(folder) for folder in importlib.import_module(package).__path__]
    return _found(package, tuple((folder, folder.stat().st_mtime_ns) for folder in folders if folder.is_dir()))


@functools.cache  # every sample and every score asks for its primitive, and folders take a millisecond to list
def _found(package: str, folders: tuple[tuple[Path, int], ...]) -> Mapping[str, str]:
    """Look into folders, which are given with the time of their last change."""
    found: dict[str, str] = {}
    for folder, _ in folders:
        for _, module, is_package in pkgutil.iter_modules([str(folder)], f"{package}."):
            name = module.rpartition(".")[2]
            inner = {} if name.startswith("_") else _modules(module) if is_package else {name: module}
            taken = sorted(inner.keys() & found.keys())
            if taken:
                raise UserError(f"{folder} has a component {taken[0]!r}, but that name is taken; rename the file")
            found.update(inner)
    return found
