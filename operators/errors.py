"""The exception tree.

    TemporayError
    ├── UserError        the user's input or configuration is wrong: exit code 2, one sentence, no traceback
    └── SampleRejected   no good sample can be made of this address: it is replaced and counted under `reason`

Any other error is a bug of temporay: it keeps its traceback and ends with exit code 1.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

ErrorT = TypeVar("ErrorT", bound=BaseException)
MAX_NEAR = 3  # names that are proposed at once


class TemporayError(Exception):
    """Base of every error that this package raises on purpose."""


class UserError(TemporayError, ValueError):
    """An error that the user can correct. The message names the bad value, what is valid, and what to change."""


class SampleRejected(TemporayError):
    """An address that gives no good sample; ``reason`` is a short snake_case name for the counts."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)  # both in args, so that it survives pickling between processes
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def refusal(error: SampleRejected, advice: str) -> UserError:
    """Return the error for what was rejected where nothing else can take its place; ``advice`` says what to do."""
    return UserError(f"{error.detail} ({error.reason}); {advice}")


def said_by(error: BaseException) -> str:
    """Return the first line of what an error of a library says, or that it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no reason given"


def unknown_name(what: str, name: str, valid: Iterable[str]) -> UserError:
    """Return an error for a wrong name, with the nearest valid one if there is one, and all of them."""
    names = sorted(valid)
    return UserError(f"{unknown(what, name, names)} (valid: {', '.join(names)})")


def unknown(what: str, name: str, valid: Iterable[str]) -> str:
    """Say that a name is wrong, with the nearest valid one if there is one.

    A name that is the last part of dotted ones means one of these: ``lr`` may be ``optimizer.lr``.
    """
    bare = {one.lstrip("-"): one for one in sorted(valid)}  # the dashes of flags are no likeness
    given = name.lstrip("-")
    close = [one for one in bare if one.rpartition(".")[2] == given][:MAX_NEAR]
    close = close or difflib.get_close_matches(given, bare, n=1, cutoff=0.5)
    near = " or ".join(repr(bare[one]) for one in close)
    return f"unknown {what} {name!r}{f'; did you mean {near}?' if near else ''}"


def first_fault(error: ValidationError, within: str = "") -> str:
    """Return the first fault of a validation: name, what is wrong, and the value given.

    Args:
        within: the name of what was validated, to be put before the names of its parts.
    """
    first = error.errors()[0]
    name = ".".join([*([within] if within else []), *map(str, first["loc"])])
    message = first["msg"].removeprefix("Value error, ")
    if isinstance(first.get("ctx", {}).get("error"), UserError):  # it names the value itself
        return f"{name}: {message}" if name else message
    given = first.get("input")
    is_told = isinstance(given, Mapping | BaseModel) or (isinstance(given, str) and repr(given) in message)
    said = "" if is_told else f" (given: {given!r})"
    return f"{name or 'the configuration'}: {message}{said}"


def error_behind(error: BaseException | None, kind: type[ErrorT]) -> ErrorT | None:
    """Return an error of one kind among an error and those that it wraps, or None.

    Followed are causes, contexts, members of groups, and what Ray keeps in ``cause``, ``worker_failures`` and
    ``controller_failure``.
    """
    pending: list[Any] = [error]
    known: set[int] = set()
    while pending:
        current = pending.pop()
        if isinstance(current, kind):
            inner = getattr(current, "cause", None)  # Ray's copy of an error is of its kind, with a traceback as text
            return inner if isinstance(inner, kind) else current
        if not isinstance(current, BaseException) or id(current) in known:
            continue
        known.add(id(current))
        pending += [getattr(current, name, None) for name in ("cause", "controller_failure")]
        pending += [current.__cause__, current.__context__]
        pending += current.exceptions if isinstance(current, BaseExceptionGroup) else ()
        pending += getattr(current, "worker_failures", {}).values()
    return None
