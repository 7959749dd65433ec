"""Restoring: noise and JPEG undone, missing pixels made anew, what is recognised, the command and its errors."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cae
from cae.bitstream.errors import InputError, MissingWeightsError, WeightsError
from cae.codec.backends.networks import restoring_on_cpu
from cae.codec.evaluation.metrics import psnr
from cae.codec.image.fill import fill
from cae.codec.image.jpeg import quantisation
from cae.codec.image.picture import Picture
from cae.codec.model import weights as weight_files
from cae.codec.model.integer_weights import load_restoration, restoration_of
from cae.codec.model.restoration import MOST_STRENGTH, row_of_strength
from cae.codec.restore.restorer import Restorer
from cae.codec.restore.settings import Found, RestoreOptions, mask_of, recognise, restore
from cae.codec.restore.strength import jpeg_strength, noise_strength
from cae.codec.select import load_restorer
from cae.codec.torch_codec import restoring_networks
from cae.codec.training.degrade import degrade
from cae.codec.training.model.restoring import rates_of, strengths_of

Bytes = npt.NDArray[np.uint8]
Cae = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def clean() -> Bytes:
    """A photograph, uint8 [200, 232, 3]: no multiple of 64."""
    pixels: Bytes = np.ascontiguousarray(skimage.data.astronaut()[:200, 140:372])  # type: ignore[no-untyped-call]
    return pixels


def noisy(pixels: Bytes, deviation: float) -> Bytes:
    random = np.random.default_rng(7)
    return np.clip(np.rint(pixels + random.normal(0, deviation, pixels.shape)), 0, 255).astype(np.uint8)


def as_jpeg(pixels: Bytes, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.mark.parametrize(("deviation", "gain"), [(15, 5), (25, 7), (50, 10)])
def test_noise_is_taken_away(clean: Bytes, deviation: float, gain: float) -> None:
    seen = noisy(clean, deviation)
    found = recognise(seen, b"", RestoreOptions())
    assert found.jpeg == 0
    assert found.noise == pytest.approx(deviation, rel=0.3)
    shown = restore(load_restorer("cpu"), seen, found, RestoreOptions())
    assert psnr(clean, shown) > psnr(clean, seen) + gain
    half = restore(load_restorer("cpu"), seen, found, RestoreOptions(strength=0.5))
    assert psnr(clean, seen) < psnr(clean, half) < psnr(clean, shown)


@pytest.mark.parametrize("quality", [10, 30])
def test_traces_of_jpeg_are_taken_away(clean: Bytes, quality: int) -> None:
    data = as_jpeg(clean, quality)
    seen = np.asarray(Image.open(io.BytesIO(data)))
    found = recognise(seen, data, RestoreOptions())
    assert 3 < found.jpeg < 15
    assert psnr(clean, restore(load_restorer("cpu"), seen, found, RestoreOptions())) > psnr(clean, seen) + 0.5
    assert recognise(seen, data, RestoreOptions(jpeg=False)).jpeg == 0
    assert recognise(seen, as_jpeg(clean, 97), RestoreOptions()).jpeg == 0


def test_a_clean_photograph_stays_as_good(clean: Bytes) -> None:
    """Within 0.3 dB of encoding it alone at q 60."""
    found = recognise(clean, b"", RestoreOptions())
    shown = restore(load_restorer("cpu"), clean, found, RestoreOptions())
    plain, restored = (np.asarray(cae.decode(cae.encode(pixels, 60, patches="off"))) for pixels in (clean, shown))
    assert psnr(clean, restored) > psnr(clean, plain) - 0.3


def test_what_is_clean_stays_as_it_is() -> None:
    flat = np.full((70, 90, 3), (10, 200, 30), np.uint8)
    found = recognise(flat, b"", RestoreOptions())
    assert str(found) == "nothing"
    assert np.array_equal(restore(load_restorer("cpu"), flat, found, RestoreOptions()), flat)


def test_missing_pixels_are_made_anew(clean: Bytes) -> None:
    missing = np.random.default_rng(3).random(clean.shape[:2]) < 0.3
    missing[80:84] = True
    seen = np.where(missing[..., None], np.uint8(0), clean)
    shown = restore(load_restorer("cpu"), seen, Found(0, 0), RestoreOptions(), missing)
    assert np.array_equal(shown[~missing], clean[~missing])
    assert psnr(clean, shown) > 25
    assert psnr(clean, shown) > psnr(clean, fill(seen, missing)) + 0.5
    grey = restore(load_restorer("cpu"), seen[..., 1], Found(0, 0), RestoreOptions(), missing)
    assert grey.shape == missing.shape
    assert np.array_equal(grey[~missing], clean[..., 1][~missing])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32))
def test_filling_keeps_what_is_known(height: int, width: int, share: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(60, 180, (height, width, 3), dtype=np.uint8)
    missing = random.random((height, width)) < share
    filled = fill(pixels, missing)
    assert np.array_equal(filled[~missing], pixels[~missing])
    low, high = (pixels[~missing].min(), pixels[~missing].max()) if not missing.all() else (128, 128)
    assert filled.min() >= low
    assert filled.max() <= high


def test_all_back_ends_restore_alike(clean: Bytes) -> None:
    seen = noisy(clean[:128, :128], 20)
    networks = [restoring_on_cpu(load_restoration(), level) for level in (None, "numpy")]
    shown = [Restorer(own).restore(seen, 20) for own in (*networks, restoring_networks("cpu"))]
    assert np.array_equal(shown[0], shown[1])
    assert np.array_equal(shown[0], shown[2])


def test_windows_cannot_be_seen(clean: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = noisy(clean, 20)
    whole = load_restorer("cpu").restore(seen, 20)
    monkeypatch.setattr("cae.codec.restore.restorer.BAND", 4)
    monkeypatch.setattr("cae.codec.backends.batching.WINDOW", 4)
    assert np.array_equal(load_restorer("cpu").restore(seen, 20), whole)


def test_strengths_and_rows() -> None:
    rows = [row_of_strength(strength) for strength in (0, 1, 3, 25, MOST_STRENGTH, 1000)]
    assert rows == sorted(rows, reverse=True)
    assert (rows[0], rows[-2], rows[-1]) == (255, 0, 0)
    t = torch.linspace(0, 1, 9)
    assert torch.allclose(rates_of(strengths_of(t)), t, atol=1e-5)
    assert [round(255 * float(t)) for t in rates_of(torch.tensor([0.0, 1.0, 3.0, 25.0]))] == rows[:4]


def test_estimates_of_strength(clean: Bytes) -> None:
    assert noise_strength(np.full((100, 100, 3), 90, np.uint8)) == 0
    assert noise_strength(np.full((9, 9), 90, np.uint8)) == 0  # no block
    assert noise_strength(clean) < 3
    assert [noise_strength(noisy(clean[..., 0], sigma)) for sigma in (5, 20)] == pytest.approx([5, 20], rel=0.3)
    tables = [quantisation(as_jpeg(clean, quality)) for quality in (10, 50, 90)]
    strengths = [jpeg_strength(table) for table in tables if table]
    assert strengths == sorted(strengths, reverse=True)
    assert len(strengths) == 3
    assert quantisation(b"") is None
    assert quantisation(as_jpeg(clean, 50)[:40]) is None


@pytest.mark.parametrize("seed", range(12))
def test_degraded_crops(clean: Bytes, seed: int) -> None:
    crop = np.ascontiguousarray(clean[:128, :128])
    first, second = (degrade(crop, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first, second)
    assert (first.shape, first.dtype) == (crop.shape, np.uint8)


@pytest.mark.parametrize("options", [{"noise": -1}, {"noise": 51}, {"strength": 1.5}, {"noise": float("nan")}])
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        RestoreOptions(**options)


def test_masks(clean: Bytes) -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[3:5] = 200
    assert mask_of(Picture(mask), 30, 20).sum() == 60
    assert mask_of(Picture(np.repeat(mask[..., None], 3, axis=2)), 30, 20).sum() == 60
    with pytest.raises(InputError, match="the mask has 30x20 pixels, the picture 20x30"):
        mask_of(Picture(mask), 20, 30)
    with pytest.raises(InputError, match="nothing"):
        mask_of(Picture(np.full((2, 2), 255, np.uint8)), 2, 2)


def test_the_command(cae: Cae, tmp_path: Path, clean: Bytes) -> None:
    Image.fromarray(noisy(clean, 25)).save(tmp_path / "noisy.png")
    run = cae("restore", tmp_path / "noisy.png", tmp_path / "clean.png")
    assert run.returncode == 0
    assert "232x200 RGB" in run.stdout
    assert "found noise 2" in run.stdout
    assert psnr(clean, np.asarray(Image.open(tmp_path / "clean.png"))) > 28
    again = cae("restore", tmp_path / "noisy.png", tmp_path / "clean.png")
    assert (again.returncode, "is there already" in again.stderr) == (6, True)
    run = cae("restore", tmp_path / "noisy.png", tmp_path / "clean.cae", "-q", "60", "--noise", "25")
    assert run.returncode == 0
    plain = cae("encode", tmp_path / "noisy.png", tmp_path / "noisy.cae", "-q", "60")
    assert plain.returncode == 0
    assert (tmp_path / "clean.cae").stat().st_size < 0.7 * (tmp_path / "noisy.cae").stat().st_size
    mask = np.zeros(clean.shape[:2], np.uint8)
    mask[50:54] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    run = cae(
        "restore", tmp_path / "noisy.png", tmp_path / "holes.png", "--mask", tmp_path / "mask.png", "--noise", "0"
    )
    assert "found nothing, 2.0% made anew" in run.stdout


def test_folders(cae: Cae, tmp_path: Path, clean: Bytes) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(as_jpeg(clean, 20))
    Image.fromarray(noisy(clean, 10)).save(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "c.png").write_bytes(b"no picture")
    run = cae("restore", tmp_path / "in", "--out", tmp_path / "out", "--jobs", "1")
    assert run.returncode == 1
    assert "c.png" in run.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("a.png", "b.png", "--noise", "60"), 2),
        (("a.png", "b.png", "--noise", "much"), 2),
        (("a.png", "b.xyz"), 6),
        (("none.png", "b.png"), 3),
        (("a.png", "b.png", "--mask", "a.png"), 3),
        (("a.png", "-"), 2),
        ((".", "--out", "o", "--mask", "a.png"), 2),
    ],
)
def test_bad_input_to_the_command(
    cae: Cae, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "c.png"):
        Image.new("L", (40, 30), 255).save(name)
    run = cae("restore", *words)
    assert run.returncode == code
    assert not Path("b.png").exists()
    assert len(run.stderr.strip().splitlines()) >= 1


def test_weights_for_restoration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to other weights, are missing, or lack a tensor."""
    restoration = load_restoration()
    own = {key: value for key, value in restoration.weights.tensors.items() if key.startswith("latents.")}
    del own["latents.reach"]
    with pytest.raises(WeightsError, match=r"latents\.keep is missing"):
        restoration_of(restoration.weights, {key: value for key, value in own.items() if key != "latents.keep"})
    with pytest.raises(WeightsError, match=r"latents\.keep is out of range"):
        restoration_of(restoration.weights, {**own, "latents.keep": -own["latents.keep"]})
    shipped = weight_files.find_weights()
    manifest = '{{"file": "{}", "sha256": "{}", "restoration": {}}}'
    for entry, error in (
        ("null", MissingWeightsError),
        ('{"of": "0"}', MissingWeightsError),
        ("{}", MissingWeightsError),
    ):
        (tmp_path / "manifest.json").write_text(manifest.format(shipped.path.name, shipped.sha256, entry))
        with pytest.raises(error, match="no weights for restoration"):
            weight_files.find_restoration(tmp_path)
    entry = f'{{"of": "{shipped.sha256}", "file": 3}}'
    (tmp_path / "manifest.json").write_text(manifest.format(shipped.path.name, shipped.sha256, entry))
    with pytest.raises(WeightsError, match="malformed"):
        weight_files.find_restoration(tmp_path)
