"""Settings as JSON, as dotted names for the command line and Ray Tune, and their differences."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError
from temporay.operators.dataset.rows import INSTRUCTIONS
from temporay.operators.errors import UserError, first_fault, unknown
from temporay.operators.markup import MARKER
from temporay.operators.records import TAGS
from temporay.operators.scoring.arms import EVERY_ARM, Arm
from temporay.operators.settings import Settings
from tyro.constructors import PrimitiveConstructorSpec

SettingsT = TypeVar("SettingsT", bound=Settings)


def weights_from(words: list[str]) -> dict[str, float]:
    """``["accuracy=1", "format=0.2"]`` as a mapping.

    Raises:
        ValueError: a word is not of the form NAME=NUMBER.
    """
    pairs = [word.rpartition("=") for word in words]
    if any(not name for name, _, _ in pairs):
        raise ValueError(f"{' '.join(words)!r} is not NAME=NUMBER NAME=NUMBER …, e.g. accuracy=1")
    return {name: float(number) for name, _, number in pairs}


def fields_from(words: list[str]) -> dict[str, dict[str, Any]]:
    """``["overlong.max_completion_len=200"]`` as a mapping of mappings; values are JSON, or else words.

    Raises:
        ValueError: a word is not of the form NAME.FIELD=VALUE.
    """
    fields: dict[str, dict[str, Any]] = {}
    for word in words:
        place, equals, value = word.partition("=")
        name, _, field = place.rpartition(".")
        if not (name and field and equals):
            raise ValueError(f"{word!r} is not NAME.FIELD=VALUE, e.g. overlong.max_completion_len=200")
        fields.setdefault(name, {})[field] = json_or_word(value)
    return fields


def json_or_word(text: str) -> Any:
    """Read a value of a command line: JSON, or the text itself, such as the name of a schedule."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


# Names that nobody knows beforehand, with numbers; on the command line NAME=NUMBER NAME=NUMBER.
Weights = Annotated[
    dict[str, float],
    PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=NUMBER …",
        instance_from_str=weights_from,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda weights: [f"{name}={number:g}" for name, number in weights.items()],
    ),
]

# Fields of things that are named; on the command line NAME.FIELD=VALUE NAME.FIELD=VALUE.
NamedFields = Annotated[
    dict[str, dict[str, float | bool | str | None]],
    PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME.FIELD=VALUE …",
        instance_from_str=fields_from,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda named: [
            f"{name}.{field}={json.dumps(value)}" for name, fields in named.items() for field, value in fields.items()
        ],
    ),
]


def without_special_tokens(text: str) -> str:
    """Return a text of the user's own that a chat template can take.

    Raises:
        ValueError: it holds a special token, which would make turns or videos that are not there.
    """
    found = next((marker[0] for marker in MARKER.finditer(text) if marker[0] not in TAGS), None)
    if found is not None:
        raise ValueError(f"{found} is a special token of chat templates; leave it out")
    return text


# How to answer, added to every question: a name of INSTRUCTIONS stands for its text, any other text for itself.
OwnText = Annotated[str, AfterValidator(without_special_tokens)]
Instruction = Annotated[OwnText, BeforeValidator(lambda text: dict(INSTRUCTIONS).get(text, text))]


def each_once(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    """Return arms of an evaluation of which there is one or more, and each once.

    Raises:
        ValueError: there is none, or one is named twice.
    """
    if not arms or len(set(arms)) < len(arms):
        raise ValueError(f"arms are named once each, and there is at least one (valid: {', '.join(EVERY_ARM)})")
    return arms


Arms = Annotated[tuple[Arm, ...], AfterValidator(each_once)]


def to_json(config: Settings) -> dict[str, Any]:
    """Return the whole resolved configuration as JSON values."""
    return json.loads(config.model_dump_json())  # type: ignore[no-any-return]


def replaced(config: SettingsT, changes: Mapping[str, Any]) -> SettingsT:
    """Return the same configuration with some dotted keys changed, e.g. ``{"optimizer.lr": 3e-4}``.

    Raises:
        UserError: a key does not exist (with the nearest one), or a value is not valid for it.
    """
    tree = config.model_dump()
    for key, value in changes.items():
        *parents, last = key.split(".")
        node: Any = tree
        for name in parents:
            node = node.get(name) if isinstance(node, dict) else None
        if not isinstance(node, dict) or last not in node:
            raise UserError(f"{unknown('setting', key, dotted_names(config))}; --help lists every setting")
        node[last] = value
    return validated(type(config), tree)


def converted(kind: type[SettingsT], settings: Settings, **more: Any) -> SettingsT:
    """Return a ``kind`` with those values of other settings that it has too, and ``more`` by name."""
    shared = {name: value for name, value in settings if name in kind.model_fields}
    return validated(kind, {**shared, **more})


def validated(kind: type[SettingsT], tree: Mapping[str, Any]) -> SettingsT:
    """Return a configuration made of plain values; an error in them becomes one sentence.

    Raises:
        UserError: a key is unknown or a value is not valid.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise UserError(first_fault(error)) from error


def dotted_names(config: object) -> list[str]:
    """Every settable name of a model or dataclass, e.g. ``optimizer.lr``; of anything else none."""
    names: list[str] = []
    fields = type(config).model_fields if isinstance(config, BaseModel) else getattr(config, "__dataclass_fields__", ())
    for name in fields:
        inner = dotted_names(getattr(config, name))
        names.extend(f"{name}.{last}" for last in inner) if inner else names.append(name)
    return names


def difference(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """One line per setting that is not the same, ``name: old → new``."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines.extend(difference(before, after, f"{prefix}{key}."))
        elif before != after:
            lines.append(f"{prefix}{key}: {json.dumps(before)} → {json.dumps(after)}")
    return lines
