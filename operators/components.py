"""A component is one file, and its CamelCase name is its class: the directory is the registry.

``available`` lists names without importing them. ``load`` imports exactly one file, so a real ImportError inside it is
not masked. Components of your own need no copy of this repository: a folder named by ``TEMPORAY_COMPONENTS`` has
sub-folders called ``primitives``, ``rewards`` and so on, whose files are found as if they stood here. For a single
class, ``package.module:Class`` reaches any importable code.
"""

import importlib
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from temporay.operators.errors import UserError, unknown_name

OWN_FOLDERS = "TEMPORAY_COMPONENTS"  # environment variable: folders, separated as in PATH


def with_own_folders(package: str, search_path: Iterable[str]) -> list[str]:
    """Return where a package looks for its modules: its own folder, then the user's folders of the same name.

    Every package of components assigns this to its ``__path__``, so that processes which only unpickle a component
    find it too.

    Raises:
        UserError: a folder that the environment names does not exist.
    """
    folders = [Path(name).expanduser() for name in os.environ.get(OWN_FOLDERS, "").split(os.pathsep) if name]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{OWN_FOLDERS} names {folder}, which is not a folder; correct it, or unset it")
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
        UserError: there is no such component, with the nearest name, or its file is not Python.
    """
    if ":" in name:
        module_name, _, class_name = name.partition(":")
        try:
            return getattr(importlib.import_module(module_name), class_name)
        except (ModuleNotFoundError, AttributeError) as error:
            raise UserError(f"cannot load {name!r}: {error}; give an importable 'module:Class'") from error
    modules = _modules(package)
    if name not in modules:
        kinds = package.rpartition(".")[2]
        kind = kinds.removesuffix("es") if kinds.endswith("sses") else kinds.removesuffix("s")
        raise unknown_name(kind, name, available(package))
    try:
        module = importlib.import_module(modules[name])
    except SyntaxError as error:
        raise UserError(f"{error.filename}, line {error.lineno}: {error.msg}; correct the file") from error
    class_name = "".join(word.capitalize() for word in name.split("_")) + suffix
    if not hasattr(module, class_name):
        raise UserError(f"{module.__file__} has no class {class_name}; name the class like its file")
    return getattr(module, class_name)


def _modules(package: str) -> dict[str, str]:
    """Map the name of each component to its module. Components may stand in folders one level down."""
    found: dict[str, str] = {}
    for folder in importlib.import_module(package).__path__:
        for _, module, is_package in pkgutil.iter_modules([folder], f"{package}."):
            name = module.rpartition(".")[2]
            inner = {} if name.startswith("_") else _modules(module) if is_package else {name: module}
            taken = sorted(inner.keys() & found.keys())
            if taken:
                raise UserError(f"{folder} has a component {taken[0]!r}, but that name is taken; rename the file")
            found.update(inner)
    return found
