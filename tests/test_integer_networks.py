"""Coding in numpy, by the compiled kernels and by torch: the same by each."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cae.bitstream.container import Tile, unpack
from cae.bitstream.errors import CorruptError, DecodeMismatchError
from cae.codec import select
from cae.codec.backends import networks as graph
from cae.codec.backends import numpy_layers
from cae.codec.backends.interface import Networks
from cae.codec.backends.kernels.instructions import levels
from cae.codec.backends.networks import NUMPY
from cae.codec.codec import FileCoder
from cae.codec.image.picture import Bytes, Picture, read_picture
from cae.codec.model.arrays import Floats
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import Codec, load_codec

FILES = json.loads((Path(__file__).parent / "vectors" / "files.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("cpu")


@pytest.fixture(scope="module", params=[NUMPY, *list(levels())[:1]])
def cpu_codec(request: pytest.FixtureRequest) -> FileCoder:
    """By numpy alone, and by the kernels of the best level; tests/test_native.py compares those of all levels."""
    return load_on_cpu(level=request.param)


@pytest.mark.parametrize("case", FILES, ids=lambda case: case["name"])
@pytest.mark.parametrize("level", [NUMPY, *levels()])
def test_golden_files(level: str, case: dict[str, str]) -> None:
    cpu_codec = load_on_cpu(level=level)
    data = base64.b64decode(case["file"])
    latents = cpu_codec.decode_latents(unpack(data))
    assert hashlib.sha256(latents.tobytes()).hexdigest() == case["latents_sha256"]
    decoded = cpu_codec.decode(data)
    pixels = np.frombuffer(base64.b64decode(case["pixels"]), np.uint8).reshape(decoded.pixels.shape)
    assert np.array_equal(decoded.pixels, pixels)


def test_all_is_float32(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """With any numpy: 1.26 makes float64 of what is clipped to Python's numbers, where these have many digits."""
    clip = np.clip

    def strict(x: Any, least: Any, most: Any, **options: Any) -> Any:
        assert {type(least), type(most)} == {np.float32}
        return clip(x, least, most, **options)

    cpu_codec = load_on_cpu(level=NUMPY)
    data = codec.encode(Picture(photo), 90)
    monkeypatch.setattr(numpy_layers.np, "clip", strict)
    assert cpu_codec.encode(Picture(photo), 90) == data
    assert np.array_equal(cpu_codec.decode(data).pixels, codec.decode(data).pixels)


