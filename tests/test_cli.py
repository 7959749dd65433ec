"""The command `cae`: what it prints, its exit codes, what it leaves behind."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from cae.bitstream.header import MAGIC
from cae.cli.processes import THREADS

Run = Callable[..., "CompletedProcess[str]"]
Bytes = npt.NDArray[np.uint8]


@pytest.fixture
def photo_cae(cae: Run, stand_in: object, tmp_path: Path, photo_png: Path) -> Path:
    path = tmp_path / "photo.cae"
    assert cae("encode", photo_png, path, "--quiet").returncode == 0
    return path


def fails(run: CompletedProcess[str], code: int, *words: str) -> None:
    """One line on stderr with these words in it, nothing on stdout, this exit code."""
    assert run.returncode == code
    assert run.stdout == ""
    assert run.stderr.startswith("cae: ")
    assert run.stderr.count("\n") == 1
    assert run.stderr.endswith("\n")
    for word in words:
        assert word in run.stderr


# Help and start-up.


def check_imports(arguments: list[str], unwanted: set[str], before: str = "") -> str:
    """Run a command in a process of its own, which must end well and without these modules; what it printed."""
    code = (
        f"{before}import sys\nfrom cae.cli.main import main\n"
        f"try:\n    main({arguments!r}, prog_name='cae')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        f"assert not {unwanted!r} & set(sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["encode", "-h"], ["--version"], ["decode", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert check_imports(arguments, {"torch", "numpy", "PIL"})


def test_info_needs_no_torch(photo_cae: Path) -> None:
    check_imports(["info", str(photo_cae)], {"torch", "PIL"})


@pytest.mark.slow
def test_coding_needs_no_computer_algebra(tmp_path: Path) -> None:
    """Some of torch's functions import sympy when they are first called, for a third of a second."""
    paths = [str(tmp_path / name) for name in ("in.png", "photo.cae", "out.png")]
    Image.new("RGB", (64, 64)).save(paths[0])
    for command, source, output in (("encode", *paths[:2]), ("decode", *paths[1:])):
        check_imports([command, source, output], {"sympy", "compressai", "torchvision"}, before="import torch\n")


