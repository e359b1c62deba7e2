"""OpenAI's chat: ``messages`` with ``role`` and ``content``, a text or a list of parts.

The Hub's chat datasets have the same form. Parts are ``{"type": "text", "text": …}`` and ``{"type": "video",
"video": PATH}`` or ``{"type": "video_url", "video_url": {"url": PATH}}``.
"""

from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line, media_of, one_video
from temporay.operators.own_data.forms._turns import Conversation, read_turns


class OpenaiMessagesForm(Form):
    """One turn of ``user``, which shows the video, and one of ``assistant``."""

    expects = (
        '{"messages": [{"role": "user", "content": [{"type": "video", "video": "a.mp4"}, '
        '{"type": "text", "text": "Which …?\\nA. up\\nB. down"}]}, {"role": "assistant", "content": "B"}]}'
    )

    def matches(self, line: Line) -> bool:
        return "messages" in line and not {"question", "videos", "conversations"} & line.keys()

    def ask(self, line: Line) -> Asked:
        told = _told(line)
        return asked(text=told.question, answer=told.reply, category=line.get("task"))

    def video(self, line: Line) -> str:
        told = _told(line)
        return one_video([*told.videos, *media_of(line, "video")], [*told.images, *media_of(line, "image", "images")])


def _told(line: Line) -> Conversation:
    return read_turns(line["messages"], "role", "content")
