"""A conversation: turns of a user and of a model, whose content is a text or a list of parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporay.operators.errors import SampleRejected

ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "model", "gpt": "model", "model": "model"}


@dataclass
class Conversation:
    """The one question and the one reply of a conversation, with what its parts show."""

    question: str = ""
    reply: str | None = None
    videos: list[Any] = field(default_factory=list)
    images: list[Any] = field(default_factory=list)


def read_turns(turns: Any, role_name: str, content_name: str) -> Conversation:
    """Read a conversation of one question and at most one reply. What the system is told is left out.

    Args:
        role_name: of who speaks, in a turn.
        content_name: of what is said.

    Raises:
        SampleRejected: ``bad_messages``, or ``several_turns``.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        raise SampleRejected("bad_messages", f"turns must be a list, not {turns!r:.80}")
    told = Conversation()
    speakers = []
    for turn in turns:
        role = ROLES.get(str(turn.get(role_name))) if isinstance(turn, Mapping) else None
        if role is None:
            raise SampleRejected(
                "bad_messages", f"a turn needs {role_name!r}, one of {', '.join(ROLES)}, and {content_name!r}"
            )
        if role == "system":
            continue
        speakers.append(role)
        text = _text_of(turn.get(content_name), told)
        if role == "user":
            told.question = text
        else:
            told.reply = text
    if speakers.count("user") > 1 or speakers.count("model") > 1:
        raise SampleRejected("several_turns", f"{len(speakers)} turns; a sample has one question and one reply")
    if speakers not in (["user"], ["user", "model"]):
        raise SampleRejected("bad_messages", "there must be a turn of the user, and then one of the model")
    return told


def _text_of(content: Any, told: Conversation) -> str:
    """Return the text of a turn; videos and images go to the conversation."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise SampleRejected("bad_messages", f"content must be a text or a list of parts, not {content!r:.80}")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in ("text", "input_text") and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in ("video", "video_url"):
            told.videos += [part] if part.keys() - {"type"} else []  # a bare marker: the path stands elsewhere
        elif kind in ("image", "image_url", "input_image"):
            told.images.append(part)
        else:
            raise SampleRejected("bad_messages", f"a part must be a text or a video, not {part!r:.80}")
    return "\n".join(texts)