def test_as_a_module() -> None:
    run = subprocess.run([sys.executable, "-m", "cae", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("cae 0.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["encode"],
        ["encode", "a.png"],
        ["encode", "a.png", "b.cae", "-q", "101"],
        ["encode", "a.png", "b.cae", "-q", "-1"],
        ["encode", "a.png", "b.cae", "-q", "good"],
        ["encode", "a.png", "b.cae", "-q", "nan"],
        ["encode", "a.png", "b.cae", "--target-bpp", "nan"],
        ["encode", "a.png", "b.cae", "--target-bpp", "inf"],
        ["encode", "a.png", "b.cae", "--target-bpp", "1e308"],
        ["encode", "a.png", "b.cae", "--target-psnr", "nan"],
        ["encode", "a.png", "b.cae", "--target-psnr", "-inf"],
        ["encode", "a.png", "b.cae", "--target-size", "9" * 400],
        ["decode", "a.cae", "b.png", "--region", f"0,0,nan,{'9' * 5000}"],
        ["decode", "a.cae", "b.png", "--region", f"0,0,1,{'9' * 5000}"],
        ["decode", "a.cae", "b.png", "--threads", "0"],
        ["decode", "a.cae", "b.png", "--device", "abacus"],
        ["recode"],
    ],
)
def test_wrong_usage(cae: Run, arguments: list[str]) -> None:
    run = cae(*arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("Usage: cae ")
    assert "Traceback" not in run.stderr


def test_format_that_is_none(cae: Run, photo_cae: Path, tmp_path: Path) -> None:
    run = cae("decode", photo_cae, tmp_path / "out.png", "--format", "gif")
    assert run.returncode == 2
    assert "'--format': 'gif' is not one of png, jpg" in run.stderr
    assert not (tmp_path / "out.png").exists()


# The way there and back, and its report.


def test_there_and_back(cae: Run, photo: Bytes, tmp_path: Path, stand_in: object) -> None:
    source, coded, out = tmp_path / "photo.bmp", tmp_path / "photo.cae", tmp_path / "out.png"
    Image.fromarray(photo).save(source)
    run = cae("encode", source, coded, "-q", "62.5")
    size = coded.stat().st_size
    assert run.returncode == 0
    assert run.stderr == ""
    assert run.stdout.startswith(f"{coded}: {size:,} bytes (from {source.stat().st_size:,}), ")
    assert f", {8 * size / (120 * 200):.3f} bpp, {120 * 200 * 3 / size:.1f}:1 (8-bit pixels), " in run.stdout
    assert run.stdout.endswith(" s, q 62.5\n")
    run = cae("decode", coded, out)
    assert run.returncode == 0
    assert run.stdout.startswith(f"{out}: 200x120 RGB, {out.stat().st_size:,} bytes (from {size:,}), ")
    assert run.stdout.count("\n") == 1
    assert np.array_equal(np.asarray(Image.open(out)), photo)


def test_quiet(cae: Run, photo_png: Path, tmp_path: Path, stand_in: object) -> None:
    for arguments in (
        ("encode", photo_png, tmp_path / "a.cae"),
        ("decode", tmp_path / "a.cae", tmp_path / "a.png"),
    ):
        run = cae(*arguments, "--quiet")
        assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_notes(cae: Run, photo: Bytes, tmp_path: Path, stand_in: object) -> None:
    source, coded = tmp_path / "noisy.png", tmp_path / "noisy.cae"
    Image.fromarray(photo).quantize(4).save(source)
    run = cae("encode", source, coded)
    assert run.returncode == 0
    assert run.stderr.splitlines() == [
        f"cae: {source}: palette expanded",
        f"cae: {coded}: larger than {source}",
    ]
    assert run.stdout.count("\n") == 1


def test_threads(cae: Run, photo_png: Path, tmp_path: Path, stand_in: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    for name in THREADS:
        monkeypatch.setenv(name, "2")
    before = torch.get_num_threads()
    try:
        assert cae("encode", photo_png, tmp_path / "a.cae", "--threads", "1").returncode == 0
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted where Linux shows them")
@pytest.mark.parametrize("words", [["--format", "ppm", "--threads", "1"], ["--threads", "1", "--format", "ppm"]])
def test_threads_of_numpy(photo_cae: Path, tmp_path: Path, words: list[str]) -> None:
    code = (
        "import os, sys\nfrom cae.cli.main import main\n"
        f"try:\n    main(['decode', {str(photo_cae)!r}, {str(tmp_path / 'out')!r}, *{words!r}], prog_name='cae')\n"
        "except SystemExit as end:\n    assert 'numpy' in sys.modules\n"
        "assert 'torch' not in sys.modules\nprint(len(os.listdir('/proc/self/task')))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.splitlines()[-1] == "1"


def test_info(cae: Run, photo_cae: Path) -> None:
    run = cae("info", photo_cae)
    size = photo_cae.stat().st_size
    assert run.returncode == 0
    assert run.stdout.startswith(f"{photo_cae}: 200x120 RGB, {size:,} bytes, ")
    assert "01020304, not installed" in run.stdout
    facts = json.loads(cae("info", photo_cae, "--json").stdout)
    assert (facts["width"], facts["height"], facts["mode"], facts["row"]) == (200, 120, "RGB", 127)
    assert facts["tile_bytes"] + facts["overhead_bytes"] == facts["file_bytes"] == size
    assert facts["bpp"] == 8 * size / (200 * 120)
    assert facts["weights_installed"] is False


def test_info_of_all_parts(cae: Run, photo: Bytes, tmp_path: Path, stand_in: object) -> None:
    image = Image.fromarray(np.dstack([photo, photo[..., 0]]))
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image.save(tmp_path / "a.webp", lossless=True, exif=exif, xmp=b"<x/>")
    cae("encode", tmp_path / "a.webp", tmp_path / "a.cae")
    facts = json.loads(cae("info", tmp_path / "a.cae", "--json").stdout)
    assert facts["mode"] == "RGBA"
    assert set(facts["chunk_bytes"]) == {"alpha", "exif", "xmp"}
    text = cae("info", tmp_path / "a.cae").stdout
    assert "  XMP                     4 bytes\n" in text


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_that_are_not_text(cae: Run, photo: Bytes, tmp_path: Path, stand_in: object) -> None:
    source, coded = (tmp_path / os.fsdecode(name) for name in (b"caf\xe9.bmp", b"caf\xe9.cae"))
    Image.fromarray(photo).save(source)
    for arguments in (("encode", source, coded), ("info", coded)):
        run = cae(*arguments)
        assert run.returncode == 0
        assert run.stderr == ""
        assert run.stdout.startswith(f"{tmp_path}/caf\\udce9.cae: ")


# Bad input: one line, the right exit code, nothing left behind.


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b"not an image at all", "not an image"),
        ("short", "cut short"),
    ],
)
def test_bad_images(
    cae: Run, photo_png: Path, tmp_path: Path, stand_in: object, data: bytes | str | None, cause: str
) -> None:
    if data == "short":
        data = photo_png.read_bytes()[:9000]
    photo_png.unlink()
    source = tmp_path / "bad.png"
    if isinstance(data, bytes):
        source.write_bytes(data)
    before = sorted(tmp_path.iterdir())
    fails(cae("encode", source, tmp_path / "out.cae"), 3, f"cae: {source}: ", cause)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_is_not_a_file(cae: Run, tmp_path: Path) -> None:
    fails(cae("info", tmp_path), 4, f"cae: {tmp_path}: ", "directory")
    for command in ("encode", "decode"):
        result = cae(command, tmp_path, tmp_path / "out.cae")
        assert result.returncode == 2
        assert "is a folder: say where its files go by --out" in result.stderr


def test_an_image_that_is_coded_already(cae: Run, photo_cae: Path, tmp_path: Path) -> None:
    fails(cae("encode", photo_cae, tmp_path / "twice.cae"), 3, "a .cae file already")


@pytest.mark.parametrize("command", ["decode", "info"])
@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        ("missing", "No such file"),
        ("empty", "no data"),
        ("png", "not a .cae file"),
        ("magic", "not a .cae file"),
        ("version", "version 9"),
        ("cut", "left"),
        ("longer", "after the last tile"),
        ("flipped", "checksum"),
    ],
)
def test_bad_cae_files(
    cae: Run, photo_cae: Path, photo_png: Path, tmp_path: Path, command: str, damage: str, cause: str
) -> None:
    good = photo_cae.read_bytes()
    middle = len(good) // 2
    data = {
        "empty": b"",
        "png": photo_png.read_bytes(),
        "magic": b"x" + good[1:],
        "version": good[:4] + b"\x09" + good[5:],
        "cut": good[:-1],
        "longer": good + b"\0",
        "flipped": good[:middle] + bytes([good[middle] ^ 16]) + good[middle + 1 :],
    }.get(damage)
    source, out = tmp_path / "bad.cae", tmp_path / "out.png"
    if data is not None:
        source.write_bytes(data)
    out.write_bytes(MAGIC + b"an older file")
    before = sorted(tmp_path.iterdir())
    fails(cae(command, source, *([out] if command == "decode" else [])), 4, f"cae: {source}: ", cause)
    assert sorted(tmp_path.iterdir()) == before
    assert out.read_bytes() == MAGIC + b"an older file"


