"""``COMMAND PRESET --key value``: a preset is a function that returns settings; every field is a flag."""

import contextlib
import inspect
import io
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import tyro
from pydantic import ValidationError
from temporay.operators.errors import UserError, error_behind, first_fault, unknown, unknown_name
from temporay.operators.settings import Settings
from temporay.workflows.config import SettingsT

Presets = Mapping[str, Callable[[], Settings]]
PLAIN_WORDS = {  # what tyro and Python say, as a pattern → the same in our words
    r"^Error parsing ": "",
    r"invalid literal for int\(\) with base 10: (.+)": r"\1 is not a whole number",
    r"could not convert string to float: (.+)": r"\1 is not a number",
    r"Missing value for argument '(.+)'\. Expected \d+ values?": r"\1 needs a value",
    r"invalid choice '(.*)' for argument '(.+)'\. Expected one of \((.+?),?\)": r"\2: '\1' is not one of \3",
    r"^Missing from [^:]+: *": "missing: ",
}


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
        invalid = error_behind(ended, ValidationError)
        if invalid is not None:
            raise UserError(first_fault(invalid, place_of(invalid, kind, arguments))) from ended
        if not ended.code:  # --help
            raise
        # A flag that is missing is often there under a wrong name.
        flags = [word for word in map(flag_in, arguments) if word.startswith("--")]
        wrong = next((flag for flag in flags if flag not in flags_of(kind)), None)
        said = in_one_sentence(refused.getvalue()) if wrong is None else unknown("setting", wrong, flags_of(kind))
        raise refusal(said, program) from ended
    config, left = parsed
    if left:
        raise refusal(unknown("setting", flag_in(left[0]), flags_of(kind)), program)
    return expanded(config)


def refusal(said: str, program: str) -> UserError:
    """Return an error that also says where all settings are listed."""
    return UserError(f"{said}{'' if said.endswith('?') else ';'} `{program} --help` lists every setting")


def flag_in(argument: str) -> str:
    """Return the flag of ``--flag=value`` as help writes it."""
    return argument.partition("=")[0].replace("_", "-")


def flags_of(kind: type[Any], within: str = "") -> list[str]:
    """Return every flag of settings, or of a dataclass within them; what is told by its place has none."""
    flags: list[str] = []
    hints = get_type_hints(kind, include_extras=True)
    for name in kind.model_fields if issubclass(kind, Settings) else kind.__dataclass_fields__:
        inner = hints[name]
        if isinstance(inner, type) and (issubclass(inner, Settings) or is_dataclass(inner)):
            flags += flags_of(inner, f"{within}{name}.")
        elif tyro.conf.Positional not in getattr(inner, "__metadata__", ()):
            flags.append(f"--{within}{name}".replace("_", "-"))
    return flags


def place_of(error: ValidationError, kind: type[Settings], arguments: Sequence[str]) -> str:
    """Return the dotted name of the settings in which a fault is; "" for the whole, or if it cannot be told.

    tyro builds inner settings first, so that a fault in them says only of which class they are.
    """
    places = [name for name, inner in inner_settings(kind) if inner.__name__ == error.title]
    flags = [argument.removeprefix("--").replace("-", "_") for argument in arguments]
    given = [place for place in places if any(flag.startswith(f"{place}.") for flag in flags)]
    found = given if len(places) > 1 else places
    return found[0] if len(found) == 1 else ""


def inner_settings(kind: type[Settings], within: str = "") -> Iterator[tuple[str, type[Settings]]]:
    """Yield the dotted name and the class of all settings within settings."""
    for name, field in kind.model_fields.items():
        if isinstance(inner := field.annotation, type) and issubclass(inner, Settings):
            yield f"{within}{name}", inner
            yield from inner_settings(inner, f"{within}{name}.")


def expanded(config: SettingsT) -> SettingsT:
    """Return the same settings with every ``~`` that begins a path replaced: a shell leaves that of ``--out=~/x``."""
    changed = {
        name: expanded(value) if isinstance(value, Settings) else value.expanduser()
        for name, value in config
        if isinstance(value, Settings | Path)
    }
    return config.model_copy(update=changed)


def in_one_sentence(box: str) -> str:
    """Return what a box of tyro's says: its first paragraph, in words for people who do not write Python."""
    inside = [line.strip("│ ") for line in box.splitlines()[1:]]  # without the title
    has_words = [bool(line.strip("─-╰╯")) for line in inside]  # or it is a rule; on a terminal without Unicode, of -
    first = has_words.index(True)
    paragraph = itertools.takewhile(lambda pair: pair[1], zip(inside[first:], has_words[first:], strict=True))
    said = " ".join(line for line, _ in paragraph).rstrip(".")
    for pattern, words in PLAIN_WORDS.items():
        said = re.sub(pattern, words, said)
    return said


def _default(kind: type[SettingsT], settings: Settings) -> SettingsT:
    """Return a preset's settings as a ``kind``; fields that the preset does not have must be given as flags."""
    given = dict(settings)
    required = [name for name, field in kind.model_fields.items() if field.is_required()]
    missing = dict.fromkeys((name for name in required if name not in given), tyro.MISSING)
    return kind.model_construct(**given, **missing)
