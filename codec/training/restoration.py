"""Training of restoration: an analysis transform that makes of a degraded picture the latents of a clean one.

It begins as the codec's own, and is the only part that learns: the synthesis stays what every decoder has.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..model.arrays import Pixels
from .degrade import degrade
from .loop import Trainer
from .loss import Loss
from .model.model import CompressionModel
from .model.restoring import RestoringTransform, rates_of

JITTER = 0.25
"""The standard deviation of the logarithm of what strength is told by: users and estimates err."""

LEAST_ERROR = 1 / 255**2
"""Mean squared error, in units of the pixel range, below which a sample's loss hardly falls any more."""


class Restoration(nn.Module):
    """A model that shows what its analysis transform makes of degraded images, without rounding and coding."""

    def __init__(self, model: CompressionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Restored images, float32 [B, H, W, 3], of x, float32 [B, H, W, 3] in -0.5..0.5, H and W multiples of 16. t:
        float32 [B], the strength of each degradation on the scale of `rates_of`."""
        model, best = self.model, torch.ones_like(t)
        y = model.analysis(x, t, model.sigma) * model.log_shrink(best).exp()
        shown: Tensor = model.synthesis(y, best, model.sigma)
        return shown


def put_restoring(model: CompressionModel) -> None:
    """Puts a transform that restores, at first as good as the analysis, in place of a model's analysis."""
    transform = RestoringTransform(model.config)
    transform.begin(model.analysis, model.sigma)
    model.analysis = transform
    model.bound()


class RestorationTrainer(Trainer):
    """A run that trains the analysis transform alone, on pairs of degraded and clean crops.

    The rate tables of the transform tell it how strong the degradation is, not how many bits there are."""

    def prepare(self, model: CompressionModel) -> nn.Module:
        """The model with a transform that restores in place of its analysis, and nothing else to be trained."""
        put_restoring(model)
        model.requires_grad_(False).analysis.requires_grad_(True)
        return Restoration(model)

    def batch(self, count: int, size: int, random: np.random.Generator) -> Pixels:
        """Clean crops and degraded ones, uint8 [count, size, size, 6]."""
        clean = super().batch(count, size, random)
        return np.concatenate([clean, np.stack([degrade(crop, random) for crop in clean])], axis=-1)

    def losses(self, pixels: Tensor) -> tuple[Tensor, Loss]:
        """The mean logarithm of the squared error, since PSNR is one, of a batch uint8 [B, S, S, 6]."""
        clean, seen = (pixels.float() / 255 - 0.5).chunk(2, dim=-1)
        strength = 255 * (seen - clean).square().mean((1, 2, 3)).sqrt()
        t = rates_of(strength * (JITTER * torch.randn_like(strength)).exp())
        with self.autocast():
            shown = self.forward(seen, t)
        mse = (shown.float() - clean).square().mean((1, 2, 3))
        samples = (mse + LEAST_ERROR).log()
        return t, Loss(samples.mean(), samples.detach(), torch.zeros_like(mse), mse.detach())
