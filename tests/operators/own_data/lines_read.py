"""Lines of own data read without a file or a video."""

from __future__ import annotations

from typing import Any

from temporay.operators.errors import SampleRejected
from temporay.operators.own_data.asked import Asked
from temporay.operators.own_data.lines import form_of, load_forms

FORMS = load_forms()


def read(line: dict[str, Any]) -> Asked:
    return form_of(line, FORMS).ask(line)


def video_of(line: dict[str, Any]) -> str:
    return form_of(line, FORMS).video(line)


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
        form = form_of(line, FORMS)
        form.ask(line)
        form.video(line)
    except SampleRejected as error:
        return error.reason
    return ""
