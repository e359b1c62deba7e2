"""Videos and pictures that a line shows: their files, and where they stand in what is said.

    {"videos": ["a.mp4", "b.mp4"]}, "<video><video>Which …?" -> MediumFile of each, in order -> with_media -> Asked

Nothing here guesses: a marker without a file and a file without a marker are rejected by name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from temporay.operators.errors import SampleRejected
from temporay.operators.markup import encodable
from temporay.operators.media import MARKERS, MediumKind, kinds_in
from temporay.operators.own_data.asked import Asked
from temporay.operators.videos.reading import WHOLE, Window

MAX_PATH_CHARS, MAX_NAME_BYTES = 4_000, 255  # of Linux and macOS
FILE = "file://"
TO_FILE = "write them to a file and give its path"
REMOTE = ("http://", "https://", "s3://", "gs://", "data:")
CUT = ("video_start", "video_end", "start_time", "end_time")  # a video that is shown in part, by other programs
MARKER = re.compile(r"<(?:video|image)>[ \t]*\n?")
LEADING = re.compile(rf"(?:\s*{MARKER.pattern})+")
PATHS: dict[MediumKind, tuple[str, ...]] = {
    "video": ("video", "video_url", "path", "url"),
    "image": ("image", "image_url", "path", "url"),
}
NOT_TAKEN = ("audio", "audios")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediumFile:
    """A video or picture that a line shows."""

    kind: MediumKind
    path: str  # as the line has it
    window: Window = WHOLE  # the part of a video that its own object names


def entries_of(line: Mapping[str, Any], *names: str) -> list[Any]:
    """Return all entries of some names, each of which may hold one thing or a list."""
    found = [line[name] for name in names if name in line]
    return [one for value in found for one in (value if isinstance(value, list) else [value])]


def files_of(line: Mapping[str, Any]) -> list[MediumFile]:
    """Return the files that a line names as ``video``, ``videos``, ``image`` and ``images``, videos first.

    Raises:
        SampleRejected: one is not a local file's path, or there is sound.
    """
    refuse_sound(entries_of(line, *NOT_TAKEN))
    return [
        *(medium_file("video", one) for one in entries_of(line, "video", "videos")),
        *(medium_file("image", one) for one in entries_of(line, "image", "images")),
    ]


def files_beside(clip: str, line: Mapping[str, Any]) -> list[MediumFile]:
    """Return the video that a line brings with it, out of a shard, and the images that it names.

    Raises:
        SampleRejected: ``bad_video``: the line names several videos; or as ``files_of``.
    """
    named = entries_of(line, "video", "videos")
    if len(named) > 1:
        raise SampleRejected("bad_video", f"{len(named)} videos are named, but a shard brings one with each line")
    others = {name: value for name, value in line.items() if name not in ("video", "videos")}
    return [MediumFile(kind="video", path=clip), *files_of(others)]


def refuse_sound(given: Sequence[Any]) -> None:
    """Refuse a line with sound.

    Raises:
        SampleRejected: ``audio_not_taken``.
    """
    if given:
        raise SampleRejected(
            "audio_not_taken", f"sound is given ({given[0]!r:.80}), but only videos and images are read"
        )


def medium_file(kind: MediumKind, given: Any) -> MediumFile:
    """Return a file that is given as a path, or as an object with ``video`` or ``image``, ``path`` or ``url``.

    Raises:
        SampleRejected: ``bad_video`` or ``bad_image``, or one with ``_remote`` or ``_cut``: it is no local file's path.
    """
    window = WHOLE
    if isinstance(given, Mapping):
        window = Window.read(_uncut(given)) if kind == "video" else WHOLE
        given = _in_object(kind, given)
    if isinstance(given, bytes):
        raise SampleRejected(f"{kind}_in_line", f"the line holds the bytes of its {kind}; {TO_FILE}")
    if not isinstance(given, str) or not given.strip() or "\0" in given:
        raise SampleRejected(f"bad_{kind}", f"a {kind} must be given as the path of a file, not {given!r:.80}")
    if given.startswith(REMOTE):
        raise SampleRejected(f"{kind}_remote", f"{given!r:.80} is no local file; download it and give its path")
    path = unquote(encodable(given)[len(FILE) :]) if given.startswith(FILE) else encodable(given)
    if len(path) > MAX_PATH_CHARS or any(len(part.encode()) > MAX_NAME_BYTES for part in path.split("/")):
        raise SampleRejected(f"bad_{kind}", f"{path!r:.80} is too long for a path")
    return MediumFile(kind=kind, path=path, window=window)


def _uncut(given: Mapping[str, Any]) -> Mapping[str, Any]:
    cut = [name for name in CUT if given.get(name) is not None]
    if cut:
        raise SampleRejected(
            "video_cut", f"{', '.join(cut)} asks for a part of the video; say it as start_s and end_s, in seconds"
        )
    return given


def _in_object(kind: MediumKind, given: Mapping[str, Any]) -> Any:
    """Return what an object says its video or image is."""
    found = [value for value in given.values() if isinstance(value, bytes)]
    found += [given[name] for name in PATHS[kind] if given.get(name)]
    value = found[0] if found else None
    return value.get("url") if isinstance(value, Mapping) else value


def with_media(asked: Asked, files: Sequence[MediumFile]) -> tuple[Asked, tuple[MediumFile, ...]]:
    """Put files in the order of their markers, and keep those markers that do not stand before everything.

    Without any marker, files of one kind stand before everything, and so does a single file beside a single question,
    wherever its marker is.

    Raises:
        SampleRejected: ``bad_video``: there is no file; ``marker_without_file`` or ``file_without_marker``; or
            ``bad_question``: there are no words.
    """
    if not files:
        raise SampleRejected("bad_video", "no video is named; give the path of its file")
    texts = [*(turn.text for turn in asked.earlier), asked.question.text]
    if not any(file.kind == "image" for file in files) and not any("video" in kinds_in(text) for text in texts):
        texts = [text.replace(MARKERS["image"], MARKERS["video"]) for text in texts]  # as LLaVA-Video writes it
    ordered = _in_order(files, [kind for text in texts for kind in kinds_in(text)])
    if len(files) == len(texts) == 1:
        texts = [MARKER.sub("", texts[0]).strip()]
    texts[0] = LEADING.sub("", texts[0], count=1) if LEADING.match(texts[0]) else texts[0]
    if not MARKER.sub("", texts[-1]).strip():
        raise SampleRejected("bad_question", "there is no question beside the markers")
    earlier = tuple(replace(turn, text=text) for turn, text in zip(asked.earlier, texts, strict=False))
    return replace(asked, question=replace(asked.question, text=texts[-1].strip()), earlier=earlier), ordered


def _in_order(files: Sequence[MediumFile], markers: Sequence[MediumKind]) -> tuple[MediumFile, ...]:
    kinds = {file.kind for file in files}
    if not markers and len(kinds) == 1:
        return tuple(files)
    waiting: dict[MediumKind, list[MediumFile]] = {
        kind: [file for file in files if file.kind == kind] for kind in MARKERS
    }
    for kind, some in waiting.items():
        num_markers = sum(marker == kind for marker in markers)
        counted = f"{num_markers} of {MARKERS[kind]} and {len(some)} files of that kind"
        if num_markers > len(some):
            raise SampleRejected("marker_without_file", f"there are {counted}; name every file, in order")
        if num_markers < len(some):
            raise SampleRejected("file_without_marker", f"there are {counted}; write {MARKERS[kind]} where each goes")
    return tuple(waiting[kind].pop(0) for kind in markers)
