"""A user's own data at hand: shards and datasets of other programs are unpacked once, and what is left out is said.

    shards (webdataset), saved or Hub datasets (datasets) → OUT/own_data/…/lines.jsonl and videos → Samples

Everything behind reads files, in any order and in any process. ``lines.jsonl`` is written last: it is whole, or not
there.
"""

import json
import re
import tarfile
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from temporay.operators.dataset.opening import Samples, check_dropped, open_samples
from temporay.operators.dataset.shards import RECIPE_FILE
from temporay.operators.dataset.video_qa import DroppedLine
from temporay.operators.errors import SampleRejected, UserError, said_by
from temporay.operators.files import whole_file, write_text
from temporay.operators.own_data.lines import CLIP, parsed
from temporay.operators.own_data.sources import HUB, address_of_shards, is_remote
from temporay.operators.seeding import digest
from temporay.operators.videos.reading import VideoReading

FOLDER, LINES, DROPPED = "own_data", "lines.jsonl", "dropped_lines.jsonl"
VIDEO_SUFFIXES = ("mp4", "webm", "mkv", "avi", "mov")
TABLES = ("*.parquet", "*.jsonl", "*.json", "*.csv")  # of a folder that ``datasets`` loads
TIMEOUT_S = 60.0  # for the next bytes of a shard

SHARDS = re.compile(r"\.(?:tar|tgz|tar\.gz)$")

Unpacked = tuple[dict[str, Any], bytes | None, str]  # a line, its video if it is there, and the video's ending


class OwnDataSettings(Protocol):
    """Settings of a command that reads own data."""

    @property
    def out(self) -> Path: ...

    @property
    def video_reading(self) -> VideoReading: ...

    @property
    def max_dropped_share(self) -> float: ...


def opened(source: Path, config: OwnDataSettings) -> Samples:
    """Open a dataset, a file of lines, shards, or a dataset of another program.

    Raises:
        UserError: it cannot be read, or too many of its lines cannot be used.
    """
    samples = open_samples(at_hand(source, config.out), config.video_reading)
    check_dropped(samples.path, len(samples), samples.dropped, config.max_dropped_share)
    return samples


def at_hand(source: Path, out: Path) -> Path:
    """Return the folder or file to open: the source itself, or the lines that it was unpacked to.

    Args:
        out: the folder of the run, which keeps what is unpacked.

    Raises:
        UserError: it cannot be read or written.
    """
    read = _reader_of(source)
    if read is None:
        return source
    folder = out.absolute() / FOLDER / f"{digest(str(source)) % 16**12:012x}"
    if not (folder / LINES).exists():
        (folder / "videos").mkdir(parents=True, exist_ok=True)
        num_lines, num_bytes = _unpack(read(source), folder)
        given = address_of_shards(source)
        print(
            f"data: {num_lines} lines of {given}, {num_bytes / 1e6:.1f} MB of videos, are now in {folder}", flush=True
        )
    return folder / LINES


