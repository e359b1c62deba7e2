"""``temporay export``: a dataset in another trainer's rows, its clips as files beside them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tyro
from temporay.operators import components
from temporay.operators.dataset.reader import Dataset
from temporay.operators.errors import SampleRejected, UserError, unknown_name
from temporay.operators.exports._base import CLIPS_FOLDER, ExportedSample, ExportFormat, Purpose
from temporay.operators.pixels.clip import encode
from temporay.operators.settings import Settings
from tqdm import tqdm

PACKAGE = "temporay.operators.exports"


class ExportConfig(Settings):
    """Settings of ``temporay export``."""

    data: tyro.conf.Positional[Path]  # a dataset made by ``temporay generate``
    format: str  # verl, ms-swift or llama-factory
    out: Path  # a folder
    stage: Purpose | None = None  # sft: with the assistant's turn; rl: without it; None: the format's main use
    root: Path | None = None  # where the folder will lie when it is read, for formats with absolute paths; None: out


def run(config: ExportConfig) -> list[Path]:
    """Write clips and rows; return the files of the rows.

    Raises:
        UserError: the format or its stage does not exist, there is no finished dataset, a clip cannot be read, or the
            folder cannot be written.
    """
    exporter = format_of(config.format)
    stage = config.stage or exporter.purposes[0]
    if stage not in exporter.purposes:
        raise UserError(f"stage {stage!r} does not exist in {config.format}; give {' or '.join(exporter.purposes)}")
    dataset = Dataset.open(config.data)
    folder = config.out.absolute()
    if folder.resolve() == dataset.path.resolve():
        raise UserError(f"--out is {config.out}, the dataset itself; give another folder")
    with writing(folder):
        (folder / CLIPS_FOLDER).mkdir(parents=True, exist_ok=True)
    exported = list(write_clips(dataset, folder))
    with writing(folder):
        files = exporter.write(exported, folder, purpose=stage, root=config.root or folder)
    print(f"{len(exported)} samples for {config.format} ({stage}): {files[0]}")
    return files


def format_of(name: str) -> ExportFormat:
    """Return the export with this name; names have hyphens.

    Raises:
        UserError: there is none; the message has the nearest name.
    """
    names = [module.replace("_", "-") for module in components.available(PACKAGE)]
    if name not in names:
        raise unknown_name("format", name, names)
    exporter: ExportFormat = components.load(PACKAGE, name.replace("-", "_"))()
    return exporter


def write_clips(dataset: Dataset, folder: Path) -> Iterator[ExportedSample]:
    """Every sample with its clip as a file, rendered and encoded when the dataset is virtual."""
    instruction = dataset.recipe.instruction
    for i in tqdm(range(len(dataset)), unit="clip", disable=not sys.stderr.isatty()):
        sample = dataset.sample(i)
        clip = f"{CLIPS_FOLDER}/{sample.key}.mp4"
        data = dataset.clip_bytes(i) or _rendered(dataset, i)
        with writing(folder):
            (folder / clip).write_bytes(data)
        yield ExportedSample(sample=sample, clip=clip, instruction=instruction, sampling=dataset.recipe.canvas.sampling)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; make room or give another --out") from error


def _rendered(dataset: Dataset, i: int) -> bytes:
    try:
        return encode(dataset.frames(i), dataset.sample(i).clip.fps, dataset.recipe.codec).data
    except SampleRejected as error:
        raise UserError(
            f"{dataset.sample(i).key} of {dataset.path} cannot be rendered ({error}); make the dataset again"
        ) from error
