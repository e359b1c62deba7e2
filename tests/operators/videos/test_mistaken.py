"""What is taken for a video is named as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from temporay.operators.errors import SampleRejected
from temporay.operators.videos.header import probe

from tests.odd_videos import write_video

LISTED = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "animated"])
def test_a_picture_is_no_video(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (64, 48), (40 * n, 0, 0)) for n in range(4)]
    more = {"save_all": True, "append_images": frames[1:]} if kind == "animated" else {}
    frames[0].save(tmp_path / "a.mp4", format="WEBP" if kind == "animated" else kind, **more)
    with pytest.raises(SampleRejected, match=r"no_video: .*a\.mp4 is a picture, or an animation that cannot be read"):
        probe(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    "text",
    [
        LISTED.format("part.ts"),
        LISTED.format("http://127.0.0.1:1/part.ts"),
        "ffconcat version 1.0\nfile part.ts\n",
        "ffconcat version 1.0\nfile /etc/hostname\n",
    ],
)
def test_a_list_of_other_files_is_no_video(tmp_path: Path, text: str) -> None:
    write_video(tmp_path / "part.ts")
    (tmp_path / "a.mp4").write_text(text)
    with pytest.raises(SampleRejected, match=r"a\.mp4 is a list of other files; make one video of it"):
        probe(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a pointer of Git LFS; fetch"),
        (b"/annex/objects/SHA256E-s31390--f50d7.mp4\n", "a pointer of git-annex; fetch"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page; download the video itself"),
        (b"PK\x03\x04" + bytes(100), "a ZIP archive; unpack it"),
        (b"", "empty; get it again"),
    ],
)
def test_what_was_fetched_in_place_of_a_video_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(SampleRejected, match=rf"video_undecodable: .*a\.mp4 is {what}"):
        probe(tmp_path / "a.mp4")
