"""Whether OUT is one folder for the driver and for every worker, found out before anything is computed.

A folder that only looks the same on every node would hold a part of every checkpoint on each, and metrics that the
driver never reads.
"""

import socket
import time
import uuid
from pathlib import Path

from temporay.operators.errors import UserError
from temporay.operators.files import write_text

PREFIX = ".shared-"
WAIT_S = 10.0  # for a network file system to show what another node has just written
POLL_S = 0.2


def write_token(out: Path) -> str:
    """Leave a file of a new name in a folder, for ``check_shared`` on every node; return its name."""
    for old in out.glob(f"{PREFIX}*"):
        old.unlink(missing_ok=True)
    name = f"{PREFIX}{uuid.uuid4().hex}"
    write_text(out / name, "")
    return name


def check_shared(out: Path, token: str, wait_s: float = WAIT_S) -> None:
    """Check that this process sees what the driver wrote.

    Raises:
        UserError: it does not.
    """
    deadline = time.monotonic() + wait_s
    while not (out / token).exists():
        if time.monotonic() > deadline:
            raise UserError(
                f"{out} on {socket.gethostname()} is not the folder that the command writes to; give --out a folder on "
                "storage that all nodes mount at the same place, such as NFS or Lustre"
            )
        time.sleep(POLL_S)
