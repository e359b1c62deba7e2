"""Lines of own data read without a file or a video."""

from __future__ import annotations

from typing import Any

from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.asked import Asked
from temporay.operators.own_data.lines import form_of, load_forms
from temporay.operators.own_data.media import MediumFile, with_media

FORMS = load_forms()


def read(line: dict[str, Any]) -> Asked:
    return taken(line)[0]


def taken(line: dict[str, Any]) -> tuple[Asked, tuple[MediumFile, ...]]:
    """Return what a line asks, and the files that it shows in order."""
    form = form_of(line, FORMS)
    return with_media(form.ask(line), form.files(line))


def paths_of(line: dict[str, Any]) -> list[str]:
    return [file.path.removeprefix("/") for file in taken(line)[1]]


def asked(**changes: Any) -> Asked:
    """Read a line with names of our own."""
    line = {"video": "a.mp4", "question": "Which?", "options": ["yes", "no"], "answer": "A", **changes}
    return read({name: value for name, value in line.items() if value is not None})


def right(asked_: Asked) -> str:
    """Return the words of the right option."""
    return asked_.question.options[asked_.question.answer_index]


def reason(line: dict[str, Any]) -> str:
    """Return why a line is dropped; "" when it is taken."""
    try:
        taken(line)
    except SampleRejected as error:
        return error.reason
    return ""
