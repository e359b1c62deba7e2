"""Files that appear whole or not at all, and their hashes."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from temporay.operators.errors import UserError

STORAGE_ERRORS = (  # the user can put these right; any other OSError is a fault of ours
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that replaces ``path`` when it is complete.

    A process that is killed leaves the old file. Two processes may write the same file at the same time.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - atomic on one file system
    except OSError as error:
        if error.errno not in STORAGE_ERRORS:
            raise
        raise UserError(f"cannot write {path}: {error.strerror}; make room for it or give another --out") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write the whole text as UTF-8, or nothing."""
    with whole_file(path) as file:
        file.write(text.encode())


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        UserError: the file cannot be read, or holds something else; ``advice`` says what to do.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read ({why}); {advice}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds no JSON object; {advice}")
    return value


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
