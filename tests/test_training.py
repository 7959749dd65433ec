"""Training on generated images: crops, loss, a short run with a stop in the middle, and the weights it gives."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cae.bitstream.errors import InputError
from cae.codec.checkpoint import load_frozen
from cae.codec.config import SKIP_SCALE, ModelConfig
from cae.codec.model import CompressionModel, gaussian_bits, lower_bound
from cae.codec.pipeline import Codec
from cae.codec.training import release as release_module
from cae.codec.training.data import CropSource, Prefetch, patch_covariance, read_images
from cae.codec.training.loop import Schedule, Trainer

SMALL = ModelConfig(latent_channels=32, width_8=16, width_16=16, hyper_channels=8, prior_width=16, knots=5)
SCHEDULE = Schedule(steps=12, batch=4, crop=64, late_crop=128, late_batch=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two images and a tar archive with one: smooth, with noise, as photographs are."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "c.png"):
        coarse = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8)).resize((160, 160))
        noisy = np.asarray(coarse, np.int16) + random.integers(-9, 10, (160, 160, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / name)
    with tarfile.open(folder / "more.tar", "w") as archive:
        archive.add(folder / "c.png", "c.png")
    (folder / "c.png").unlink()
    Image.new("RGB", (20, 20)).save(folder / "too_small.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_images_are_found_in_folders_and_archives(images: Path) -> None:
    assert len(list(read_images(images))) == 4
    assert len(CropSource([images], smallest=128)) == 3
    with pytest.raises(InputError, match="at least 500"):
        CropSource([images], smallest=500)


def test_broken_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no more")
    with pytest.raises(InputError, match=r"broken\.png"):
        CropSource([tmp_path], smallest=64)
    (tmp_path / "broken.png").unlink()
    (tmp_path / "broken.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(InputError, match=r"broken\.tar"):
        CropSource([tmp_path], smallest=64)


def test_crops(images: Path) -> None:
    random = np.random.default_rng(1)
    # Without a cache every image is decoded again, to the same crops.
    plain, cached = (CropSource([images], smallest=128, cache_bytes=size) for size in (0, 1 << 20))
    batch = plain.batch(3, 96, np.random.default_rng(1))
    assert batch.shape == (3, 96, 96, 3)
    assert batch.dtype == np.uint8
    assert np.array_equal(batch, cached.batch(3, 96, random))


def test_prefetch_hands_errors_on() -> None:
    def fail() -> np.ndarray:
        raise OSError("disk gone")

    with Prefetch(fail) as prefetch, pytest.raises(OSError, match="disk gone"):
        prefetch.next()


def test_gaussian_bits() -> None:
    # A wide Gaussian at its mode costs log2(scale * sqrt(2 pi)).
    assert float(gaussian_bits(torch.tensor(0.0), torch.tensor(100.0))) == pytest.approx(7.97, abs=0.01)
    narrow = gaussian_bits(torch.tensor(0.0), torch.tensor(SKIP_SCALE))
    assert float(1 - 2**-narrow) == pytest.approx(9.1e-4, rel=0.05)


def test_lower_bound_lets_only_rising_gradients_through() -> None:
    x = torch.tensor([0.0, 0.0, 2.0], requires_grad=True)
    (lower_bound(x, 1.0) * torch.tensor([1.0, -1.0, 1.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == [0, -1, 1]


def test_starts_as_a_klt_codec_whose_step_feels_the_distortion(images: Path) -> None:
    source = CropSource([images], smallest=128)
    random = np.random.default_rng(2)
    model = CompressionModel(SMALL)
    model.start_from_klt(torch.from_numpy(patch_covariance(source, random, crops=100)))
    x = torch.from_numpy(source.batch(2, 128, random)).float() / 255 - 0.5
    out = model.eval()(x, torch.tensor([1.0, 0.0]))
    high, low = (out.x - x).square().mean((1, 2, 3)).tolist()
    assert high < low < float(x.square().mean())
    assert out.bits_y[0] > out.bits_y[1] > 0
    # A smaller step must mean a smaller error, by the gradient too: the table may not sink for ever.
    (out.x - x).square().mean().backward()
    gradient = model.log_gain.knots.grad
    assert gradient is not None
    assert gradient.sum() < 0


def test_resumed_run_and_release(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    first = Trainer(SMALL, SCHEDULE, [images], run, "cpu")
    for _ in range(5):
        assert first.train_step(first.source.batch(4, 64, first.random)) is not None
    first.save()
    second = Trainer(SMALL, SCHEDULE, [images], run, "cpu")
    assert second.step == 5
    second.train(report_every=0.0)
    assert second.step == SCHEDULE.steps
    with pytest.raises(InputError, match="another model configuration"):
        Trainer(ModelConfig(), SCHEDULE, [images], run, "cpu")

    monkeypatch.setattr(release_module, "CALIBRATION_CROPS", 3)
    monkeypatch.setattr(release_module, "CALIBRATION_SIDE", 128)
    release_module.release(run, [images], tmp_path / "weights", "test")
    model, fingerprint = load_frozen(tmp_path / "weights")
    codec = Codec(model, fingerprint)
    from cae.codec.image import read_picture

    picture = read_picture(images / "a.png")
    data = codec.encode(picture, 100)
    error = codec.decode(data).pixels.astype(float) - picture.pixels
    assert np.sqrt((error**2).mean()) < 25


def test_exploding_steps_are_dropped(images: Path, tmp_path: Path) -> None:
    trainer = Trainer(SMALL, SCHEDULE, [images], tmp_path / "run", "cpu")
    batch = trainer.source.batch(4, 64, trainer.random)
    trainer.norms.extend([1e-9] * 50)
    before = [parameter.clone() for parameter in trainer.model.parameters()]
    assert trainer.train_step(batch) is None
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.parameters(), strict=True))
