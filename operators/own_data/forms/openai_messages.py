"""OpenAI's chat: ``messages`` with ``role`` and ``content``, a text or a list of parts.

The Hub's chat datasets have the same form. Parts are ``{"type": "text", "text": …}`` and ``{"type": "video",
"video": PATH}`` or ``{"type": "video_url", "video_url": {"url": PATH}}``.
"""

from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line
from temporay.operators.own_data.forms._turns import Conversation, read_turns
from temporay.operators.own_data.media import MediumFile, files_of


class OpenaiMessagesForm(Form):
    """Turns of ``user``, which show videos and images, and of ``assistant``, of which the last is the answer."""

    expects = (
        '{"messages": [{"role": "user", "content": [{"type": "video", "video": "a.mp4"}, '
        '{"type": "text", "text": "Which …?\\nA. up\\nB. down"}]}, {"role": "assistant", "content": "B"}]}'
    )

    def matches(self, line: Line) -> bool:
        return "messages" in line and not {"question", "videos", "images", "conversations"} & line.keys()

    def ask(self, line: Line) -> Asked:
        told = _told(line)
        return asked(text=told.question, answer=told.reply, category=line.get("task"), earlier=told.earlier)

    def files(self, line: Line) -> list[MediumFile]:
        return [*_told(line).files, *files_of(line)]


def _told(line: Line) -> Conversation:
    return read_turns(line["messages"], "role", "content")