def tell_dropped(command: str, out: Path, dropped: Mapping[Path, Sequence[DroppedLine]]) -> None:
    """Say how many lines of each file give no sample, and write all of them with their reasons."""
    rows = []
    for file, lines in dropped.items():
        rows += [{"file": str(file), "line": one.line, "reason": one.reason, "detail": one.detail} for one in lines]
        if lines:
            counts = ", ".join(f"{n} {reason}" for reason, n in Counter(one.reason for one in lines).items())
            print(f"{command}: {len(lines)} lines of {file} are left out: {counts} ({out / DROPPED})", flush=True)
    if rows:
        write_text(out / DROPPED, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _reader_of(source: Path) -> Callable[[Path], Iterator[Unpacked]] | None:
    """Return what unpacks a source; None for what can be opened as it is, or is nothing known."""
    if SHARDS.search(urlsplit(str(source)).path):
        return _shards
    if str(source).startswith(HUB):
        return _loaded
    if is_remote(source):
        raise UserError(f"{address_of_shards(source)} is no shard; give the address of .tar files, or download it")
    if not source.is_dir() or (source / RECIPE_FILE).exists():
        return None
    if any((source / name).exists() for name in ("state.json", "dataset_dict.json")):
        return _saved
    if any(source.glob("*.tar")):
        return _shards
    return _loaded if any(next(source.rglob(name), None) for name in TABLES) else None


def _unpack(read: Iterator[Unpacked], folder: Path) -> tuple[int, int]:
    """Write lines and their videos; return how many lines, and the bytes of the videos."""
    num_lines = num_bytes = 0
    with whole_file(folder / LINES) as file:
        for line, video, suffix in read:
            if video is not None:
                clip = f"videos/{num_lines:07d}.{suffix}"
                (folder / clip).write_bytes(video)
                line, num_bytes = {**line, CLIP: clip}, num_bytes + len(video)
            file.write(json.dumps(line, ensure_ascii=True, default=_named_type).encode() + b"\n")
            num_lines += 1
    return num_lines, num_bytes


def _named_type(value: Any) -> str:
    """Stand for a value that JSON has no form for, such as a date or the bytes of a picture."""
    return f"({type(value).__name__})"


def _shards(source: Path) -> Iterator[Unpacked]:
    """Yield the samples of WebDataset shards in their order; a member's ending says what it is."""
    from webdataset.shardlists import expand_urls
    from webdataset.tariterators import group_by_keys, tar_file_expander

    try:
        given = sorted(map(str, source.glob("*.tar"))) if source.is_dir() else expand_urls(address_of_shards(source))
    except ValueError as error:  # of the library that expands braces
        raise UserError(
            f"{address_of_shards(source)} names no shards ({error}); write a range as {{000..009}}"
        ) from error
    for url in given:
        try:
            with closing(_stream(url)) as stream:
                for sample in group_by_keys(tar_file_expander([{"url": url, "stream": stream}])):
                    yield _member_line(sample)
                stream.read()
                if getattr(stream, "length", 0):  # what a server still owed when it hung up
                    raise EOFError("it ends early")
        except (OSError, HTTPException, tarfile.TarError, ValueError, EOFError) as error:
            raise UserError(
                f"the shard {url} cannot be read ({error}); give another address, or download it again"
            ) from error


def _stream(url: str) -> Any:
    if not re.match(r"https?://", url):
        return Path(url).open("rb")
    return urllib.request.urlopen(url, timeout=TIMEOUT_S)


def _member_line(sample: Mapping[str, Any]) -> Unpacked:
    """Return the line and the video of one sample of a shard."""
    parts = {name.rpartition(".")[2].lower(): data for name, data in sample.items() if isinstance(data, bytes)}
    line = parsed(parts.get("json", b"{}"))
    if isinstance(line, SampleRejected):
        line = {"(broken JSON)": line.detail}
    suffix = next((one for one in VIDEO_SUFFIXES if one in parts), "")
    return (line if isinstance(line, dict) else {"(no object)": line}), parts.get(suffix), suffix


def _saved(source: Path) -> Iterator[Unpacked]:
    """Yield the rows of a folder that ``datasets`` saved."""
    import datasets

    yield from _rows(source, lambda: datasets.load_from_disk(str(source)))


def _loaded(source: Path) -> Iterator[Unpacked]:
    """Yield the rows of a dataset of the Hub, or of a folder of tables, as ``datasets`` loads it."""
    import datasets

    name, _, split = str(source).removeprefix(HUB).partition(":")
    yield from _rows(source, lambda: datasets.load_dataset(name, split=split or None))


def _rows(source: Path, load: Callable[[], Any]) -> Iterator[Unpacked]:
    with _blamed_on(source):
        table = load()
    if isinstance(table, dict):
        if len(table) > 1:
            shown = f"{HUB}{str(source).removeprefix(HUB)}"
            raise UserError(
                f"{source} has the splits {', '.join(table)}; give one, such as {shown}:{next(iter(table))}"
            )
        (table,) = table.values()
    kinds = {name: kind for name, kind in table.features.items() if hasattr(kind, "decode")}
    for name, kind in kinds.items():
        table = table.cast_column(name, type(kind)(decode=False))
    videos = [name for name, kind in kinds.items() if type(kind).__name__ == "Video"]
    with _blamed_on(source):
        for row in table:
            yield _row_line(row, videos)


@contextmanager
def _blamed_on(source: Path) -> Iterator[None]:
    """Say of any fault of ``datasets``, which may raise anything, that it is one of the data."""
    try:
        yield
    except Exception as error:
        behind = error.__cause__ or error  # it raises errors of its own, which say nothing of the fault
        fault = f"{type(behind).__name__}: {said_by(behind)}"
        raise UserError(f"datasets cannot load {source} ({fault}); correct the name, or download it") from error


def _row_line(row: dict[str, Any], videos: Sequence[str]) -> Unpacked:
    """Return the line and the video of one row; a video that is a path stays in its line."""
    for name in videos:
        video = row[name] or {}
        data, path = video.get("bytes"), video.get("path")
        if data is not None:
            rest = {key: value for key, value in row.items() if key != name}
            suffix = (path or "").rpartition(".")[2].lower()
            return rest, data, suffix if suffix in VIDEO_SUFFIXES else VIDEO_SUFFIXES[0]
        row = {**row, name: path}
    return row, None, ""
