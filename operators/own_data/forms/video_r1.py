"""Video-R1 and its successors (https://github.com/tulerfeng/Video-R1): ``problem``, ``solution`` and ``path``.

``problem_type`` says what the answer is, and ``process`` holds the chain of thought of rows for fine-tuning.
"""

from temporay.operators.media import MediumKind
from temporay.operators.own_data.asked import Asked, asked
from temporay.operators.own_data.forms._base import Form, Line
from temporay.operators.own_data.media import MediumFile, entries_of, files_of, medium_file


class VideoR1Form(Form):
    """A problem about what ``path`` holds, one file or several; ``data_type`` says whether they are images."""

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

    def files(self, line: Line) -> list[MediumFile]:
        kind: MediumKind = "image" if line.get("data_type") == "image" else "video"
        return [*(medium_file(kind, one) for one in entries_of(line, "path")), *files_of(line)]
