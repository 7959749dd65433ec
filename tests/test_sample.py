"""`cae sample`: what is drawn, by which seed, keep level and temperature, and between which files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from PIL import Image

from cae.bitstream.container import unpack
from cae.bitstream.errors import CaeError, InputError, LimitError
from cae.bitstream.tables import TOTAL, ProbabilityTables, quantise_counts
from cae.codec.backends.kernels.instructions import levels
from cae.codec.backends.networks import NUMPY
from cae.codec.codec import FileCoder
from cae.codec.encode.options import EncodeOptions
from cae.codec.image.picture import Picture
from cae.codec.model.distortion import psnr
from cae.codec.sampling.draws import Draws, tempered
from cae.codec.sampling.sample import between, made_up, redrawn
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import load_codec

Pixels = npt.NDArray[np.uint8]
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def codec() -> FileCoder:
    return load_on_cpu()


@pytest.fixture(scope="module")
def cat() -> Pixels:
    pixels: Pixels = skimage.data.chelsea()[:200, 60:260]  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(pixels)


@pytest.fixture(scope="module")
def cup() -> Pixels:
    pixels: Pixels = skimage.data.coffee()[:200, 100:300]  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(pixels)


@pytest.fixture(scope="module")
def file(codec: FileCoder, cat: Pixels) -> bytes:
    return codec.encode(Picture(cat), 50, effort=1)


def tables() -> ProbabilityTables:
    """Of three rows, the first of which is not coded: a narrow one and a wide one."""
    wide = quantise_counts(np.append(np.exp(-np.abs(np.arange(-40, 41)) / 7), 1e-6))
    return ProbabilityTables(np.array([0, 1, 40]), np.concatenate([[1000, 64000, 535, 1], wide]))


# Draws.


def test_the_generator_is_splitmix64() -> None:
    """Its first numbers for the seed 0, as others publish them."""
    draws = Draws(tables(), 0, 1)
    assert draws.numbers(2).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    assert draws.numbers(0).tolist() == []
    assert draws.numbers(1).tolist() == [0x06C45D188009454F]


@pytest.mark.parametrize("temperature", [1, 0.7, 3.5])
def test_symbols_do_not_depend_on_how_they_are_asked_for(temperature: float) -> None:
    """One number for each symbol that is coded, in the order of the file."""
    rows = np.random.default_rng(3).integers(0, 3, 1000).astype(np.uint8)
    together = Draws(tables(), 7, temperature).symbols(rows)
    draws = Draws(tables(), 7, temperature)
    assert np.array_equal(np.concatenate([draws.symbols(part) for part in np.split(rows, [0, 1, 500])]), together)
    assert not together[rows == 0].any()
    assert not np.array_equal(Draws(tables(), 8, temperature).symbols(rows), together)


def test_symbols_on_every_machine() -> None:
    rows = np.full(12, 2, np.uint8)
    assert Draws(tables(), 1, 1).symbols(rows).tolist() == [1, 5, 20, -1, -1, 5, 10, 0, -4, 6, -1, 2]
    assert Draws(tables(), 1, 0.3).symbols(rows).tolist() == [0, 1, 6, 0, 0, 2, 3, 0, -1, 2, 0, 0]
    assert Draws(tables(), 2**64 - 1, 4).symbols(rows).tolist() == [26, 28, -16, -3, 11, 19, 32, -13, 15, -38, -38, 18]


def test_frequencies_are_those_of_the_table() -> None:
    count = 400_000
    drawn = Draws(tables(), 5, 1).symbols(np.full(count, 2, np.uint8))
    expected = tables().row(2)[:-1] / TOTAL * count
    found = np.bincount(drawn + 40, minlength=81)
    assert ((found - expected) ** 2 / expected).sum() < 81 + 5 * np.sqrt(2 * 81)


def test_temperatures_are_powers() -> None:
    counts = np.array([1, 4, 2, 4], np.int32)
    assert tempered(counts, 1).tolist() == [1, 4, 2, 4]
    assert tempered(counts, 0).tolist() == [0, 1, 0, 0]
    assert tempered(counts, 0.5).tolist() == [4096, 65536, 16384, 65536]
    assert tempered(counts, 2).tolist() == [32768, 65536, 46341, 65536]
    assert tempered(counts, 1e-300).tolist() == [0, 65536, 0, 65536]
    assert tempered(counts, 1e300).tolist() == [65536] * 4


@pytest.mark.parametrize(("seed", "temperature"), [(-1, 1), (2**64, 1), (0, -0.1), (0, float("nan")), (0, np.inf)])
def test_bad_numbers(seed: int, temperature: float) -> None:
    with pytest.raises(InputError):
        Draws(tables(), seed, temperature)


# Files with drawn steps.


def test_a_seed_gives_the_same_picture_everywhere(codec: FileCoder, file: bytes) -> None:
    """By every back end; another seed gives another picture."""
    expected = redrawn(codec, file, 1, 9, 0.8).pixels
    for other in (*(load_on_cpu(level=level) for level in (NUMPY, *levels())), load_codec("cpu")):
        assert np.array_equal(redrawn(other, file, 1, 9, 0.8).pixels, expected)
    assert not np.array_equal(redrawn(codec, file, 1, 10, 0.8).pixels, expected)


@pytest.mark.parametrize("temperature", [0, 1])
def test_the_more_is_kept_the_nearer(codec: FileCoder, file: bytes, temperature: float) -> None:
    decoded = codec.decode(file).pixels
    found = [psnr(redrawn(codec, file, kept, 1, temperature).pixels, decoded) for kept in range(5)]
    assert found[:4] == sorted(found[:4])
    assert found[0] < found[3] < found[4] == np.inf  # nothing is left to be drawn


def test_temperature_0_is_what_is_most_probable(codec: FileCoder, file: bytes) -> None:
    shown = redrawn(codec, file, 0, 1, 0).pixels
    assert np.array_equal(redrawn(codec, file, 0, 2, 0).pixels, shown)

    header, networks, probable = unpack(file).header, codec.coder.networks, []
    for row in range(len(networks.probabilities)):
        counts = networks.probabilities.row(row)[:-1]
        probable.append(int(np.argmax(counts)) - len(counts) // 2 if len(counts) else 0)
    rows = np.broadcast_to(
        networks.hyper_scale_indices[header.rate_index], (4, 4, networks.hyper_scale_indices.shape[1])
    )
    reader = networks.step_decoder(networks.probabilities, unpack(file).tiles[0].payload)
    z = reader.decode(np.ascontiguousarray(rows).ravel()).reshape(1, *rows.shape)
    latents = networks.run_context_steps(
        z, header.rate_index, lambda step, means, own: np.array(probable, np.int32)[own]
    )
    assert np.array_equal(networks.synthesise(latents, header.rate_index)[0, :200, :200], shown)


def test_tiles_are_drawn_one_by_one(codec: FileCoder, cat: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 2)
    data = codec.encode(Picture(cat), 50, effort=1)
    assert len(unpack(data).tiles) == 4
    found = redrawn(codec, data, 2, 3, 1).pixels
    assert found.shape == cat.shape
    assert psnr(redrawn(codec, data, 3, 3, 1).pixels, cat) > psnr(found, cat)
    assert np.array_equal(redrawn(codec, data, 4, 3, 1).pixels, codec.decode(data).pixels)


def test_grey_alpha_and_patches_stay(codec: FileCoder, cat: Pixels) -> None:
    alpha = np.add.outer(np.arange(200), np.arange(200)).astype(np.uint8)
    found = redrawn(codec, codec.encode(Picture(np.ascontiguousarray(cat[..., 0]), alpha), 50), 0, 0, 1)
    assert found.pixels.shape == (200, 200)
    assert np.array_equal(found.alpha, alpha)  # type: ignore[arg-type]
    (exact,) = codec.encode_pictures([Picture(cat)], EncodeOptions(50, patches="all"))
    assert np.array_equal(redrawn(codec, exact, 0, 0, 1).pixels, cat)


# Pictures of nothing.


def test_pictures_are_made_up(codec: FileCoder, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made_up(codec, 150, 70, 50, 4, 1).pixels
    assert one.shape == (70, 150, 3)
    assert one.std() > 10
    assert np.array_equal(made_up(load_on_cpu(level=NUMPY), 150, 70, 50, 4, 1).pixels, one)
    assert not np.array_equal(made_up(codec, 150, 70, 50, 5, 1).pixels, one)
    assert made_up(codec, 150, 70, 50, 4, 0).pixels.std() < one.std()
    monkeypatch.setattr("cae.codec.sampling.sample.DEFAULT_TILE", 1)
    assert made_up(codec, 150, 70, 50, 4, 1).pixels.shape == one.shape
    with pytest.raises(LimitError):
        made_up(codec, 150, 70, 50, 4, 1, max_pixels=10_000)
    with pytest.raises(InputError):
        made_up(codec, 150, 70, 101, 4, 1)


# Between two files.


def test_frames_go_from_one_file_to_the_other(codec: FileCoder, cat: Pixels, cup: Pixels) -> None:
    files = [codec.encode_pictures([Picture(own)], EncodeOptions(50, patches="off"))[0] for own in (cat, cup)]
    frames = [picture.pixels for picture in between(codec, *files, 5)]
    first, last = (codec.decode(data).pixels for data in files)
    assert np.array_equal(frames[0], first)
    assert np.array_equal(frames[-1], last)
    to_first = [psnr(frame, first) for frame in frames]
    assert to_first == sorted(to_first, reverse=True)
    (grey, _) = between(codec, *[codec.encode(Picture(np.ascontiguousarray(own[..., 0])), 50) for own in (cat, cup)], 2)
    assert grey.grey


def test_what_nothing_is_between(codec: FileCoder, cat: Pixels, file: bytes) -> None:
    (exact,) = codec.encode_pictures([Picture(cat)], EncodeOptions(50, patches="all"))
    for other, cause in (
        (codec.encode(Picture(np.ascontiguousarray(cat[:100])), 50), "sizes: 200x200 and 200x100"),
        (codec.encode(Picture(cat), 60), "qualities"),
        (codec.encode(Picture(np.ascontiguousarray(cat[..., 0])), 50), "grey"),
    ):
        with pytest.raises(InputError, match=cause):
            next(between(codec, file, other, 2))
    with pytest.raises(InputError, match="without loss"):
        next(between(codec, exact, exact, 2))
    with pytest.raises(CaeError):
        next(between(codec, file, b"nothing", 2))


# The command.


def read(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_command(cae: Run, tmp_path: Path, file: bytes, codec: FileCoder) -> None:
    (tmp_path / "cat.cae").write_bytes(file)
    out = tmp_path / "out.png"
    run = cae("sample", tmp_path / "cat.cae", out, "--keep", 2, "--seed", 5, "--temperature", "0.5")
    assert run.returncode == 0
    assert run.stdout.startswith(f"{out}: 200x200 RGB, {out.stat().st_size:,} bytes")
    assert np.array_equal(read(out), redrawn(codec, file, 2, 5, 0.5).pixels)
    assert cae("sample", tmp_path / "cat.cae", out).returncode == 0
    assert np.array_equal(read(out), redrawn(codec, file, 0, 0, 1).pixels)
    assert cae("sample", out, "--size", "90x40", "-q", 70, "--seed", 2).returncode == 0
    assert np.array_equal(read(out), made_up(codec, 90, 40, 70, 2, 1).pixels)
    folder = tmp_path / "new" / "frames"
    assert (
        cae("sample", "--between", tmp_path / "cat.cae", tmp_path / "cat.cae", "--frames", 10, "-o", folder).returncode
        == 0
    )
    assert sorted(path.name for path in folder.iterdir()) == [f"frame-{n:02}.png" for n in range(1, 11)]
    assert np.array_equal(read(folder / "frame-05.png"), codec.decode(file).pixels)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("", 2, "IN and OUT"),
        ("cat.cae", 2, "IN and OUT"),
        ("cat.cae out.png --size 5x5", 2, "OUT alone"),
        ("out.png --size 5", 2, "WIDTHxHEIGHT"),
        ("out.png --size 0x5", 2, "WIDTHxHEIGHT"),
        ("out.png --size 5x5 --keep 1", 2, "--keep means nothing with --size"),
        ("cat.cae out.png --frames 5", 2, "--frames means nothing here"),
        ("cat.cae out.png -q 5", 2, "--quality means nothing here"),
        ("cat.cae out.png --keep 4", 2, "keep"),
        ("cat.cae out.png --seed -1", 2, "seed"),
        ("cat.cae out.png --temperature -1", 2, "temperature"),
        ("cat.cae out.png --temperature nan", 2, "finite"),
        ("--between cat.cae cat.cae", 2, "-o FOLDER"),
        ("--between cat.cae small.cae -o new", 2, "different sizes"),
        ("--between cat.cae cat.cae -o new --seed 1", 2, "--seed means nothing with --between"),
        ("none.cae out.png", 4, "none.cae"),
        ("bad.cae out.png", 4, "bad.cae"),
        ("--between cat.cae bad.cae -o new", 4, "bad.cae"),
        ("cat.cae out.doc", 6, "out.doc"),
        ("cat.cae cat.cae", 6, "cat.cae"),
        ("cat.cae none/out.png", 6, "none"),
        ("cat.cae out.png --max-pixels 100", 7, "at most 100"),
        ("out.png --size 99999x99999", 7, "at most"),
    ],
)
def test_bad_calls(
    cae: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: bytes, words: str, code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cat.cae").write_bytes(file)
    Path("bad.cae").write_bytes(file[:-9])
    Path("small.cae").write_bytes(load_on_cpu().encode(Picture(np.zeros((9, 9, 3), np.uint8)), 50, effort=1))
    run = cae("sample", *words.split())
    assert run.returncode == code, run.stderr
    assert message in run.stderr
    assert not list(tmp_path.rglob("*.png"))
