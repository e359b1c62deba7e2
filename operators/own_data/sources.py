"""Where own data may be, beside files and folders: names of the Hub and addresses of shards.

    hf:OWNER/NAME[:SPLIT]            a dataset of the Hub
    https://HOST/shard-{000..009}.tar  WebDataset shards

Settings hold them as paths, in which two slashes become one.
"""

import re
from pathlib import Path

HUB = "hf:"
_REMOTE = re.compile(r"(https?):/+")


def is_remote(source: Path) -> bool:
    """Return whether a source is no place in a file system."""
    return str(source).startswith(HUB) or _REMOTE.match(str(source)) is not None


def absolute_source(source: Path) -> Path:
    """Return a source that means the same in every process."""
    return source if is_remote(source) else source.expanduser().absolute()


def address_of_shards(source: Path) -> str:
    """Return the address or path of shards as it was given."""
    return _REMOTE.sub(r"\1://", str(source), count=1)
