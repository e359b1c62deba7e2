"""``COMMAND PRESET --key value``: a preset is a function that returns settings; every field is a flag."""

import contextlib
import inspect
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import tyro
from pydantic import ValidationError
from temporay.operators.errors import UserError, error_behind, unknown_name
from temporay.operators.settings import Settings
from temporay.workflows.config import SettingsT, dotted_names, explain

Presets = Mapping[str, Callable[[], Settings]]


def presets_in(module: ModuleType) -> Presets:
    """Return the presets of a module: its own public functions, by their names with hyphens."""
    return {
        name.replace("_", "-"): function
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
    }


def parse(command: str, kind: type[SettingsT], presets: Presets | None, arguments: Sequence[str]) -> SettingsT:
    """Read the config of one command line.

    Args:
        presets: settings to start from, by name; None: the command takes no preset.

    Raises:
        UserError: the preset, a flag (with the nearest one) or a value is not valid.
    """
    if presets is None:
        return _parsed(f"temporay {command}", kind, None, arguments)
    preset, *rest = arguments if arguments and not arguments[0].startswith("-") else ("", *arguments)
    if preset in presets:
        return _parsed(f"temporay {command} {preset}", kind, presets[preset](), rest)
    if preset:
        raise unknown_name("preset", preset, presets)
    if not {"-h", "--help"} & set(rest):
        raise UserError(f"{command} needs a preset first (valid: {', '.join(presets)})")
    print(f"usage: temporay {command} PRESET [--key value …]\npresets: {', '.join(presets)}")
    print(f"temporay {command} PRESET --help lists every setting with the preset's values.")
    sys.exit(0)


def _parsed(program: str, kind: type[SettingsT], settings: Settings | None, arguments: Sequence[str]) -> SettingsT:
    """Parse flags over the values of a preset."""
    refused = io.StringIO()
    try:
        with contextlib.redirect_stderr(refused):
            parsed: tuple[SettingsT, list[str]] = tyro.cli(
                kind,
                prog=program,
                default=tyro.MISSING_NONPROP if settings is None else _default(kind, settings),
                args=arguments,
                config=(tyro.conf.FlagConversionOff,),
                return_unknown_args=True,
            )
    except SystemExit as ended:
        invalid = error_behind(ended, ValidationError)  # tyro prints a box where one sentence is enough
        if invalid is not None:
            raise UserError(explain(invalid)) from ended
        sys.stderr.write(refused.getvalue())
        raise
    config, unknown = parsed
    if unknown:
        given = unknown[0].partition("=")[0].replace("_", "-")
        raise unknown_name("setting", given, [f"--{name.replace('_', '-')}" for name in dotted_names(config)])
    return config


def _default(kind: type[SettingsT], settings: Settings) -> SettingsT:
    """Return a preset's settings as a ``kind``; fields that the preset does not have must be given as flags."""
    given = dict(settings)
    required = [name for name, field in kind.model_fields.items() if field.is_required()]
    missing = dict.fromkeys((name for name in required if name not in given), tyro.MISSING)
    return kind.model_construct(**given, **missing)
