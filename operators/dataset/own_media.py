"""The videos and pictures of a user's own sample: files -> Medium of each, without pixels -> frames.

``start_s`` and ``end_s``, in seconds after a video's first frame, name the part of it that is shown. It may end a frame
after the video, because ends are rounded. ``temporay.operators.videos.reading`` says how it is read, and a picture is
fitted into the same ``max_side``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporay.operators.dataset.coco import read_picture
from temporay.operators.errors import SampleRejected
from temporay.operators.media import Clips, Frames, Medium
from temporay.operators.own_data.media import MediumFile
from temporay.operators.videos.reading import (
    SIDES_ALLOWED,
    WHOLE,
    VideoReading,
    Window,
    is_too_narrow,
)
from temporay.operators.videos.sampled_video import SampledVideo

PICTURE_FPS = 1.0  # of a picture, which has no rate; nothing is told of it


def with_window(files: Sequence[MediumFile], window: Window) -> list[MediumFile]:
    """Return the files of a line of which the line itself names a part.

    Raises:
        SampleRejected: ``bad_window``: the line shows more than one video, or its object names a part as well.
    """
    if window == WHOLE:
        return list(files)
    if len(files) != 1 or files[0].kind != "video" or files[0].window != WHOLE:
        raise SampleRejected(
            "bad_window",
            "'start_s' and 'end_s' of a line are of its one video; write them into an object of each video",
        )
    return [replace(files[0], window=window)]


def to_facts(files: Sequence[MediumFile]) -> list[dict[str, Any]]:
    """Return files as JSON values."""
    return [{"kind": file.kind, "path": file.path, **file.window.facts()} for file in files]


def files_in(facts: Mapping[str, Any]) -> list[MediumFile]:
    """Return the files of a sample's facts; none of a sample that was generated."""
    return [MediumFile(kind=one["kind"], path=one["path"], window=Window.read(one)) for one in facts.get("media", ())]


def first_path(facts: Mapping[str, Any]) -> str:
    """Return the file by which a user's own sample is grouped with others; "" of a sample that was generated."""
    return next((file.path for file in files_in(facts)), "")


def media_in(files: Sequence[MediumFile], reading: VideoReading) -> tuple[Medium, ...]:
    """Return what is shown of each file, by the headers of videos; pictures are decoded.

    Raises:
        SampleRejected: a file is missing, cannot be decoded, or is of a shape that no model takes.
    """
    return tuple(_picture_in(file, reading) if file.kind == "image" else _video_in(file, reading) for file in files)


def frames_of(files: Sequence[MediumFile], media: Sequence[Medium], reading: VideoReading) -> Clips:
    """Return the frames that a model is shown of each file.

    Args:
        media: what ``media_in`` gave for them.

    Raises:
        SampleRejected: a file can no longer be decoded, or is another one.
    """
    return tuple(_frames_of(file, medium, reading) for file, medium in zip(files, media, strict=True))


def duration_s(files: Sequence[MediumFile], reading: VideoReading) -> float:
    """Return how long the longest of the videos is, in seconds; 0 of pictures alone."""
    return max((_video(file, reading).header().duration_s for file in files if file.kind == "video"), default=0.0)


def _video(file: MediumFile, reading: VideoReading) -> SampledVideo:
    return SampledVideo(path=Path(file.path), reading=reading, window=file.window)


def _video_in(file: MediumFile, reading: VideoReading) -> Medium:
    video = _video(file, reading)
    medium, header, end_s = video.taken().medium, video.header(), file.window.end_s
    if end_s is not None and end_s > header.duration_s + header.duration_s / header.num_frames:
        raise SampleRejected("bad_window", f"'end_s' is {end_s:g} s, and {file.path} ends at {header.duration_s:g} s")
    return medium


def _picture_in(file: MediumFile, reading: VideoReading) -> Medium:
    _, height, width, _ = _picture(file, reading).shape
    if is_too_narrow(width, height):
        raise SampleRejected("image_too_narrow", f"{file.path}: read as {width} x {height} px; {SIDES_ALLOWED}")
    return Medium(kind="image", width=width, height=height, fps=PICTURE_FPS, num_frames=1)


def _picture(file: MediumFile, reading: VideoReading) -> Frames:
    return read_picture(Path(file.path), reading.max_side)[None]


def _frames_of(file: MediumFile, medium: Medium, reading: VideoReading) -> Frames:
    if file.kind == "video":
        return _video(file, reading).frames_of(medium)
    frames_THWC = _picture(file, reading)
    if frames_THWC.shape != medium.shape:
        raise SampleRejected("image_changed", f"{file.path} has another size than when it was first read")
    return frames_THWC
