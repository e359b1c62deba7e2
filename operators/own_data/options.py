"""Options as a user writes them: their labels count, not their places.

    ["(B) no", "(A) yes"] -> Options(labels ("A", "B"), texts ("yes", "no"))
    {"B": "x", "C": "y"}  -> Options(labels ("B", "C"), texts ("x", "y"))

Options are put in the order of their labels, so that a chain of thought which names a letter stays true.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from temporay.operators.errors import SampleRejected
from temporay.operators.markup import encodable, is_visible, without_markers
from temporay.operators.records import LETTERS

MIN_OPTIONS = 2
_LETTER, _END = rf"[{LETTERS}{LETTERS.lower()}]", r"[.):：、．）]"
_SPACED = re.compile(rf"\s*(?:[(（]({_LETTER})[)）]|({_LETTER}){_END})\s+(\S.*?)\s*", re.DOTALL)
_TIGHT = re.compile(rf"\s*(?:[(（]({_LETTER})[)）]|({_LETTER}){_END})\s*(\S.*?)\s*", re.DOTALL)
_NUMBERED = re.compile(r"\s*(?:\(([0-9]{1,2})\)|([0-9]{1,2})[.):])\s+(\S.*?)\s*", re.DOTALL)
_INLINE = re.compile(rf"(?<!\S)\(([{LETTERS}])\)(?=\s)")
_KEY = re.compile(rf"[(（]?({_LETTER}|[0-9]{{1,2}})[)）.:]?")


@dataclass(frozen=True, slots=True)
class Options:
    """Texts of options and the labels that an answer may name them by, in the order of the labels."""

    labels: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def are_lettered_from_a(self) -> bool:
        return self.labels == tuple(LETTERS[: len(self.labels)])


def read_options(given: Any) -> Options:
    """Return options given as a list of texts, with or without labels, or as an object that maps labels to texts.

    Raises:
        SampleRejected: ``bad_options``, or ``bad_labels`` where labels are missing, occur twice or contradict keys.
    """
    keys = [str(key) for key in given] if isinstance(given, Mapping) else None
    listed = list(given.values()) if isinstance(given, Mapping) else given
    if not isinstance(listed, list | tuple):
        raise SampleRejected("bad_options", f"options must be a list of texts or an object, not {given!r:.80}")
    texts = [_text(one) for one in listed]
    if not MIN_OPTIONS <= len(texts) <= len(LETTERS):
        raise SampleRejected("bad_options", f"there must be {MIN_OPTIONS} to {len(LETTERS)} options, not {len(texts)}")
    inner, bare = _labels_in(texts)
    if keys is not None:
        labels = [_label_of(key) for key in keys]
        if inner is not None and inner != labels:
            raise SampleRejected("bad_labels", f"keys {', '.join(keys)} contradict the labels {', '.join(inner)}")
    else:
        labels = inner or list(LETTERS[: len(texts)])
    return _in_order(labels, bare)


def listed_in(text: str) -> tuple[str, Options] | None:
    """Return a question and the options that stand below it, or ``(A) up (B) down`` in one line; None where none do.

    What stands below the options, usually how to answer, is left out.

    Raises:
        SampleRejected: ``bad_labels``.
    """
    lines = [part for line in text.split("\n") for part in _taken_apart(line)]
    found = [_TIGHT.fullmatch(line) for line in lines]
    rows = [n for n, match in enumerate(found) if match]
    if len(rows) < MIN_OPTIONS:
        return None
    return "\n".join(lines[: rows[0]]).strip(), read_options([lines[n] for n in rows])


def _taken_apart(line: str) -> list[str]:
    """Return the options of a line that holds several, after what stands before them; else the line itself."""
    labels = "".join(_INLINE.findall(line))
    if len(labels) < MIN_OPTIONS or labels != LETTERS[: len(labels)]:
        return [line]
    starts = [match.start() for match in _INLINE.finditer(line)]
    parts = [line[start:end] for start, end in zip([0, *starts], [*starts, len(line)], strict=True)]
    return [part for part in parts if part.strip()]


def label_and_words(text: str) -> tuple[str, str] | None:
    """Split ``(B) left`` into a label and words, which may be empty; None where a text begins with no label."""
    alone = _KEY.fullmatch(text.strip())
    if alone is not None:
        return alone[1].upper(), ""
    match = _SPACED.fullmatch(text) or _NUMBERED.fullmatch(text)
    return None if match is None else ((match[1] or match[2]).upper(), match[3])


def _text(option: Any) -> str:
    if isinstance(option, bool) or not isinstance(option, str | int | float) or not is_visible(str(option)):
        raise SampleRejected("bad_options", f"an option must be a text or a number, not {option!r:.80}")
    if isinstance(option, float) and not math.isfinite(option):  # JSON's 1e400 is read as infinity
        raise SampleRejected("bad_options", "an option is a number too large to be told; write it as a text")
    return encodable(str(option)).strip()


def _labels_in(texts: Sequence[str]) -> tuple[list[str] | None, list[str]]:
    """Return the labels that the texts begin with, or None, and the texts without them."""
    for pattern in (_SPACED, _TIGHT, _NUMBERED):
        found = [pattern.fullmatch(text) for text in texts]
        matches = [match for match in found if match is not None]
        labels = [(match[1] or match[2]).upper() for match in matches]
        if len(matches) == len(texts) and (pattern is not _NUMBERED or _counts_up(labels)):
            return labels, [match[3] for match in matches]
        if matches and pattern is _SPACED:
            unlabeled = next(text for text, match in zip(texts, found, strict=True) if match is None)
            raise SampleRejected("bad_labels", f"{unlabeled!r:.80} has no label, but others have; label all or none")
    return None, list(texts)


def _label_of(key: str) -> str:
    match = _KEY.fullmatch(key.strip())
    if match is None:
        raise SampleRejected("bad_labels", f"keys of options must be letters or numbers, not {key!r:.80}")
    return match[1].upper()


def _counts_up(labels: Sequence[str]) -> bool:
    """Tell labels from numbers that belong to the options, such as those of "(2) dogs" and "(3) dogs"."""
    first = min(map(int, labels))
    return first in (0, 1) and sorted(map(int, labels)) == list(range(first, first + len(labels)))


def _in_order(labels: Sequence[str], texts: Sequence[str]) -> Options:
    """Sort options by label.

    Raises:
        SampleRejected: two labels or texts are the same, or the labels have gaps.
    """
    pairs = sorted(zip(labels, texts, strict=True), key=lambda pair: (len(pair[0]), pair[0]))
    ordered = [label for label, _ in pairs]
    are_numbers = all(label.isdigit() for label in ordered)
    if not (_counts_up(ordered) if are_numbers else "".join(ordered) in LETTERS):
        raise SampleRejected("bad_labels", f"labels {', '.join(labels)} occur twice or have gaps; label them A, B, C …")
    clean = tuple(" ".join(without_markers(text).split()) for _, text in pairs)
    if len(set(clean)) < len(clean):
        raise SampleRejected("bad_options", f"options must differ, not {list(clean)!r:.80}")
    return Options(tuple(ordered), clean)
