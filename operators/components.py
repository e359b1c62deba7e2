"""A component is one file whose CamelCase name is its class: the directory is the registry.

``available`` lists names without importing; ``load`` imports exactly one file, so a real ImportError inside it is not
masked. ``package.module:Class`` reaches code outside this repository.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from temporay.operators.errors import UserError, unknown_name


def available(package: str) -> tuple[str, ...]:
    """Names of the components in a package, sorted; files that start with an underscore are not components."""
    return tuple(sorted(_modules(package)))


def load(package: str, name: str) -> Any:
    """The class of one component.

    Raises:
        UserError: there is no such component; the message has the nearest name.
    """
    if ":" in name:
        module_name, _, class_name = name.partition(":")
        try:
            return getattr(importlib.import_module(module_name), class_name)
        except (ModuleNotFoundError, AttributeError) as error:
            raise UserError(f"cannot load {name!r}: {error}; give an importable 'module:Class'") from error
    modules = _modules(package)
    if name not in modules:
        raise unknown_name(package.rpartition(".")[2].rstrip("s"), name, available(package))
    class_name = "".join(word.capitalize() for word in name.split("_"))
    return getattr(importlib.import_module(modules[name]), class_name)


def _modules(package: str) -> dict[str, str]:
    """Maps the name of each component to its module; components may stand in folders one level down."""
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        name = module.name.rpartition(".")[2]
        if name.startswith("_"):
            continue
        if module.ispkg:
            found.update(_modules(module.name))
        else:
            found[name] = module.name
    return found
