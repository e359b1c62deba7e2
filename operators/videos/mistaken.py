"""Files that are taken for videos: pictures, lists of other files, web pages, pointers to files elsewhere."""

from pathlib import Path

from temporay.operators.errors import SampleRejected

NOT_VIDEO = "no_video"
PICTURES = ("image2", "_pipe")  # how names of FFmpeg's readers of single pictures end; no reader has animated WebP
LISTS = ("hls", "concat", "dash")  # readers of files that name other files, which may change or be anybody's
A_LIST = "a list of other files; make one video of it with ffmpeg -i"
BEGINNINGS = {
    b"version https://git-lfs": "a pointer of Git LFS; fetch the video with git lfs pull",
    b"/annex/objects": "a pointer of git-annex; fetch the video with git annex get",
    b"<!doctype html": "a web page; download the video itself",
    b"<html": "a web page; download the video itself",
    b"pk\x03\x04": "a ZIP archive; unpack it",
    b"#extm3u": A_LIST,
    b"ffconcat": A_LIST,
}


def check_kind(path: Path, format_name: str) -> None:
    """Refuse a file that is no video by itself.

    Args:
        format_name: of the reader that FFmpeg has chosen.

    Raises:
        SampleRejected: ``no_video``.
    """
    if format_name.endswith(PICTURES):
        raise SampleRejected(NOT_VIDEO, f"{path} is a picture, or an animation that cannot be read; give a video")
    if format_name in LISTS:
        raise SampleRejected(NOT_VIDEO, f"{path} is {A_LIST}")


def mistaken_for(path: Path) -> str | None:
    """Return what a file is that cannot be read as a video, with advice; None if that is not known."""
    with path.open("rb") as file:
        begin = file.read(64).lstrip().lower()
    if not begin:
        return "empty; get it again"
    return next((what for start, what in BEGINNINGS.items() if begin.startswith(start)), None)
