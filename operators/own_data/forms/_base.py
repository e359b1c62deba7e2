"""What every form of a line provides; its file is its registration.

A line is an object with names. A form says whether a line is one of its own, what it asks, and where its video is.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import unquote

from temporay.operators.errors import SampleRejected
from temporay.operators.markup import encodable
from temporay.operators.own_data.asked import Asked

Line = Mapping[str, Any]
MAX_PATH_CHARS, MAX_NAME_BYTES = 4_000, 255  # of Linux and macOS
ONE_VIDEO = "a sample shows one video"
IN_LINE = "the line holds the bytes of its video; write them to a file and give its path"
FILE = "file://"
CUT = ("video_start", "video_end", "start_time", "end_time")  # a video that is shown in part, by other programs


class Form(ABC):
    """One way to write a line. Stateless."""

    expects: ClassVar[str]  # a line of this form, as an error shows it

    @abstractmethod
    def matches(self, line: Line) -> bool:
        """Return whether a line is of this form, by its names alone. No line may be of two forms."""

    @abstractmethod
    def ask(self, line: Line) -> Asked:
        """Return what a line of this form asks.

        Raises:
            SampleRejected: a part is missing or cannot be read.
        """

    def video(self, line: Line) -> str:
        """Return the path of its one video.

        Raises:
            SampleRejected: there is none, there are several, or images stand beside it.
        """
        return one_video(media_of(line, "video", "videos"), media_of(line, "image", "images"))


def media_of(line: Line, *names: str) -> list[Any]:
    """Return all entries of some names, each of which may hold one thing or a list."""
    found = [line[name] for name in names if name in line]
    return [one for value in found for one in (value if isinstance(value, list) else [value])]


def one_video(videos: Sequence[Any], images: Sequence[Any] = ()) -> str:
    """Return the path of a video that is given as a text or as an object with ``video``, ``path`` or ``url``.

    Raises:
        SampleRejected: there is not just one, or it is not a local file's path.
    """
    if images:
        raise SampleRejected("images_not_taken", f"{len(images)} images are given, but {ONE_VIDEO} and no images")
    if len(videos) > 1:
        raise SampleRejected("several_videos", f"{len(videos)} videos are given, but {ONE_VIDEO}")
    if not videos:
        raise SampleRejected("bad_video", "no video is named; give the path of its file")
    (video,) = videos
    video = _in_object(video) if isinstance(video, Mapping) else video
    if isinstance(video, bytes):
        raise SampleRejected("video_in_line", IN_LINE)
    if not isinstance(video, str) or not video.strip() or "\0" in video:
        raise SampleRejected("bad_video", f"a video must be given as the path of a file, not {video!r:.80}")
    if video.startswith(("http://", "https://", "s3://", "gs://", "data:")):
        raise SampleRejected("video_remote", f"{video!r:.80} is no local file; download it and give its path")
    path = unquote(encodable(video)[len(FILE) :]) if video.startswith(FILE) else encodable(video)
    if len(path) > MAX_PATH_CHARS or any(len(part.encode()) > MAX_NAME_BYTES for part in path.split("/")):
        raise SampleRejected("bad_video", f"{path!r:.80} is too long for a path")
    return path


def _in_object(video: Mapping[str, Any]) -> Any:
    """Return what an object says its video is."""
    cut = [name for name in CUT if video.get(name) is not None]
    if cut:
        raise SampleRejected("video_cut", f"{', '.join(cut)} asks for a part of the video; give that part as a file")
    given = [value for value in video.values() if isinstance(value, bytes)]
    given += [video[name] for name in ("video", "video_url", "path", "url") if video.get(name)]
    value = given[0] if given else None
    return value.get("url") if isinstance(value, Mapping) else value
