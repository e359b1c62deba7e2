"""Files of own lines, and the video that they are about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from temporay.operators.pixels.clip import Codec, encode

LINE: dict[str, Any] = {"video": "a.mp4", "question": "Brighter?", "options": ["yes", "no"], "answer": "A"}


def video_bytes() -> bytes:
    """Encode one second that gets brighter, 32 px."""
    levels_T = np.arange(10, dtype=np.uint8) * 20
    frames_THWC = np.broadcast_to(levels_T[:, None, None, None], (10, 32, 32, 3)).copy()
    return encode(frames_THWC, 10.0, Codec(pad_bytes=1)).data


def write_lines(file: Path, *lines: Any) -> Path:
    """Write JSON lines beside a.mp4; return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    (file.parent / "a.mp4").write_bytes(video_bytes())
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file