def test_missing_weights(cae: Run, photo_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cae.bitstream.errors import InputError, MissingWeightsError

    for error, code in ((MissingWeightsError, 5), (InputError, 2)):

        def load_encoder(*arguments: object, error: type[Exception] = error) -> None:
            raise error("there is none")

        monkeypatch.setattr("cae.codec.select.load_encoder", load_encoder)
        fails(cae("encode", photo_png, tmp_path / "a.cae"), code, "cae: there is none")
        assert list(tmp_path.iterdir()) == [photo_png]


# Outputs.


def test_bad_outputs(cae: Run, photo_cae: Path, photo_png: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    before = sorted(tmp_path.iterdir())
    fails(cae("encode", photo_png, missing / "a.cae"), 6, f"cae: {missing}/a.cae: ", "no directory")
    fails(cae("decode", photo_cae, missing / "a.png"), 6, "no directory")
    fails(cae("encode", photo_png, tmp_path), 6, "is a directory")
    fails(cae("decode", photo_cae, tmp_path / "a.gif"), 6, "images are written as png")
    fails(cae("decode", photo_cae, tmp_path / "a"), 6, "no suffix")
    fails(cae("decode", photo_cae, tmp_path / "a.pgm"), 6, "grey images only")
    assert sorted(tmp_path.iterdir()) == before


def test_directory_that_is_not_writable(
    cae: Run, photo_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    fails(cae("encode", photo_png, tmp_path / "a.cae"), 6, "not writable")


def test_output_that_is_the_input(cae: Run, photo_cae: Path, photo_png: Path, tmp_path: Path) -> None:
    photo, hard, soft = photo_png.rename(tmp_path / "photo"), tmp_path / "hard", tmp_path / "soft"
    hard.hardlink_to(photo)
    soft.symlink_to(photo)
    data = photo.read_bytes()
    for other in (photo, hard, soft, tmp_path / ".." / tmp_path.name / "photo"):
        fails(cae("encode", photo, other), 6, "input and output are the same file")
        fails(cae("decode", other, photo, "--format", "png"), 6, "input and output are the same file")
    assert photo.read_bytes() == data


def test_output_that_is_named_as_an_input(cae: Run, photo_cae: Path, photo_png: Path, tmp_path: Path) -> None:
    """What a shell makes of * in a folder with two files."""
    other_image, other_cae = tmp_path / "other.JPG", tmp_path / "other.cae"
    for path in (other_image, other_cae):
        path.write_bytes(b"as it was")
    for words in (("encode", photo_png, other_image), ("decode", photo_cae, other_cae, "--format", "png")):
        run = cae(*words)
        assert run.returncode == 2
        assert f"{words[2]} is named as an input: name OUT otherwise, or say" in run.stderr
    assert other_image.read_bytes() == other_cae.read_bytes() == b"as it was"


def test_transparency_into_jpeg(cae: Run, photo: Bytes, tmp_path: Path, stand_in: object) -> None:
    half = np.full(photo.shape[:2], 128, np.uint8)
    Image.fromarray(np.dstack([photo, half])).save(tmp_path / "a.png")
    assert cae("encode", tmp_path / "a.png", tmp_path / "a.cae").returncode == 0
    fails(cae("decode", tmp_path / "a.cae", tmp_path / "a.jpg"), 6, "JPG cannot hold transparency")
    assert not (tmp_path / "a.jpg").exists()


@pytest.mark.parametrize(
    ("error", "code"), [(OSError(errno.ENOSPC, "No space left on device"), 6), (KeyboardInterrupt(), 130)]
)
def test_interrupted_while_writing(
    cae: Run,
    photo_png: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stand_in: object,
    error: BaseException,
    code: int,
) -> None:
    def fsync(descriptor: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", fsync)
    out = tmp_path / "out.cae"
    fails(cae("encode", photo_png, out), code)
    assert list(tmp_path.iterdir()) == [photo_png]
    out.write_bytes(MAGIC + b"an older file")
    fails(cae("encode", photo_png, out), code)
    assert out.read_bytes() == MAGIC + b"an older file"
    assert sorted(tmp_path.iterdir()) == [out, photo_png]


def test_another_file_is_not_replaced(cae: Run, photo_png: Path, tmp_path: Path, stand_in: object) -> None:
    """A shell's * may stand for two images."""
    other = tmp_path / "two.heic"
    other.write_bytes(photo_png.read_bytes())
    fails(cae("encode", photo_png, other), 6, "no .cae file")
    assert other.read_bytes() == photo_png.read_bytes()
    assert cae("encode", photo_png, f"{tmp_path}/new/").returncode == 2
    assert sorted(tmp_path.iterdir()) == [photo_png, other]
    for _ in range(2):  # the second time a file of its own kind is replaced
        assert cae("encode", photo_png, tmp_path / "x.cae").returncode == 0


def test_standard_output_is_data_alone(photo_png: Path) -> None:
    command = [sys.executable, "-m", "cae", "encode", str(photo_png), "-"]
    plain, skipping = (
        subprocess.run([*command, *more], capture_output=True, check=True).stdout for more in ((), ("--skip-existing",))
    )
    assert plain == skipping
    assert plain.startswith(MAGIC)


def test_permissions(cae: Run, photo_png: Path, tmp_path: Path, stand_in: object) -> None:
    out = tmp_path / "out.cae"
    mask = os.umask(0o027)
    try:
        cae("encode", photo_png, out)
        assert stat.S_IMODE(out.stat().st_mode) == 0o640
        out.chmod(0o600)
        cae("encode", photo_png, out)
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
    finally:
        os.umask(mask)


def test_links_and_devices_as_output(cae: Run, photo_png: Path, tmp_path: Path, stand_in: object) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "real.cae", tmp_path / "link.cae"
    link.symlink_to(target)
    assert cae("encode", photo_png, link).returncode == 0
    assert link.is_symlink()
    assert target.stat().st_size > 0
    assert list(target.parent.iterdir()) == [target]
    assert cae("encode", photo_png, os.devnull).returncode == 0
    assert Path(os.devnull).is_char_device()


# With the real codec and its weights.


class TestRealCodec:
    def test_there_and_back(self, cae: Run, photo: Bytes, photo_png: Path, tmp_path: Path) -> None:
        sizes, errors = [], []
        for quality in (10, 90):
            coded, out = tmp_path / f"{quality}.cae", tmp_path / f"{quality}.png"
            assert cae("encode", photo_png, coded, "-q", quality, "--device", "cpu").returncode == 0
            assert cae("decode", coded, out, "--device", "cpu").returncode == 0
            decoded = np.asarray(Image.open(out))
            assert decoded.shape == photo.shape
            sizes.append(coded.stat().st_size)
            errors.append(float(np.square(decoded.astype(float) - photo).mean()))
        assert sizes[0] < sizes[1] < photo_png.stat().st_size
        assert errors[0] > errors[1]
        assert errors[1] < 20

    @pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
    def test_modes(self, cae: Run, photo: Bytes, tmp_path: Path, mode: str) -> None:
        image = Image.fromarray(photo).convert(mode)
        if mode.endswith("A"):
            image.putalpha(Image.fromarray(photo[..., 0]))
        image.save(tmp_path / "a.png")
        assert cae("encode", tmp_path / "a.png", tmp_path / "a.cae").returncode == 0
        assert cae("decode", tmp_path / "a.cae", tmp_path / "b.png").returncode == 0
        with Image.open(tmp_path / "b.png") as file:
            decoded = file.copy()
        assert (decoded.mode, decoded.size) == (mode, image.size)
        if mode.endswith("A"):
            assert np.array_equal(np.asarray(decoded)[..., -1], photo[..., 0])

    def test_info(self, cae: Run, photo_png: Path, tmp_path: Path) -> None:
        assert cae("encode", photo_png, tmp_path / "a.cae").returncode == 0
        facts = json.loads(cae("info", tmp_path / "a.cae", "--json").stdout)
        assert facts["weights_installed"] is True
        assert facts["overhead_bytes"] <= 32

    def test_damaged_files(self, cae: Run, photo_png: Path, tmp_path: Path) -> None:
        coded, out = tmp_path / "a.cae", tmp_path / "out.png"
        assert cae("encode", photo_png, coded).returncode == 0
        good = coded.read_bytes()
        for data in (good[:-5], good[: len(good) // 2], good[:9] + bytes([good[9] ^ 1]) + good[10:]):
            coded.write_bytes(data)
            fails(cae("decode", coded, out), 4, f"cae: {coded}: ")
            assert not out.exists()
