"""Video-R1 and its successors (https://github.com/tulerfeng/Video-R1): ``problem``, ``solution`` and ``path``.

``problem_type`` says what the answer is, and ``process`` holds the chain of thought of rows for fine-tuning.
"""

from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line, media_of, one_video


class VideoR1Form(Form):
    """A problem about one video; rows with ``data_type`` image are dropped."""

    expects = (
        '{"path": "a.mp4", "data_type": "video", "problem_type": "multiple choice", "problem": "Which …?", '
        '"options": ["A. up", "B. down"], "process": "<think>…</think>", "solution": "<answer>B</answer>"}'
    )

    def matches(self, line: Line) -> bool:
        return "problem" in line and not {"question", "messages", "conversations"} & line.keys()

    def ask(self, line: Line) -> Asked:
        return asked(
            text=line["problem"],
            options=line.get("options"),
            answer=line.get("solution", line.get("answer")),
            thought=line.get("process"),
            kind=line.get("problem_type"),
            category=line.get("task", line.get("data_source")),
        )

    def video(self, line: Line) -> str:
        shown = media_of(line, "path", "video", "videos")
        images = media_of(line, "image", "images")
        return one_video([], shown) if line.get("data_type") == "image" else one_video(shown, images)