@pytest.mark.slow
@pytest.mark.parametrize(("quality", "tile"), [(0, 16), (30, 16), (60, 16), (85, 16), (100, 16), (40, 1), (90, 1)])
def test_the_same_as_torch(
    codec: Codec, cpu_codec: FileCoder, photo: Bytes, quality: float, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of photographs and of noise, whose numbers come near the limits; in tiles and windows."""
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", tile)
    noise = np.random.default_rng(1).integers(0, 2, photo.shape, np.uint8) * 255
    for pixels in (photo, noise, np.tile(photo, (1, 6, 1)), photo[..., 0]):
        data = codec.encode(Picture(pixels), quality, effort=2)
        assert cpu_codec.encode(Picture(pixels), quality, effort=2) == data
        assert np.array_equal(cpu_codec.decode(data).pixels, codec.decode(data).pixels)


@pytest.mark.parametrize("effort", [1, 5])
def test_many_at_once(codec: Codec, cpu_codec: FileCoder, photo: Bytes, effort: int) -> None:
    pictures = [Picture(photo[top : top + 60]) for top in (0, 30, 60)]
    data = cpu_codec.encode_many(pictures, 70, effort=effort)
    assert data == [codec.encode(picture, 70, effort=effort) for picture in pictures]
    for decoded, file in zip(cpu_codec.decode_many(data), data, strict=True):
        assert np.array_equal(decoded.pixels, codec.decode(file).pixels)


def test_the_largest_latents(codec: Codec, cpu_codec: FileCoder, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far beyond any picture's: everything that is limited is, and symbols escape."""
    for networks in (codec.coder.networks, cpu_codec.coder.networks):
        analyse = networks.analyse
        monkeypatch.setattr(networks, "analyse", lambda x, row, analyse=analyse: analyse(x, row) * 40)
    for quality in (10, 90):
        data = codec.encode(read_picture(photo), quality, effort=1)
        assert cpu_codec.encode(read_picture(photo), quality, effort=1) == data
        assert np.array_equal(cpu_codec.decode_latents(unpack(data)), codec.decode_latents(unpack(data)))
        assert np.array_equal(cpu_codec.decode(data).pixels, codec.decode(data).pixels)


@pytest.mark.parametrize("row", [0, 128, 255])
def test_networks_agree_on_any_numbers(codec: Codec, cpu_codec: FileCoder, row: int) -> None:
    """With symbols and hyper-latents from 0 to what only a damaged file has."""
    by_torch, networks = codec.coder.networks, cpu_codec.coder.networks
    z = np.random.default_rng(8).integers(-200, 201, (1, 3, 4, networks.hyper_scale_indices.shape[1]), np.int32)

    def run(networks: Networks) -> list[npt.NDArray[Any]]:
        rng = np.random.default_rng(9)
        seen: list[npt.NDArray[Any]] = []

        def resolve(step: int, means: Floats, rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
            seen.extend((means.copy(), rows.copy()))
            scale = 2.0 ** rng.integers(0, 21, means.shape)
            return (rng.normal(size=means.shape) * scale * (rows > 20)).astype(np.int32)

        latents = networks.run_context_steps(z, row, resolve)
        return [*seen, latents, networks.synthesise(latents, row)]

    for one, other in zip(run(by_torch), run(networks), strict=True):
        assert np.array_equal(one, other)


def test_positions_where_the_analysis_runs_away(
    codec: Codec, cpu_codec: FileCoder, photo: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They get the linear transform's latents, the others stay as they were."""
    images = np.ascontiguousarray(photo[None, :112, :192])

    def latents(limit: float) -> Floats:
        monkeypatch.setattr(graph, "RUNAWAY", limit)
        y = cpu_codec.coder.networks.analyse(images, 100)
        assert np.array_equal(y, codec.coder.networks.analyse(images, 100))
        return y

    full, linear = latents(np.inf), latents(-1)
    limit = float(np.median(np.abs(full - linear).max(axis=-1)))
    away = (np.abs(full - linear) > limit).any(axis=-1)
    assert 0.4 < away.mean() < 0.6
    assert not np.array_equal(full, linear)
    assert np.array_equal(latents(limit * 1.0001), np.where(away[..., None], linear, full))


def test_parts_and_reductions(codec: Codec, cpu_codec: FileCoder, photo: Bytes) -> None:
    data = codec.encode(read_picture(photo), 50, effort=1)
    for options in ({"region": (30, 20, 50, 40)}, {"scale": 4}):
        given: dict[str, Any] = options
        assert np.array_equal(cpu_codec.decode(data, **given).pixels, codec.decode(data, **given).pixels)


def test_damage(codec: Codec, cpu_codec: FileCoder, photo: Bytes) -> None:
    data = codec.encode(read_picture(photo), 50, effort=1)
    (tile,) = unpack(data).tiles
    height, width = -(-photo.shape[0] // 64) * 4, -(-photo.shape[1] // 64) * 4
    row = unpack(data).header.rate_index
    with pytest.raises(DecodeMismatchError):
        cpu_codec.coder.latents(Tile(tile.payload, tile.latents_checksum ^ 1), height, width, row)
    # What is left may be used up by chance, with other latents.
    with pytest.raises((CorruptError, DecodeMismatchError)):
        cpu_codec.coder.latents(Tile(tile.payload[:-9], tile.latents_checksum), height, width, row)


@pytest.mark.skipif(not shutil.which("cc") or sys.platform == "win32", reason="no C compiler")
def test_kernels_were_compiled() -> None:
    """An error in them is none for pip. The last level is everyone's."""
    assert list(levels())[-1:] == ["plain"]


CHOICE = """
import sys
{before}
import cae
from cae.codec import select
data = open(sys.argv[1], "rb").read()
first = cae.decode(data)
again = cae.encode(first, effort={effort})
print("torch" in sys.modules, end=" ")
select.{name} = {limit}
same = cae.decode(data).tobytes() == first.tobytes() and cae.encode(first, effort={effort}) == again
print(same, "torch" in sys.modules and sys.modules["torch"] is not None)
"""

UNCOMPILED = "from cae.codec.backends.kernels import instructions; instructions.levels = dict"
GPU = "from cae.codec import select; select._may_have_gpu = lambda: True; select.resolve_device = lambda device: 'cuda'"
NO_TORCH = "sys.modules['torch'] = None"  # as if it were not installed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "effort", "limit", "expected"),
    [
        (UNCOMPILED, 2, "ARRAY_PIXELS = 0", "False True False"),
        (f"{UNCOMPILED}; {GPU}", 2, "ARRAY_PIXELS = 2**21", "False True False"),
        (f"{UNCOMPILED}; {GPU}", 1, "ARRAY_PIXELS = 70000", "False True True"),  # the third coding is beyond it
        # So many rounds are.
        (f"{UNCOMPILED}; {GPU}; select.ARRAY_PIXELS = 500000", 9, "ARRAY_PIXELS = 0", "True True True"),
        (f"{UNCOMPILED}; {GPU}; import torch", 1, "ARRAY_PIXELS = 2**21", "True True True"),
        *(
            pytest.param(*case, marks=pytest.mark.skipif(not levels(), reason="no kernels were compiled"))
            for case in (
                ("", 2, "KERNEL_PIXELS = 0", "False True False"),
                (GPU, 1, "KERNEL_PIXELS = 2**24", "False True False"),
                (GPU, 1, "KERNEL_PIXELS = 70000", "False True True"),
                (f"{GPU}; {NO_TORCH}", 1, "KERNEL_PIXELS = 0", "True True False"),
            )
        ),
    ],
)
def test_torch_is_imported_where_a_gpu_pays(
    codec: Codec, photo: Bytes, tmp_path: Path, before: str, effort: int, limit: str, expected: str
) -> None:
    path = tmp_path / "photo.cae"
    path.write_bytes(codec.encode(read_picture(photo), 50, effort=1))
    name, number = limit.split(" = ")
    script = CHOICE.format(before=before, effort=effort, name=name, limit=number)
    result = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == expected


def test_the_cpu_is_taken_where_it_is_asked_for(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever GPU there is, and with torch at hand."""
    header = unpack(codec.encode(read_picture(photo), 50, effort=1)).header
    monkeypatch.setattr(select, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(select, "resolve_device", lambda device: "cuda")
    assert isinstance(select.load_decoder("auto", header), Codec)
    assert not isinstance(select.load_decoder("cpu", header), Codec)
