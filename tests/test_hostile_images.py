"""Images made to do harm: one line, an exit code, no output, and no more memory than is asked for."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest
from PIL import BufrStubImagePlugin, EpsImagePlugin, Image, ImageFile

from cae.bitstream.errors import ImageError, ImageSizeError
from cae.codec.image.picture import read_picture

Bytes = npt.NDArray[np.uint8]
Run = Callable[..., "CompletedProcess[str]"]


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(width: int, height: int, *chunks: bytes, rows: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


BOMBS = {
    "100 gigapixels": png(2**31 - 1, 50, rows=bytes(10**6)),
    "one row too many": png(178_956_971, 1),
    "a row of two gigapixels": png(2**31 - 1, 1),
    "ppm": b"P6 100000 100000 255\n",
    "bmp": bmp(2**30, 2**30),
}

BAD = {
    "more sides than data": png(5000, 5000, rows=bytes(100)),
    "zero width": png(0, 5),
    "zero height": png(5, 0),
    "zero ppm": b"P6 0 0 255\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n",
    "tiff of nothing": b"II*\0\x08\0\0\0\0\0",
    "tiff that points out": b"II*\0\xff\xff\xff\x7f",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix",
}


@pytest.mark.parametrize(("files", "code"), [(BOMBS, 7), (BAD, 3)], ids=["bombs", "bad"])
def test_one_line_and_no_output(cae: Run, tmp_path: Path, stand_in: object, files: dict[str, bytes], code: int) -> None:
    for name, data in files.items():
        source, out = tmp_path / "in.png", tmp_path / "out.cae"
        source.write_bytes(data)
        tracemalloc.start()
        run = cae("encode", source, out)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (run.returncode, run.stdout) == (code, ""), (name, run.stderr)
        assert run.stderr.startswith(f"cae: {source}: ")
        assert run.stderr.count("\n") == 1
        assert not out.exists()
        assert peak < 20_000_000, name


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_cut_is_an_image_error_or_an_image(photo: Bytes, format: str) -> None:
    """Some formats end in bytes that say nothing."""
    whole = saved(Image.fromarray(photo[:24, :24]), format)
    read = 0
    for length in range(len(whole)):
        try:
            read_picture(BytesIO(whole[:length]))
            read += 1
        except ImageError as error:
            assert "\n" not in str(error)  # noqa: PT017
    assert read < 40


def ico(inner: bytes) -> bytes:
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 128, 128, 0, 0, 1, 32, len(inner), 22) + inner


def icns(inner: bytes) -> bytes:
    return b"icns" + struct.pack(">I", len(inner) + 16) + b"ic07" + struct.pack(">I", len(inner) + 8) + inner


@pytest.mark.parametrize("outer", [ico, icns])
def test_images_in_images(outer: Callable[[bytes], bytes]) -> None:
    """What they say of the size is not true; Pillow holds the inner image to its own limit."""
    assert read_picture(BytesIO(outer(saved(Image.new("RGB", (128, 128)), "PNG")))).width == 128
    with pytest.raises(ImageSizeError, match=r"another image.* 100,000 pixels"):
        read_picture(BytesIO(outer(png(5000, 5000, rows=bytes(100)))), 100_000)
    with pytest.raises(ImageSizeError, match="178,956,970"):
        read_picture(BytesIO(outer(png(20_000, 10_000, rows=bytes(100)))))


def test_images_that_grow_while_they_are_loaded() -> None:
    class Handler(ImageFile.StubHandler):
        def open(self, im: ImageFile.StubImageFile) -> None:
            im._mode, im._size = "RGB", (1, 1)

        def load(self, im: ImageFile.StubImageFile) -> Image.Image:
            return Image.new("RGB", (200, 100))

    BufrStubImagePlugin.register_handler(Handler())
    try:
        assert read_picture(BytesIO(b"BUFR")).width == 200
        with pytest.raises(ImageSizeError, match="200 x 100"):
            read_picture(BytesIO(b"BUFR"), 19_999)
    finally:
        BufrStubImagePlugin.register_handler(None)


def test_programs_in_images_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPTC files hold images of any format, among them EPS."""

    def field(record: int, number: int, data: bytes) -> bytes:
        return struct.pack(">BBBH", 0x1C, record, number, len(data)) + data

    parts = [(3, 60, b"\1\0"), (3, 20, b"\0\x0a"), (3, 30, b"\0\x0a"), (3, 120, b"\5"), (8, 10, BAD["eps"])]
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_: pytest.fail("run"))
    with pytest.raises(ImageError, match="not run here"):
        read_picture(BytesIO(b"".join(field(*part) for part in parts)))


def test_animations_give_their_first_frame(cae: Run, photo: Bytes, tmp_path: Path, stand_in: object) -> None:
    frames = [Image.fromarray(np.roll(photo[:40, :40], shift, axis=1)) for shift in range(0, 90, 30)]
    for format in ("PNG", "GIF", "WEBP"):
        source = tmp_path / f"a.{format.lower()}"
        source.write_bytes(saved(frames[0], format, save_all=True, append_images=frames[1:]))
        run = cae("encode", source, tmp_path / "a.cae")
        assert run.returncode == 0
        assert f"cae: {source}: first of several frames taken" in run.stderr


def test_a_text_bomb_is_left_out() -> None:
    """The pixels are sound, and no more of the text is inflated than a file may have."""
    bomb = png(1, 1, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))), rows=bytes(4))
    picture = read_picture(BytesIO(bomb))
    assert (picture.width, picture.height, picture.notes) == (1, 1, ("damaged and left out: zTXt",))
