"""One command writes a run's folder at a time: the one that holds the lock of a file in it.

The system takes a lock back when its process ends, however it ends. So a folder whose owner was killed is free.
"""

import fcntl
import os
import socket
from pathlib import Path

from temporay.operators.errors import UserError

FILE = ".owner"
_owned: dict[tuple[int, int], int] = {}  # open files by device and inode: stages of one process share a folder


def own(folder: Path) -> None:
    """Take a folder until this process ends, also when it is moved meanwhile.

    Raises:
        UserError: another process has it.
        OSError: the folder cannot be written.
    """
    path = folder / FILE
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    stat = os.fstat(file)
    if (stat.st_dev, stat.st_ino) in _owned:
        os.close(file)
        return
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
    _owned[stat.st_dev, stat.st_ino] = file
