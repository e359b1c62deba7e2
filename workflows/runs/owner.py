"""One command writes a run's folder at a time: the one that holds the lock of a file in it.

The system takes a lock back when its process ends, however it ends. So a folder whose owner was killed is free.
"""

import fcntl
import os
import socket
from pathlib import Path

from temporay.operators.errors import UserError

FILE = ".owner"
_owned: dict[Path, int] = {}  # descriptors by path: stages of one process may open a folder several times


def own(folder: Path) -> None:
    """Take a folder until this process ends.

    Raises:
        UserError: another process has it.
        OSError: the folder cannot be written.
    """
    path = folder.absolute() / FILE
    if path in _owned:
        if path.exists():
            return
        os.close(_owned.pop(path))  # the folder was deleted and made again
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = path.read_text() or "another process"
        os.close(file)
        raise UserError(
            f"{folder} is being written by {owner}; wait until it has ended, or give another --out"
        ) from error
    except OSError:
        print(f"{folder} is on storage without locks: nothing stops a second command that writes there", flush=True)
        os.close(file)
        return
    os.ftruncate(file, 0)
    os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
    _owned[path] = file
