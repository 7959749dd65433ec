"""Images that go through the networks together: each becomes what it becomes alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cae.bitstream.errors import CaeError, DecodeMismatchError, LimitError
from cae.codec.backends.batching import groups
from cae.codec.encode.options import EncodeOptions
from cae.codec.image.picture import Picture, read_picture
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import Codec, load_codec

Bytes = npt.NDArray[np.uint8]
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("cpu")


@pytest.fixture
def walks(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images go through the prior, each time."""
    seen: list[int] = []
    for networks in (codec.coder.networks, load_on_cpu().coder.networks):  # the commands take the latter

        def counting(z: Any, *arguments: Any, run: Callable[..., Any] = networks.run_context_steps) -> Any:
            seen.append(len(z))
            return run(z, *arguments)

        monkeypatch.setattr(networks, "run_context_steps", counting)
    return seen


@pytest.fixture(scope="module")
def pictures(photo: Bytes) -> list[Picture]:
    """Of three shapes, some with an alpha plane, one flat."""
    places = ((0, 0), (20, 60), (50, 110))
    cuts = [np.ascontiguousarray(photo[top : top + 70, left : left + 90]) for top, left in places]
    alpha = np.dstack([cuts[1], cuts[0][..., :1]])
    flat = np.full((70, 90, 3), 77, np.uint8)
    grey = [cut[..., 0] for cut in cuts]
    return [read_picture(image) for image in (*cuts, photo, grey[0], alpha, flat, *grey[1:], cuts[0][:64, :64])]


@pytest.mark.slow
@pytest.mark.parametrize(("quality", "effort"), [(5, 1), (60, 2), (95, 3)])
def test_together_is_as_alone(
    codec: Codec, pictures: list[Picture], walks: list[int], quality: int, effort: int
) -> None:
    options = EncodeOptions(quality, effort=effort, patches="off")
    files = codec.encode_pictures(pictures, options)
    assert sorted(walks) == [1] * effort * 2 + [3] * effort + [5] * effort
    assert files == [codec.encode_pictures([picture], options)[0] for picture in pictures]
    # With patches, too, each becomes what it becomes alone.
    mixed = codec.encode_many(pictures, quality, effort=effort)
    assert mixed == [codec.encode(picture, quality, effort=effort) for picture in pictures]
    walks.clear()
    decoded = codec.decode_many(files)
    assert sorted(walks) == [1, 1, 3, 5]
    for picture, data in zip(decoded, files, strict=True):
        alone = codec.decode(data)
        assert np.array_equal(picture.pixels, alone.pixels)
        assert (picture.alpha is None) == (alone.alpha is None)
        assert picture.alpha is None or np.array_equal(picture.alpha, alone.alpha)


def test_views(codec: Codec, pictures: list[Picture]) -> None:
    files = [codec.encode(picture, 40) for picture in pictures[:3]]
    for options in ({"region": (17, 9, 50, 40)}, {"scale": 4}, {"region": (0, 1, 90, 7), "scale": 2}):
        for picture, data in zip(codec.decode_many(files, **options), files, strict=True):
            assert np.array_equal(picture.pixels, codec.decode(data, **options).pixels)


def test_an_image_of_several_tiles_comes_alone(codec: Codec, photo: Bytes, walks: list[int]) -> None:
    """When it is decoded."""
    wide = Picture(np.tile(photo[:40], (1, 6, 1)))
    options = EncodeOptions(10, effort=1, patches="off")  # what repeats would be worth a look at those
    files = codec.encode_pictures([wide, wide], options)
    assert walks == [2, 2]
    assert files == codec.encode_pictures([wide], options) * 2
    walks.clear()
    decoded = codec.decode_many(files)
    assert walks == [1] * 4
    assert all(np.array_equal(picture.pixels, codec.decode(files[0]).pixels) for picture in decoded)


def test_errors(codec: Codec, pictures: list[Picture]) -> None:
    assert codec.encode_many([], 50) == codec.decode_many([]) == []
    files = codec.encode_many(pictures[:3], 50)
    with pytest.raises(LimitError):
        codec.decode_many(files, max_pixels=90 * 70 - 1)
    with pytest.raises(CaeError):
        codec.decode_many([*files, files[0][:-20]])
    with pytest.raises(CaeError):
        codec.encode_many(pictures, 101)


