"""Weights that grow: more latent channels show more, and what was there stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from cae.bitstream.errors import InputError
from cae.codec.model.config import ModelConfig
from cae.codec.training import grow
from cae.codec.training.data import CropSource, patch_covariance
from cae.codec.training.model.model import CompressionModel

CONFIG = ModelConfig(latent_channels=32, width_8=16, width_16=16, hyper_channels=8, prior_width=16, knots=5)


@pytest.fixture(autouse=True)
def few_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grow, "CROPS", 12)


@pytest.fixture
def source(tmp_path: Path) -> CropSource:
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "photo.png")  # type: ignore[no-untyped-call]
    return CropSource([tmp_path], smallest=grow.SIDE)


@pytest.fixture
def model(source: CropSource) -> CompressionModel:
    """As after a few steps: started from the KLT, every network doing something."""
    torch.manual_seed(2)
    model = CompressionModel(CONFIG).requires_grad_(False)
    model.start_from_klt(torch.from_numpy(patch_covariance(source, np.random.default_rng(0), crops=50)))
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter), alpha=0.01)
    return model.eval()


def picture() -> torch.Tensor:
    """float32 [1, 256, 256, 3]: another photograph than that of the training."""
    return torch.from_numpy(skimage.data.chelsea()[:256, :256].copy())[None].float() / 255 - 0.5  # type: ignore[no-untyped-call]


@pytest.mark.slow
def test_what_was_there_stays(model: CompressionModel, source: CropSource) -> None:
    grown = grow.grow(model, replace(CONFIG, latent_channels=64), source).eval()
    t = torch.tensor([0.4])
    before, after = model.analysis(picture(), t, model.sigma), grown.analysis(picture(), t, grown.sigma)
    kept = torch.cat([torch.arange(8) + 16 * group for group in range(4)])
    torch.testing.assert_close(after[..., kept], before)
    # Where the new latents are 0, the decoder and the prior do what they did.
    latents = torch.zeros_like(after)
    latents[..., kept] = before
    torch.testing.assert_close(
        grown.synthesis(latents, t, grown.sigma), model.synthesis(before, t, model.sigma), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(grown.hyper_analysis(after, t), model.hyper_analysis(before, t))
    features = torch.randn(1, 16, 16, CONFIG.prior_width)
    for ours, theirs in zip(grown.prior.context_steps, model.prior.context_steps, strict=True):
        first = ours is grown.prior.context_steps[0]
        for new, old in zip(
            ours(features, None if first else latents), theirs(features, None if first else before), strict=True
        ):
            torch.testing.assert_close(new[..., :8], old)
            assert new[..., 8:].unique().numel() == 1


@pytest.mark.slow
@torch.no_grad()
def test_more_is_shown(model: CompressionModel, source: CropSource) -> None:
    """At the highest rate what is left out of a picture shrinks, and is left out of what is decoded."""
    grown = grow.grow(model, replace(CONFIG, latent_channels=128), source).eval()
    top = torch.ones(1)
    errors = [
        float((m.synthesis(m.analysis(picture(), top, m.sigma), top, m.sigma) - picture()).square().mean())
        for m in (model, grown)
    ]
    assert errors[1] < 0.6 * errors[0]
    before, after = (m(picture(), top) for m in (model, grown))
    decoded = [float((out.x - picture()).square().mean()) for out in (before, after)]
    assert decoded[1] < 0.25 * decoded[0]
    # At the lowest rate, where nothing of them is shown, the new channels cost little though nothing is known of them.
    bottom = torch.zeros(1)
    assert float(grown(picture(), bottom).bits_y) < 1.3 * float(model(picture(), bottom).bits_y)
    # The strongest are not all in one group of the context.
    power = grown.analysis(picture(), top, grown.sigma).mul(grown.sigma).square().mean((0, 1, 2))
    new = power.reshape(4, -1)[:, 8:].sum(1)
    assert float(new.max() / new.sum()) < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"latent_channels": 28}, {"latent_channels": 64, "width_8": 32}])
def test_nothing_else_may_differ(model: CompressionModel, source: CropSource, change: dict[str, int]) -> None:
    with pytest.raises(InputError, match="fewer latent_channels"):
        grow.grow(model, replace(CONFIG, **change), source)
