"""``temporay overlap``: what of a benchmark, or of other held-out questions, is in the training data.

questions and clips of both sides -> fingerprints -> names, questions and frames that both have -> counts and a list
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import tyro
from temporay.operators.audit.overlap import Fingerprint, Overlap, fingerprint, overlaps
from temporay.operators.benchmarks._base import Benchmark, benchmark_called
from temporay.operators.dataset.opening import open_samples
from temporay.operators.dataset.own_media import first_path
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.files import write_text
from temporay.operators.media import Clips
from temporay.operators.settings import Settings
from temporay.operators.videos.reading import VideoReading
from temporay.operators.videos.sampled_video import SampledVideo

MAX_SHOWN = 5  # overlaps of each kind that are named


class OverlapConfig(Settings):
    """Settings of ``temporay overlap``."""

    data: tyro.conf.Positional[Path]  # what is trained on: a dataset, or a file of own lines
    tested: tyro.conf.Positional[Path]  # what is tested on: the same, or the folder of a benchmark
    benchmark: str | None = None  # whose files are in ``tested``
    frames: bool = True  # also compare what the videos show; all of them are decoded
    out: Path | None = None  # JSON lines: each overlap; None: only counts and the first ones are printed
    video_reading: VideoReading = VideoReading(rule="count", count=5)


def run(config: OverlapConfig) -> list[Overlap]:
    """Print how many tested questions share a video's name, their words or their frames with the training data.

    Raises:
        UserError: one side cannot be read.
    """
    unread: Counter[str] = Counter()
    trained = list(of_samples(config.data, config, unread))
    if config.benchmark is None:
        tested = list(of_samples(config.tested, config, unread))
    else:
        tested = list(of_benchmark(benchmark_called(config.benchmark), config, unread))
    found = overlaps(trained, tested)
    for kind in ("video name", "question", "frames"):
        some = [one for one in found if one.kind == kind]
        named = "; ".join(f"{one.tested} = {one.trained}" for one in some[:MAX_SHOWN])
        print(f"{kind}: {len(some)} of {len(tested)} tested questions{f' ({named})' if named else ''}")
    without = sum(not len(one.hashes_T) for one in tested) if config.frames else len(tested)
    print(f"{len(trained)} trained and {len(tested)} tested questions; {without} tested ones without frames to compare")
    for reason, count in unread.items():
        print(f"{count} videos were not compared: {reason}")
    if config.out is not None:
        write_text(config.out, "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in found))
    return found


def of_samples(path: Path, config: OverlapConfig, unread: Counter[str]) -> Iterator[Fingerprint]:
    """Yield the fingerprints of a dataset, or of own lines.

    Raises:
        UserError: it cannot be read, or is empty.
    """
    samples = open_samples(path, config.video_reading)
    if len(samples) == 0:
        raise UserError(f"{path} has no samples; give one that has some")
    for i in range(len(samples)):
        sample = samples.sample(i)
        question = sample.question
        yield fingerprint(
            sample.key,
            first_path(sample.facts),
            question.text,
            question.options if question.lists_options else (),
            _read(partial(samples.frames_shown, i), config, unread),
        )


def of_benchmark(benchmark: Benchmark, config: OverlapConfig, unread: Counter[str]) -> Iterator[Fingerprint]:
    """Yield the fingerprints of a benchmark's questions. Names of several videos are compared by the first.

    Raises:
        UserError: an annotation file is missing or damaged.
    """
    for item in benchmark.read(config.tested).items:
        paths = [config.tested / name for name in item.videos]
        videos = [SampledVideo(path=path, reading=config.video_reading, folder_fps=item.fps) for path in paths]
        clips = _read(partial(frames_in_order, videos), config, unread)
        yield fingerprint(item.id, item.videos[0], item.question, item.options, clips)


def frames_in_order(videos: Sequence[SampledVideo]) -> Clips:
    """Return the frames of videos that their settings choose.

    Raises:
        SampleRejected: one cannot be read.
    """
    return tuple(video.frames_of(video.taken().medium) for video in videos)


def _read(read: Callable[[], Clips], config: OverlapConfig, unread: Counter[str]) -> Clips:
    """Return the frames of a question; none, and counted, if they cannot be read."""
    if not config.frames:
        return ()
    try:
        return read()
    except SampleRejected as error:
        unread[error.reason] += 1
        return ()
