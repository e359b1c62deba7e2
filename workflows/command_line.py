"""``COMMAND PRESET --key value``: a preset is a Python function that returns a whole config; every field is a flag."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import tyro
from pydantic import ValidationError

from operators.errors import UserError, unknown_name
from workflows.config import Config, explain

ConfigT = TypeVar("ConfigT", bound=Config)


def parse(
    command: str, kind: type[ConfigT], presets: Mapping[str, Callable[[], ConfigT]], arguments: Sequence[str]
) -> ConfigT:
    """The config of one command line.

    Args:
        presets: whole configurations by name; one that is called "" is used when the first argument is a flag.

    Raises:
        UserError: the preset or a value is not valid. tyro itself reports unknown flags with the nearest one, exit 2.
    """
    rest = list(arguments)
    named = rest.pop(0) if rest and not rest[0].startswith("-") else ""
    if named not in presets:
        if named == "" and {"-h", "--help"} & set(rest):
            print(f"usage: temporay {command} PRESET [--key value …]\npresets: {', '.join(presets)}")
            print(f"temporay {command} PRESET --help lists every setting with the preset's values.")
            sys.exit(0)
        if named == "":
            raise UserError(f"{command} needs a preset first (valid: {', '.join(presets)})")
        raise unknown_name("preset", named, [name for name in presets if name])
    try:
        return tyro.cli(
            kind,
            prog=f"temporay {command} {named}".strip(),
            default=presets[named](),
            args=rest,
            config=(tyro.conf.FlagConversionOff,),
        )
    except ValidationError as error:
        raise UserError(explain(error)) from error
