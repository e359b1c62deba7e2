"""``COMMAND PRESET --key value``: a preset is a Python function that returns a whole config; every field is a flag."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import tyro
from pydantic import ValidationError
from temporay.operators.errors import UserError, unknown_name
from temporay.operators.settings import Settings
from temporay.workflows.config import dotted_names, explain

ConfigT = TypeVar("ConfigT", bound=Settings)


def parse(
    command: str, kind: type[ConfigT], presets: Mapping[str, Callable[[], ConfigT]], arguments: Sequence[str]
) -> ConfigT:
    """The config of one command line.

    Args:
        presets: whole configurations by name; one that is called "" is used when the first argument is a flag.

    Raises:
        UserError: the preset, a flag (with the nearest one) or a value is not valid.
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
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            config, unknown = tyro.cli(
                kind,
                prog=f"temporay {command} {named}".strip(),
                default=presets[named](),
                args=rest,
                config=(tyro.conf.FlagConversionOff,),
                return_unknown_args=True,
            )
    except SystemExit as exit_:
        refused = validation_error_behind(exit_)
        if refused is not None:
            raise UserError(explain(refused)) from exit_
        sys.stderr.write(said.getvalue())
        raise
    if unknown:
        given = unknown[0].partition("=")[0].replace("_", "-")
        raise unknown_name("setting", given, [f"--{name.replace('_', '-')}" for name in dotted_names(config)])
    return config


def validation_error_behind(error: BaseException | None) -> ValidationError | None:
    """What made tyro exit, if it was a value that pydantic refused: tyro prints a box where one sentence is enough."""
    while error is not None and not isinstance(error, ValidationError):
        error = error.__cause__ or error.__context__
    return error
