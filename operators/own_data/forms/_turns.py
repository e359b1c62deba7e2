"""A conversation: turns of a user and of a model, whose content is a text or a list of parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from temporay.operators.errors import SampleRejected
from temporay.operators.media import MARKERS, MediumKind, kinds_in
from temporay.operators.own_data.media import MediumFile, medium_file, refuse_sound
from temporay.operators.records import Turn

ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "model", "gpt": "model", "model": "model"}
SHOWN_BY: dict[str, MediumKind] = {
    **dict.fromkeys(("video", "video_url"), "video"),
    **dict.fromkeys(("image", "image_url", "input_image"), "image"),
}
SOUND = ("audio", "audio_url", "input_audio")


@dataclass
class Conversation:
    """The last question of a conversation and its reply, what was said before, and what its parts show."""

    question: str = ""
    reply: str | None = None
    earlier: list[Turn] = field(default_factory=list)
    files: list[MediumFile] = field(default_factory=list)


def read_turns(turns: Any, role_name: str, content_name: str) -> Conversation:
    """Read a conversation in which a user and a model take turns. What the system is told is left out.

    The last turn of the model is the reply, if nothing follows it.

    Args:
        role_name: of who speaks, in a turn.
        content_name: of what is said.

    Raises:
        SampleRejected: ``bad_messages``, ``media_in_answer`` or ``audio_not_taken``.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str):
        raise SampleRejected("bad_messages", f"turns must be a list, not {turns!r:.80}")
    told = Conversation()
    said: list[tuple[str, str]] = []
    for turn in turns:
        role = ROLES.get(str(turn.get(role_name))) if isinstance(turn, Mapping) else None
        if role is None:
            raise SampleRejected(
                "bad_messages", f"a turn needs {role_name!r}, one of {', '.join(ROLES)}, and {content_name!r}"
            )
        if role != "system":
            said.append((role, _text_of(turn.get(content_name), told)))
            if role == "model" and kinds_in(said[-1][1]):
                raise SampleRejected("media_in_answer", "an answer shows a video or image; only questions may")
    if not said or [role for role, _ in said] != ["user" if n % 2 == 0 else "model" for n in range(len(said))]:
        raise SampleRejected("bad_messages", "a turn of the user must come first, and then one of the model, in turns")
    told.reply = said.pop()[1] if said[-1][0] == "model" else None
    told.question = said.pop()[1]
    told.earlier = [Turn(role="user" if role == "user" else "assistant", text=text) for role, text in said]
    return told


def _text_of(content: Any, told: Conversation) -> str:
    """Return the text of a turn with a marker for every video and image; their files go to the conversation."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise SampleRejected("bad_messages", f"content must be a text or a list of parts, not {content!r:.80}")
    texts = []
    for part in content:
        kind = str(part.get("type")) if isinstance(part, Mapping) else ""
        if kind in ("text", "input_text") and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in SHOWN_BY:
            texts.append(MARKERS[SHOWN_BY[kind]])
            if part.keys() - {"type"}:  # else a bare marker: the path stands elsewhere
                told.files.append(medium_file(SHOWN_BY[kind], part))
        else:
            refuse_sound([part] if kind in SOUND else [])
            raise SampleRejected("bad_messages", f"a part must be a text, a video or an image, not {part!r:.80}")
    return "\n".join(texts)
