"""Latents as data: `cae.latents`, vectors of them, and the commands `cae features` and `cae similar`."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import cae as api
from cae import errors
from cae.bitstream.container import pack, unpack
from cae.codec.encode.choice import Choice
from cae.codec.encode.mixed import with_patches
from cae.codec.features import descriptor, distances, groups, signature
from cae.codec.image.picture import Picture
from cae.codec.model.weights import Weights, find_weights
from cae.codec.select import load_on_cpu
from cae.codec.torch_codec import load_codec

Bytes = npt.NDArray[np.uint8]
Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def coded(photo: Bytes) -> bytes:
    """The photograph of 200x120 pixels at quality 60."""
    return api.encode(photo, 60, effort=1, patches="off", device="cpu")


class TestLatents:
    """`cae.latents`."""

    def test_one_position_is_16_pixels(self, coded: bytes, photo: Bytes, tmp_path: Path) -> None:
        channels = load_on_cpu().coder.channels
        latents = api.latents(coded)
        assert (latents.dtype, latents.shape) == (np.float32, (8, 13, channels))
        (tmp_path / "photo.cae").write_bytes(coded)
        assert np.array_equal(api.latents(tmp_path / "photo.cae"), latents)
        one = api.encode(photo[:1, :1], effort=1, patches="off")
        assert api.latents(one).shape == (1, 1, channels)

    def test_the_unit_is_that_of_the_encoder(self, photo: Bytes) -> None:
        """Latents as they are before they are quantised, so that qualities differ by what quantising loses alone."""
        codec = load_on_cpu()
        padded = np.pad(photo, ((0, 8), (0, 56), (0, 0)), mode="edge")
        exact = codec.coder.networks.analyse_linear(padded[None])[0, :8, :13]
        files = [codec.encode(Picture(photo), quality, effort=1) for quality in (95, 20)]
        best, low = codec.latents_many(files)
        scale = np.abs(exact[..., 0]).mean()
        assert np.abs(best[..., 0] - exact[..., 0]).mean() < 0.05 * scale
        assert np.abs(low[..., 0] - exact[..., 0]).mean() < 0.2 * scale
        # To the last bit: sixteenths of a step over the steps to a standard deviation.
        file = unpack(files[1])
        steps = codec.coder.networks.sigma_in_steps[file.header.rate_index]
        whole = codec.decode_latents(file)
        assert np.array_equal(low, (whole[:8, :13] / (16 * steps.astype(float))).astype(np.float32))

    def test_all_back_ends_agree(self, coded: bytes) -> None:
        latents = api.latents(coded, device="cpu")
        for codec in (load_on_cpu(level="numpy"), load_codec("cpu")):
            assert np.array_equal(codec.latents_many([coded])[0], latents)

    def test_many_are_each_as_alone(self, photo: Bytes) -> None:
        codec = api.Codec("cpu")
        pictures = [photo[:64, :64], photo[50:114, 90:154], photo[:64, :70], photo[:64, :64, 0]]
        files = codec.encode_many(pictures, 50, effort=1, patches="off")
        for data, own in zip(files, codec.latents_many(files), strict=True):
            assert np.array_equal(own, codec.latents(data))

    def test_tiles(self, photo: Bytes) -> None:
        pixels = np.tile(photo[:40], (1, 6, 1))
        data = api.encode(pixels, 40, effort=1, patches="off")
        assert len(unpack(data).tiles) == 2
        assert api.latents(data).shape[:2] == (3, 75)

    def test_grey(self, photo: Bytes) -> None:
        grey = api.encode(photo[..., 1], 50, effort=1, patches="off")
        assert api.latents(grey).shape[:2] == (8, 13)
        as_rgb = api.encode(np.repeat(photo[..., 1:2], 3, axis=2), 50, effort=1, patches="off")
        assert np.array_equal(api.latents(grey), api.latents(as_rgb))

    def test_patches_are_not_in_them(self, coded: bytes, photo: Bytes) -> None:
        assert not api.latents(api.encode(photo, patches="all")).any()
        codec = load_on_cpu()
        header = replace(unpack(coded).header, height=120, width=200)
        cells = np.zeros((4, 7), bool)  # of 32 pixels; the networks leave out what is in patches 64 by 64
        cells[:2, :2] = True
        data = pack(with_patches(codec.coder, photo, header, Choice(cells, photo, 0), effort=1))
        skipped = np.zeros((8, 13), bool)
        skipped[:4, :4] = True
        latents = api.latents(data)
        assert not latents[skipped].any()
        assert latents[~skipped].any(axis=1).all()
        assert np.array_equal(api.Codec().latents_many([data, data])[1], latents)

    def test_errors_are_those_of_decode(self, coded: bytes, tmp_path: Path) -> None:
        file = unpack(coded)
        wrong = replace(file.tiles[0], latents_checksum=file.tiles[0].latents_checksum ^ 1)
        foreign = replace(file, header=replace(file.header, fingerprint=b"none"))
        for data in (b"", coded[:-1], b"\x89PNG", pack(replace(file, tiles=(wrong,))), pack(foreign), tmp_path / "no"):
            with pytest.raises(errors.CaeError) as expected:
                api.decode(data)
            with pytest.raises(type(expected.value), match=r".") as found:
                api.latents(data)
            assert str(found.value) == str(expected.value)
        with pytest.raises(errors.LimitError):
            api.latents(coded, max_pixels=200 * 120 - 1)
        with pytest.raises(errors.InputError, match="abacus"):
            api.latents(coded, device="abacus")


class TestVectors:
    """`codec.features`."""

    def test_a_descriptor_has_one_length_for_all_sizes(self) -> None:
        random = np.random.default_rng(0).normal(size=(6, 4, 8)).astype(np.float32)
        found = descriptor(random)
        assert (found.dtype, found.shape) == (np.float32, (80,))
        assert found[:8] == pytest.approx(random.mean((0, 1)), abs=1e-6)
        assert found[8:16] == pytest.approx(np.abs(random).mean((0, 1)), abs=1e-6)
        assert found[64:72] == pytest.approx(random[3:, 2:].mean((0, 1)), abs=1e-6)
        for height, width in ((1, 1), (1, 9), (3, 2)):
            assert descriptor(random[:1, :1].repeat(height, 0).repeat(width, 1)).shape == (80,)
            assert signature(random[:1, :1].repeat(height, 0).repeat(width, 1), [0, 1, 5]).shape == (99,)

    def test_colour_channels_are_the_mean_colour(self, photo: Bytes) -> None:
        """A change of colour all over changes them, and little else."""
        codec = load_on_cpu()
        channels = codec.coder.networks.colour_channels
        assert len(set(channels)) == 3
        first, second = codec.coder.networks.analyse_linear(
            np.stack([photo[:112, :192] // 2, photo[:112, :192] // 2 + 60])
        )
        change = np.abs(second - first).mean((0, 1)) * codec.coder.networks.sigma_in_steps[128]
        assert set(np.argsort(-change)[:1]) <= set(channels)
        assert change[channels].sum() > 10 * np.delete(change, channels).sum()

    def test_distances(self) -> None:
        values = np.array([[1, 2, 0], [1, 1, 0], [0, 0, 0], [-1, -2, 0]], np.float32)
        found = distances(values, values)
        assert np.array_equal(found, found.T)
        assert found[0].tolist() == pytest.approx([0, 0.2, 1, 1])
        assert found[2, 2] == 0

    def test_groups_are_chains_of_pairs(self) -> None:
        values = np.array([[1.0], [5.0], [1.1], [1.2], [5.1], [50.0]], np.float32)
        found = groups(values, 0.06)
        assert [[index for index, _ in group] for group in found] == [[0, 2, 3], [1, 4]]
        assert found[0][1][1] == pytest.approx(0.1 / 2.3, rel=1e-4)
        assert groups(values, 0.001) == groups(values[:1], 1) == []

    def test_many_are_compared_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
        whole = groups(values, 0.3)
        assert len(whole) > 1
        monkeypatch.setattr("cae.codec.features._BLOCK", 500)
        assert groups(values, 0.3) == whole


@pytest.fixture
def folder(tmp_path: Path, pictures: Path) -> Path:
    """A copy of `pictures`, to be changed."""
    return Path(shutil.copytree(pictures, tmp_path / "pictures"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, photo: Bytes) -> Path:
    """A photograph as PNG, JPEG, half as large, and as .cae with and without loss; another, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "below").mkdir(parents=True)
    image = Image.fromarray(photo).resize((400, 240))
    pixels = np.asarray(image)
    image.save(folder / "a.png")
    image.save(folder / "b.jpg", quality=30)
    (folder / "c.cae").write_bytes(api.encode(pixels, 20, effort=1, patches="off"))
    (folder / "d.cae").write_bytes(api.encode(pixels, patches="all"))
    image.resize((200, 120)).save(folder / "below" / "e.png")
    Image.fromarray(pixels[::-1, ::-1] // 3).save(folder / "f.png")
    (folder / "g.png").write_bytes(b"nothing")
    return folder


class TestFeatures:
    """`cae features`."""

    def test_a_vector_for_each(self, cae: Run, folder: Path, tmp_path: Path) -> None:
        output = tmp_path / "out.npz"
        run = cae("features", folder, folder / "a.png", "-o", output)
        assert run.returncode == 1
        assert run.stdout.startswith(f"{output}: 5 vectors, {output.stat().st_size:,} bytes, ")
        assert run.stdout.endswith(", 1 FAILED\n")
        assert run.stderr == f"cae: {folder / 'g.png'}: not an image in a format that can be read here\n"
        with np.load(output) as found:
            assert found["names"].tolist() == [
                str(folder / name) for name in ("a.png", "b.jpg", "c.cae", "d.cae", "f.png")
            ]
            vectors = found["features"]
        assert (vectors.dtype, vectors.shape) == (np.float32, (5, 10 * load_on_cpu().coder.channels))
        assert np.array_equal(vectors[2], descriptor(api.latents(folder / "c.cae")))
        assert np.array_equal(vectors[3], vectors[0]), "without loss it is the same picture"

    def test_one_file_has_its_own_exit_code(self, cae: Run, folder: Path, tmp_path: Path) -> None:
        output = tmp_path / "out.npz"
        output.write_bytes(b"older")
        (folder / "h.cae").write_bytes((folder / "c.cae").read_bytes()[:-9])
        for name, code in (("g.png", 3), ("h.cae", 4), ("missing.png", 3)):
            run = cae("features", folder / name, "-o", output)
            assert (run.returncode, run.stdout) == (code, "")
            assert run.stderr.startswith(f"cae: {folder / name}: ")
        run = cae("features", folder / "c.cae", "-o", output, "--max-pixels", 10)
        assert run.returncode == 7
        assert output.read_bytes() == b"older"
        assert cae("features", folder / "c.cae", "-o", output, "--quiet").stdout == ""
        assert output.read_bytes() != b"older"

    def test_an_output_is_whole_or_absent(
        self, cae: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        for words in (("-o", tmp_path / "out.npz"), ("-o", tmp_path / "out", "--full")):
            run = cae("features", folder / "c.cae", *words)
            assert run.returncode == 6
            assert "No space left" in run.stderr
        assert [path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents] == []

    def test_all_latents(self, cae: Run, folder: Path, tmp_path: Path) -> None:
        (folder / "g.png").unlink()
        run = cae("features", folder, "-r", "--full", "-o", tmp_path / "out")
        assert (run.returncode, run.stderr) == (0, "")
        assert run.stdout.startswith("6 files, ")
        with np.load(tmp_path / "out" / "below" / "e.npz") as found:
            assert found["latents"].shape == (8, 13, load_on_cpu().coder.channels)
        with np.load(tmp_path / "out" / "c.npz") as found:
            assert np.array_equal(found["latents"], api.latents(folder / "c.cae"))
        assert not list((tmp_path / "out").rglob("*.tmp"))

    def test_other_weights_are_made_these(
        self, cae: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Latents of different weights do not compare, so that such files are taken as images."""
        older = Weights(find_weights().path, "01020304" + find_weights().sha256[8:])
        monkeypatch.setattr("cae.codec.model.weights.find_weights", lambda *arguments: older)
        assert cae("features", folder / "c.cae", "-o", tmp_path / "out.npz").returncode == 0
        with np.load(tmp_path / "out.npz") as found:
            assert not np.array_equal(found["features"][0], descriptor(api.latents(folder / "c.cae")))

    def test_parquet(self, cae: Run, folder: Path, tmp_path: Path) -> None:
        parquet = pytest.importorskip("pyarrow.parquet")
        assert cae("features", folder / "c.cae", "-o", tmp_path / "out.parquet").returncode == 0
        table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
        assert table["name"] == [str(folder / "c.cae")]
        assert np.array_equal(np.float32(table["features"][0]), descriptor(api.latents(folder / "c.cae")))

    def test_parquet_needs_a_package(
        self, cae: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        run = cae("features", folder / "c.cae", "-o", tmp_path / "out.parquet")
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr.startswith('cae: .parquet needs the extra "features"')
        assert "pyarrow" in run.stderr

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (["{}", "-o", "out.csv"], "must end in .npz or .parquet"),
            (["{}", "-o", "out.npz", "--full"], "the output is a folder"),
            (["{}"], "--out"),
            (["{}/below", "-o", "{}/out/out.npz"], "no directory"),
        ],
    )
    def test_wrong_usage(self, cae: Run, folder: Path, words: list[str], line: str) -> None:
        run = cae("features", *(word.format(folder) for word in words))
        assert run.returncode in (2, 6)
        assert run.stdout == ""
        assert line in run.stderr


class TestSimilar:
    """`cae similar`."""

    def test_groups(self, cae: Run, folder: Path) -> None:
        run = cae("similar", folder, "-r")
        assert run.returncode == 1, "a file could not be read"
        assert "g.png" in run.stderr
        names = [line.split("  ", 1)[1] for line in run.stdout.splitlines()]
        assert names == [str(folder / name) for name in ("a.png", "b.jpg", "below/e.png", "c.cae", "d.cae")]

    def test_query(self, cae: Run, folder: Path) -> None:
        (folder / "g.png").unlink()
        run = cae("similar", folder, "--query", folder / "c.cae")
        assert (run.returncode, run.stderr) == (0, "")
        lines = [line.split("  ", 1) for line in run.stdout.splitlines()]
        assert {name for _, name in lines} == {str(folder / name) for name in ("a.png", "b.jpg", "d.cae")}
        assert [float(distance) for distance, _ in lines] == sorted(float(distance) for distance, _ in lines)
        everything = cae("similar", folder, "--query", folder / "c.cae", "--threshold", 1).stdout
        assert str(folder / "f.png") in everything
        assert cae("similar", folder, "--threshold", "nan").returncode == 2

    def test_none(self, cae: Run, folder: Path) -> None:
        for words in ((folder / "f.png",), (folder / "a.png", folder / "f.png")):
            run = cae("similar", *words)
            assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
        run = cae("similar", folder / "a.png", "--query", folder / "g.png")
        assert (run.returncode, run.stdout) == (3, "")
        assert cae("similar", folder / "below", "--query", folder / "missing.cae").returncode == 3
        (folder / "below" / "e.png").unlink()
        assert cae("similar", folder / "below").returncode == 2
