"""The JSON lines that a run began with, kept in its folder: videos may be lost while it is interrupted.

A line whose video is gone gives no sample any more, and all rows behind it would move. So a run that goes on takes the
samples that it began with, as long as its lines say the same. A lost video is met in its turn, and left out there.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from temporay.operators.dataset.video_qa import VideoQa
from temporay.operators.errors import UserError, first_fault
from temporay.operators.files import write_text
from temporay.workflows.runs.run_dir import BEGIN_AGAIN
from temporay.workflows.sft.mixture import Part

FILE = "json_lines.json"
OF_VIDEO = "video_"  # what reasons about the video of a line begin with, and not about its question
KEPT: TypeAdapter[list[VideoQa | None]] = TypeAdapter(list[VideoQa | None])  # by part; None: a dataset


def as_begun(parts: tuple[Part, ...], out: Path) -> tuple[Part, ...]:
    """Return the parts with the lines that the run began with; keep them if it begins now.

    Args:
        out: the folder of the run.

    Raises:
        UserError: what is kept cannot be read.
    """
    path = out / FILE
    if all(part.lines is None for part in parts):
        return parts
    if not path.exists():
        write_text(path, KEPT.dump_json([part.lines for part in parts]).decode())
        return parts
    return tuple(_with(part, lines) for part, lines in zip(parts, _read(path, len(parts)), strict=True))


def _read(path: Path, num_parts: int) -> Sequence[VideoQa | None]:
    try:
        kept = KEPT.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = first_fault(error) if isinstance(error, ValidationError) else error.strerror
        raise UserError(f"{path} cannot be read ({why}); {BEGIN_AGAIN}") from error
    if len(kept) != num_parts:
        raise UserError(f"{path} holds {len(kept)} datasets, and the run has {num_parts}; {BEGIN_AGAIN}")
    return kept


def _with(part: Part, begun: VideoQa | None) -> Part:
    """Return a part with its first lines. If its lines say something else by now, it stays as it is and is refused."""
    if begun is None or part.lines is None:
        return part
    known = {sample.key: sample for sample in begun.samples}
    now = {sample.key: sample for sample in part.lines.samples}
    lost = {line.line for line in part.lines.dropped if line.reason.startswith(OF_VIDEO)}
    found_again = {line.line for line in begun.dropped if line.reason.startswith(OF_VIDEO)}
    is_same = all(
        now[key].question == sample.question if key in now else sample.facts["line"] in lost
        for key, sample in known.items()
    )
    added = [sample for key, sample in now.items() if key not in known and sample.facts["line"] not in found_again]
    if not is_same or added:
        return part
    return replace(part, lines=begun, num_rows=len(begun), fingerprint=begun.fingerprint)
