"""Shards and datasets of other programs: unpacked once, near or over HTTP, and nothing lost without a word."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import datasets
import pytest
from temporay.operators.dataset.opening import Samples
from temporay.operators.errors import UserError
from temporay.operators.own_data.sources import absolute_source, address_of_shards
from temporay.operators.settings import Settings
from temporay.operators.videos.reading import VideoReading
from temporay.workflows.data.own_data import DROPPED, LINES, at_hand, opened, tell_dropped

from tests.own_lines import LINE, video_bytes, write_lines

ASKED = {name: value for name, value in LINE.items() if name != "video"}
R1 = {"problem": "Brighter?", "options": ["A. yes", "B. no"], "solution": "<answer>A</answer>", "path": "gone.mp4"}


class Config(Settings):
    out: Path
    video_reading: VideoReading = VideoReading(fps=5.0, max_frames=4, max_side=32)
    max_dropped_share: float = 0.0


def shard(file: Path, *members: tuple[str, bytes]) -> Path:
    """Write a tar with these members."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def sample(key: str, line: Any, suffix: str = "mp4") -> list[tuple[str, bytes]]:
    return [(f"{key}.{suffix}", video_bytes()), (f"{key}.json", json.dumps(line).encode())]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Write two shards with lines in two forms."""
    folder = tmp_path / "shards"
    shard(folder / "s-000.tar", *sample("a", ASKED), *sample("../b", {**ASKED, "answer": "B"}, "MP4"))
    shard(folder / "s-001.tar", *sample("c.d", R1, "clip.mp4"))
    return folder


@pytest.fixture
def served(shards: Path) -> Iterator[str]:
    """Serve the shards on loopback."""
    handler = partial(Quiet, directory=str(shards))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files; of those whose address ends in ``?cut`` all but their last bytes."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        data = source.read()
        outputfile.write(data[: len(data) // 10_240 * 10_240 - 10_240] if self.path.endswith("?cut") else data)

    def log_message(self, *args: Any) -> None: ...


def questions(samples: Samples) -> list[tuple[str, str]]:
    found = [samples.sample(i) for i in range(len(samples))]
    assert all(samples.frames_shown(i)[0].shape == (4, 32, 32, 3) for i in range(len(samples)))
    return [(one.question.text, one.question.answer) for one in found]


EXPECTED = [("Brighter?", "A"), ("Brighter?", "B"), ("Brighter?", "A")]


def test_shards_near(shards: Path, tmp_path: Path) -> None:
    assert questions(opened(shards, Config(out=tmp_path / "run"))) == EXPECTED
    assert not (tmp_path.parent / "b.mp4").exists()  # names in a tar are never paths


def test_shards_over_http_are_fetched_once(
    served: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, config = Path(f"{served}/s-{{000..001}}.tar"), Config(out=tmp_path / "run")
    assert address_of_shards(source).startswith("http://127") and absolute_source(source) == source
    assert questions(opened(source, config)) == EXPECTED
    assert f"data: 3 lines of {served}/s-{{000..001}}.tar, " in capsys.readouterr().out  # as it was given
    for file in shards.iterdir():
        file.unlink()
    assert questions(opened(source, config)) == EXPECTED


def test_a_shard_that_is_not_there_or_torn_is_one_sentence(served: str, shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the shard http://.*/none\.tar cannot be read \(HTTP Error 404"):
        at_hand(Path(f"{served}/none.tar"), tmp_path / "run")
    with pytest.raises(UserError, match=r"s-000\.tar\?cut cannot be read"):
        at_hand(Path(f"{served}/s-000.tar?cut"), tmp_path / "run")
    with pytest.raises(UserError, match=r"is no shard; give the address of \.tar files"):
        at_hand(Path(f"{served}/lines.jsonl"), tmp_path / "run")
    torn = shards / "s-001.tar"
    torn.write_bytes(torn.read_bytes()[:900])
    with pytest.raises(UserError, match=r"s-001\.tar cannot be read"):
        at_hand(shards, tmp_path / "run")
    assert not list((tmp_path / "run").rglob(LINES))


def test_what_a_shard_lacks_is_dropped_by_name(tmp_path: Path) -> None:
    broken = [("b.mp4", video_bytes()), ("b.json", b"{")]
    alone = [("c.mp4", video_bytes()), ("d.json", json.dumps(ASKED).encode())]
    file = shard(tmp_path / "s.tar", *sample("a", ASKED), *broken, *alone, *sample("e", [1]))
    samples = opened(file, Config(out=tmp_path / "run", max_dropped_share=1.0))
    assert len(samples) == 1
    reasons = [(one.line, one.reason) for one in samples.dropped]
    assert reasons == [(2, "unknown_form"), (3, "unknown_form"), (4, "bad_video"), (5, "unknown_form")]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"answer": "A", "answer": "B"}', '{"answer": NaN}', "\xff"])
def test_what_is_no_json_in_a_shard_is_dropped_as_in_a_file_of_lines(text: str, tmp_path: Path) -> None:
    odd = [("b.mp4", video_bytes()), ("b.json", text.encode("latin-1"))]
    samples = opened(shard(tmp_path / "s.tar", *sample("a", ASKED), *odd), Config(out=tmp_path, max_dropped_share=0.5))
    (dropped,) = samples.dropped
    assert (dropped.line, dropped.reason) == (2, "unknown_form") and "(broken JSON)" in dropped.detail


def test_braces_without_an_end_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"names no shards .*; write a range as \{000\.\.009\}"):
        at_hand(tmp_path / "s-{000..001.tar", tmp_path / "run")


def test_a_saved_dataset(tmp_path: Path) -> None:
    rows = [{**ASKED, "answer": answer, "clip": {"bytes": video_bytes(), "path": "x.mp4"}} for answer in "AB"]
    features = datasets.Features(
        {
            **{name: datasets.Value("string") for name in ("question", "answer")},
            "options": datasets.List(datasets.Value("string")),
            "clip": datasets.Video(decode=False),
        }
    )
    table = datasets.Dataset.from_list(rows, features=features)
    table.save_to_disk(str(tmp_path / "one"))
    assert questions(opened(tmp_path / "one", Config(out=tmp_path / "run"))) == EXPECTED[:2]
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk(str(tmp_path / "both"))
    with pytest.raises(UserError, match="has the splits train, test; give one"):
        at_hand(tmp_path / "both", tmp_path / "run")
    assert questions(opened(tmp_path / "both" / "test", Config(out=tmp_path / "run"))) == EXPECTED[:2]
    (file,) = (tmp_path / "one").glob("*.arrow")
    file.write_bytes(file.read_bytes().replace(b"Brighter?", b"\xffrighter?"))  # found when its row is read
    with pytest.raises(UserError, match=r"datasets cannot load .*one \(UnicodeDecodeError"):
        at_hand(tmp_path / "one", tmp_path / "damaged")


def test_a_folder_of_tables_and_a_name_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_lines(tmp_path / "d" / "train.jsonl", {**LINE, "video": str(tmp_path / "d" / "a.mp4")})
    (tmp_path / "d" / "a.mp4").rename(tmp_path / "a.mp4")
    write_lines(tmp_path / "d" / "train.jsonl", {**LINE, "video": str(tmp_path / "a.mp4")})
    (tmp_path / "d" / "a.mp4").unlink()
    assert questions(opened(Path(f"hf:{tmp_path / 'd'}:train"), Config(out=tmp_path / "run"))) == EXPECTED[:1]
    assert questions(opened(tmp_path / "d", Config(out=tmp_path / "run"))) == EXPECTED[:1]
    with pytest.raises(UserError, match="datasets cannot load hf:nobody/nothing"):
        at_hand(Path("hf:nobody/nothing"), tmp_path / "run")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "train.jsonl").write_text("no JSON")
    with pytest.raises(UserError, match=r"datasets cannot load .*e \(\w+: .*JSON"):  # not "an error occurred"
        at_hand(tmp_path / "e", tmp_path / "run")


def test_dropped_lines_are_told_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_lines(tmp_path / "qa.jsonl", LINE, {**LINE, "answer": "C"}, {"text": "?"})
    samples = opened(file, Config(out=tmp_path, max_dropped_share=0.7))
    tell_dropped("sft", tmp_path, {file: samples.dropped})
    assert "sft: 2 lines of" in (said := capsys.readouterr().out) and "1 bad_answer, 1 unknown_form" in said
    rows = [json.loads(line) for line in (tmp_path / DROPPED).read_text().split("\n") if line]
    assert [(row["line"], row["reason"]) for row in rows] == [(2, "bad_answer"), (3, "unknown_form")]
    with pytest.raises(UserError, match="2 of 3 lines"):
        opened(file, Config(out=tmp_path, max_dropped_share=0.6))
