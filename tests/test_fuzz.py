"""Any bytes decode or raise a CaeError, and nothing else; what fuzzing found is in vectors/invalid.

The same changes, guided by coverage and for as long as one likes: tests/fuzz/fuzz_decode.py.
"""

from __future__ import annotations

import random
import runpy
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from cae.bitstream.alpha import compress_plane
from cae.bitstream.container import ALPHA, Chunk, Container, Tile, latents_checksum, pack, unpack
from cae.bitstream.entropy import encode_steps
from cae.bitstream.errors import CaeError
from cae.bitstream.header import Header
from cae.bitstream.salvage import salvage
from cae.codec.image.metadata import Metadata
from cae.codec.image.picture import Picture, read_picture
from cae.codec.info import info
from cae.codec.torch_codec import Codec, load_codec

mutation = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "fuzz" / "mutation.py")))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("cpu")


@pytest.fixture(scope="module")
def files(codec: Codec, photo: npt.NDArray[np.uint8]) -> list[bytes]:
    """Small, and of all kinds: grey, colour, alpha in both forms and metadata, two tiles."""
    part = photo[:50, :60]
    pictures = [
        Picture(part[:1, :1, 0].copy()),
        Picture(part.copy()),
        Picture(part.copy(), part[..., 0].copy(), Metadata(b"profile", b"exif", b"<x/>")),
    ]
    coded = [codec.encode(picture, quality) for picture in pictures for quality in (0, 70)]
    with pytest.MonkeyPatch.context() as patch:
        # Both forms of alpha are in: the first is smaller only where there is next to none.
        patch.setattr("cae.codec.image.alpha.to_chunk", lambda plane, effort: Chunk(ALPHA, compress_plane(plane)))
        coded.append(codec.encode(pictures[-1], 20))
        patch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
        coded.append(codec.encode(read_picture(photo[:64, :128]), 20))
        # Text that is without loss beside a photograph, and a picture that is altogether.
        stripes = np.kron(np.arange(16 * 16).reshape(16, 16) % 2, np.ones((4, 4)))[..., None] * np.uint8([250, 240, 0])
        mixed = np.concatenate([stripes.astype(np.uint8), photo[:64, :64]], axis=1)
        coded += [codec.encode(read_picture(pixels), 70) for pixels in (mixed, mixed[:, :64])]
    return coded


def outcome(codec: Codec, data: bytes, **options: object) -> str:
    """The name of the error, or "decoded"."""
    try:
        codec.decode(data, max_pixels=128 * 128, **options)  # type: ignore[arg-type]
    except CaeError as error:
        return type(error).__name__
    return "decoded"


@pytest.mark.slow
def test_repair_leaves_sound_files_alone(files: list[bytes]) -> None:
    for data in files:
        assert mutation.repair(data) == data
        assert mutation.repair(data[:-3] + b"abc") == data


@pytest.mark.slow
def test_mutated_files(codec: Codec, files: list[bytes]) -> None:
    rng = random.Random(1)
    found = Counter(outcome(codec, mutation.mutate(rng.choice(files), rng)) for _ in range(17_000))
    assert found.total() == 17_000
    assert {"NotCaeError", "UnsupportedVersionError", "TruncatedError", "CorruptError"} <= set(found)


@pytest.mark.slow
def test_mutated_files_with_sound_checksums(codec: Codec, files: list[bytes]) -> None:
    """These reach what stands behind the checksums."""
    rng = random.Random(2)
    found: Counter[str] = Counter()
    for index in range(3_000):
        data = mutation.repair(mutation.mutate(rng.choice(files), rng))
        found[outcome(codec, data, allow_damaged=index % 4 == 0)] += 1
        for read in (info, salvage):
            try:
                read(data)
            except CaeError:
                found[read.__name__] += 1
    assert {"LimitError", "WrongWeightsError", "CorruptError", "DecodeMismatchError", "decoded"} <= set(found)


def test_every_bit_flip_is_noticed(codec: Codec, files: list[bytes]) -> None:
    for data in files[:4]:
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            assert outcome(codec, bytes(changed)) != "decoded"


def test_every_cut_is_an_error(codec: Codec, files: list[bytes]) -> None:
    for data in files:
        for length in range(len(data)):
            assert outcome(codec, data[:length]) in ("TruncatedError", "CorruptError", "NotCaeError")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value encountered")
@pytest.mark.parametrize("strength", [1e2, 1e4, 1e6, 1e30])
def test_sound_files_of_absurd_latents(codec: Codec, strength: float) -> None:
    """What no picture has, but a file may hold: they decode, to whatever pixels."""
    generator = np.random.default_rng(3)
    for row in (0, 100, 255):
        y = (generator.standard_normal((1, 4, 4, codec.coder.channels)) * strength).astype(np.float32)
        (steps,), latents = codec.coder.quantise(y, row)
        checksum = latents_checksum(latents[0])
        tile = Tile(encode_steps(codec.coder.tables, steps), checksum)
        data = pack(Container(Header(64, 64, False, row, codec.fingerprint), (), (tile,)))
        assert np.array_equal(codec.decode_latents(unpack(data)), latents[0])
        assert codec.decode(data).pixels.shape == (64, 64, 3)
