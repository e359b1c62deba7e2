"""Images of one picture: byte copies, and copies that were encoded or scaled again, under several ids.

    image files → fingerprints (a small decode each, kept in the user's cache) → ids by the smallest id of their picture

Ids say nothing about pictures: with copies under other ids, a picture of ``test`` would be in ``train`` too. Crops and
mirrored pictures are not found. A fingerprint takes five to ten milliseconds of a core, up to twenty minutes for all of
COCO. Those of large folders are kept, so that only files which are new or have changed are decoded again. A dataset's
recipe.json keeps the ids that were found.
"""

import os
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from temporay.operators.dataset.coco import load_image
from temporay.operators.errors import SampleRejected, UserError
from temporay.operators.files import sha256_of, whole_file
from temporay.operators.pixels.likeness import MAX_BITS, hash_of
from temporay.operators.records import Scene
from temporay.operators.seeding import digest

DECODED_SIDE = 128  # px; a JPEG of twice that or more is decoded at a fraction of its size
THUMB_SIDE = 8  # px
MAX_MEAN, MAX_LEVELS = 4.0, 24  # by which thumbs of one picture differ, on average and at most
BLOCK = 256  # images compared with others at once
MIN_KEPT = 1000  # images; fingerprints of fewer are made in a second
CACHE_VERSION = 1  # changes whenever the same file would get another fingerprint

Prints = npt.NDArray[np.void]
PRINT = np.dtype([("file", "<u8"), ("state", "u1"), ("hash", "<u8"), ("thumb", "u1", THUMB_SIDE * THUMB_SIDE * 3)])
UNREADABLE, FLAT, LIKE = 0, 1, 2  # states: an image cannot be read, is known by its bytes alone, by its looks


@dataclass(frozen=True, slots=True)
class Copies:
    """Which images show the same picture."""

    first: Mapping[int, int]  # image id → smallest id of its picture; pictures that occur once are left out

    def picture_of(self, image_id: int) -> int:
        """Return an id that all images of one picture share: the image's own where there is no other."""
        return self.first.get(image_id, image_id)

    def groups(self) -> list[list[int]]:
        """Return the ids of every picture that occurs several times, as JSON values."""
        members: dict[int, list[int]] = defaultdict(list)
        for image_id in sorted(self.first):
            members[self.first[image_id]].append(image_id)
        return [members[first] for first in sorted(members)]

    @classmethod
    def of(cls, groups: Iterable[Sequence[int]]) -> "Copies":
        """Return the copies of which ``groups`` gave the ids."""
        return cls({image_id: min(group) for group in groups for image_id in group})


NO_COPIES = Copies({})


def find_copies(scenes: Sequence[Scene]) -> Copies:
    """Look at every image and find those that show the same picture. Images that cannot be read have no copies."""
    prints_N = _prints_of([Path(scene.path) for scene in scenes])
    parent = list(range(len(scenes)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = n = parent[parent[n]]
        return n

    for a, b in _pairs(prints_N):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for n, scene in enumerate(scenes):
        groups[root(n)].append(scene.image_id)
    return Copies.of(group for group in groups.values() if len(group) > 1)


def _pairs(prints_N: Prints) -> Iterable[tuple[int, int]]:
    """Yield pairs of images that show the same picture.

    Of hashes that differ in few bits, one of the eight bytes is the same: only such pairs are compared.
    """
    flat = np.flatnonzero(prints_N["state"] == FLAT)
    for group in _equal(prints_N["hash"][flat]):
        yield from ((int(flat[group[0]]), int(flat[n])) for n in group[1:])
    like = np.flatnonzero(prints_N["state"] == LIKE)
    hashes, thumbs = prints_N["hash"][like], prints_N["thumb"][like].astype(np.int16)
    for byte in range(8):
        for group in _equal(hashes >> np.uint64(8 * byte) & np.uint64(255)):
            for start in range(0, len(group), BLOCK):
                block, others = group[start : start + BLOCK], group[start:]
                near = np.bitwise_count(hashes[block, None] ^ hashes[others]) <= MAX_BITS
                for n, m in ((block[i], others[j]) for i, j in np.argwhere(np.triu(near, 1))):
                    apart = np.abs(thumbs[n] - thumbs[m])
                    if apart.mean() <= MAX_MEAN and apart.max() <= MAX_LEVELS:
                        yield int(like[n]), int(like[m])


def _equal(values_N: npt.NDArray[np.uint64]) -> list[npt.NDArray[np.int64]]:
    """Return the places of every value that occurs several times."""
    order = np.argsort(values_N, kind="stable")
    cuts = np.flatnonzero(np.diff(values_N[order])) + 1
    return [group for group in np.split(order, cuts) if len(group) > 1]


def _prints_of(paths: Sequence[Path]) -> Prints:
    """Return the fingerprint of every image, from the cache where its file has not changed."""
    files = [_file_of(path) for path in paths]
    cache = _cache_file(paths) if len(paths) >= MIN_KEPT else None
    known = {int(one["file"]): one for one in _kept(cache)}
    new = [n for n, file in enumerate(files) if file not in known]
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as pool:  # threads mix up what each one catches
        made = list(pool.map(lambda n: _print_of(paths[n], files[n]), new))
    known |= {int(one["file"]): one for one in made}
    prints_N = np.array([known[file] for file in files], PRINT)
    if cache is not None and new:
        _keep(cache, np.array(list(known.values()), PRINT))
    return prints_N


def _file_of(path: Path) -> int:
    """Return what tells a file from all others and from itself after a change."""
    try:
        stat = path.stat()
    except OSError:
        return digest(CACHE_VERSION, str(path)) % 2**64
    return digest(CACHE_VERSION, str(path), stat.st_size, stat.st_mtime_ns) % 2**64


def _print_of(path: Path, file: int) -> npt.NDArray[np.void]:
    scene = Scene(image_id=0, path=str(path), captions=(), license_id=None, source_url="")
    thumb = np.zeros(THUMB_SIDE * THUMB_SIDE * 3, np.uint8)
    try:
        picture_HWC = load_image(scene, DECODED_SIDE)
    except SampleRejected:
        return np.array((file, UNREADABLE, 0, thumb), PRINT)
    hashed = hash_of(picture_HWC)
    if hashed is None:
        return np.array((file, FLAT, int(sha256_of(path)[:16], 16), thumb), PRINT)
    thumb = cv2.resize(picture_HWC, (THUMB_SIDE, THUMB_SIDE), interpolation=cv2.INTER_AREA).ravel()
    return np.array((file, LIKE, hashed, thumb), PRINT)


def _cache_file(paths: Sequence[Path]) -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "temporay"
    return folder / f"pictures-{digest(str(paths[0].parent.absolute())):032x}.npy"


def _kept(cache: Path | None) -> Prints:
    """Return the fingerprints that were kept; a file that is missing or damaged holds none."""
    try:
        kept = np.zeros(0, PRINT) if cache is None else np.load(cache)
    except (OSError, ValueError, EOFError):
        return np.zeros(0, PRINT)
    return kept if kept.dtype == PRINT else np.zeros(0, PRINT)


def _keep(cache: Path, prints_N: Prints) -> None:
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(cache) as file:
            np.save(file, prints_N)
    except (OSError, UserError) as error:
        warnings.warn(f"fingerprints of images cannot be kept ({error}); they are made again", RuntimeWarning, 2)
