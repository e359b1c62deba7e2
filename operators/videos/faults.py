"""A file that the library cannot read is the file's fault, and never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from temporay.operators.errors import SampleRejected, said_by

UNDECODABLE = "video_undecodable"


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Turn any error of the code inside, which calls the library and does nothing else, into one about the file.

    Raises:
        SampleRejected: ``video_undecodable``.
    """
    try:
        yield
    except SampleRejected:
        raise
    except Exception as error:  # PyAV raises errors of many kinds, also IndexError and ValueError
        if isinstance(error, MemoryError) and not isinstance(error, av.error.FFmpegError):
            raise  # this process has too little; FFmpeg's own comes of sizes that no file has
        raise SampleRejected(UNDECODABLE, f"{path}: {type(error).__name__}, {said_by(error)}") from error
