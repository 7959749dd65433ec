"""Fixtures for several tests: images, a stand-in for the networks, and the command in this process."""

from __future__ import annotations

import shutil
import signal
import sys
import types
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image

from cae.bitstream import container
from cae.bitstream.header import Header
from cae.cli.main import main
from cae.codec.encode.options import EncodeOptions
from cae.codec.image.chunks import metadata_of
from cae.codec.image.picture import Picture, to_rgb

Bytes = npt.NDArray[np.uint8]


def pytest_configure() -> None:
    """Has interrupts work where a shell started the tests in the background, which ignores them there."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def photo() -> Bytes:
    """A part of a photograph, uint8 [120, 200, 3]: no multiple of 64 in either direction."""
    pixels: Bytes = skimage.data.astronaut()[40:160, 150:350].copy()  # type: ignore[no-untyped-call]
    return pixels


@pytest.fixture
def photo_png(tmp_path: Path, photo: Bytes) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(photo).save(path)
    return path


@pytest.fixture
def cae(capsys: pytest.CaptureFixture[str]) -> Callable[..., CompletedProcess[str]]:
    """Run the command `cae` in this process."""

    def run(*arguments: object) -> CompletedProcess[str]:
        capsys.readouterr()
        words = [str(argument) for argument in arguments]
        with pytest.raises(SystemExit) as ended:
            main(words, prog_name="cae")
        out, err = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return CompletedProcess(words, code, out, err)

    return run


class StandIn:
    """In place of the codec: the same container with deflated pixels, for the tests of what is around it."""

    fingerprint = b"\1\2\3\4"

    def share(self, width: int, height: int) -> float:
        return 1

    def encode_pictures(self, pictures: Sequence[Picture], options: EncodeOptions, *rest: object) -> list[bytes]:
        return [self._encode(picture, options.quality) for picture in pictures]

    def _encode(self, picture: Picture, quality: float) -> bytes:
        header = Header(picture.width, picture.height, picture.grey, round(quality * 2.55), self.fingerprint, tile=32)
        parts = {
            container.ALPHA: None if picture.alpha is None else zlib.compress(picture.alpha.tobytes()),
            **{kind.chunk: data for kind, data in picture.metadata.parts()},
            container.AS_RGB: b"" if picture.as_rgb else None,
        }
        chunks = tuple(container.Chunk(kind, data) for kind, data in parts.items() if data is not None)
        tile = container.Tile(zlib.compress(picture.pixels.tobytes()), 0)
        return container.pack(container.Container(header, chunks, (tile,)))

    def decode(self, data: bytes, **options: object) -> Picture:
        file = container.unpack(data)
        shape = (file.header.height, file.header.width)
        chunks = {chunk.kind: chunk.data for chunk in file.chunks}
        coded = chunks.get(container.ALPHA)
        pixels = _array(file.tiles[0].payload, shape if file.header.grey else (*shape, 3))
        return Picture(
            to_rgb(pixels) if container.AS_RGB in chunks else pixels,
            None if coded is None else _array(coded, shape),
            metadata_of(file.chunks),
        )


def _array(data: bytes, shape: tuple[int, ...]) -> Bytes:
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Lets `cae.codec.torch_codec.load_codec` and both functions of `cae.codec.select` give a StandIn."""
    codec = StandIn()
    module = types.ModuleType("cae.codec.torch_codec")
    module.load_codec = lambda *arguments: codec  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cae.codec.torch_codec", module)
    monkeypatch.setattr("cae.codec.select.load_decoder", lambda *arguments: codec)
    monkeypatch.setattr("cae.codec.select.load_encoder", lambda *arguments, **options: codec)
    return codec


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "disable-dev-shm-usage",
    "no-first-run",
    "disable-sync",
    "disable-background-networking",
    "disable-component-update",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium, driven by selenium; its log is kept."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("there is no Chromium with its chromedriver; Debian's chromium-driver has both")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in [*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('browser')}"]:
        options.add_argument(f"--{flag}")
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()