def test_one_of_other_latents_is_noticed(
    codec: Codec, pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = codec.encode_many(pictures[:3], 50)
    networks = codec.coder.networks
    run = networks.run_context_steps

    def wrong(z: Any, *arguments: Any) -> Any:
        latents = run(z, *arguments)
        return latents + np.arange(len(latents), dtype=np.int32).reshape(-1, 1, 1, 1)  # all but the first

    monkeypatch.setattr(networks, "run_context_steps", wrong)
    with pytest.raises(DecodeMismatchError):
        codec.decode_many(files)


@pytest.mark.parametrize(
    ("keys", "most", "expected"),
    [
        ("aabab", (9, 9, 9, 9, 9), [[0, 1, 3], [2, 4]]),
        ("aaaaa", (2, 2, 2, 2, 2), [[0, 1], [2, 3], [4]]),
        ("abab", (0, 1, 0, 1), [[0], [1], [2], [3]]),
        ("", (), []),
    ],
)
def test_groups(keys: str, most: tuple[int, ...], expected: list[list[int]]) -> None:
    assert list(groups(keys, most)) == expected


@pytest.fixture
def folder(tmp_path: Path, photo: Bytes) -> Path:
    """Thumbnails of two sizes, and two that are none."""
    (tmp_path / "in").mkdir()
    for number in range(12):
        height, width = ((64, 80), (50, 40))[number % 3 == 2]
        pixels = photo[number : number + height, 5 * number : 5 * number + width]
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number:02d}.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"no image")
    (tmp_path / "in" / "03 cut.png").write_bytes((tmp_path / "in" / "03.png").read_bytes()[:500])
    return tmp_path / "in"


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_folder_of_thumbnails(cae: Run, folder: Path, tmp_path: Path, walks: list[int], processes: int) -> None:
    """The bad ones fail alone, on both ways."""
    coded, shown = tmp_path / "coded", tmp_path / "shown"
    result = cae("encode", folder, "--out", coded, "--jobs", processes)
    assert (result.returncode, result.stderr.count("\n")) == (1, 2)
    assert "bad.png: " in result.stderr
    assert "03 cut.png: " in result.stderr
    assert processes > 1 or max(walks) == 8
    names = [f"{number:02d}" for number in range(12)]
    assert sorted(path.stem for path in coded.iterdir()) == names
    for name in names:
        assert cae("encode", folder / f"{name}.png", tmp_path / "alone.cae").returncode == 0
        assert (tmp_path / "alone.cae").read_bytes() == (coded / f"{name}.cae").read_bytes()

    damaged = coded / "07.cae"
    data = bytearray(damaged.read_bytes())
    data[-30] ^= 4
    damaged.write_bytes(data)
    result = cae("decode", coded, "--out", shown, "--jobs", processes)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert f"{damaged}: " in result.stderr
    names.remove("07")
    assert sorted(path.stem for path in shown.iterdir()) == names
    for name in names:
        assert cae("decode", coded / f"{name}.cae", tmp_path / "alone.png").returncode == 0
        assert (tmp_path / "alone.png").read_bytes() == (shown / f"{name}.png").read_bytes()


def test_allow_damaged_of_many(cae: Run, folder: Path, tmp_path: Path) -> None:
    """Those that are not damaged are as they were."""
    coded = tmp_path / "coded"
    for number in (0, 1):
        assert cae("encode", folder / f"{number:02d}.png", coded.with_name(f"{number}.cae")).returncode == 0
    damaged = tmp_path / "1.cae"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    result = cae("decode", tmp_path / "0.cae", damaged, "--out", tmp_path, "--allow-damaged")
    assert result.returncode != 0
    assert str(damaged) in result.stderr
    assert (tmp_path / "0.png").exists()


def test_an_output_that_cannot_be_written_fails_alone(cae: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "01.cae").mkdir(parents=True)
    result = cae("encode", folder / "00.png", folder / "01.png", folder / "03.png", "--out", out)
    assert result.returncode == 1
    assert (result.stderr.count("\n"), "01.cae" in result.stderr) == (1, True)
    assert (out / "00.cae").is_file()
    assert (out / "03.cae").is_file()
