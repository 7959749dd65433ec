"""The whole model in floating point for training, with latents rounded as the encoder does, and estimates of their bits
that have gradients."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...model.config import CONTEXT_CLAMP, SKIP_SCALE, ModelConfig
from ...model.constants import STEPS
from .layers import Blocks, Pointwise, Range, space_to_depth, straight_through
from .prior import Prior, place_step, select_step, to_classes
from .transforms import AnalysisTransform, Full, RateTable, SynthesisTransform, base_step

SCALE_LOW = 0.11
"""Smallest scale of a latent in training, in quantisation steps: P(symbol != 0) is 0.0016 there."""


MOST_BITS = 30.0
"""Limit of the bits that are counted for a symbol: about what an escaped one costs."""


LOG_OFFSET = 0.01
"""Offset of the logarithms of magnitudes that the hyper-analysis takes, in standard deviations."""


class RatedReconstruction(NamedTuple):
    """The decoded images and the bits of one pass through the model."""

    x: Tensor
    """Decoded images, float32 [B, H, W, 3], about -0.5..0.5."""
    bits_y: Tensor
    """Bits of each image's latents, float32 [B]."""
    bits_z: Tensor
    """Bits of each image's hyper-latents, float32 [B]."""


class _LowerBound(torch.autograd.Function):
    """max(x, bound), with the gradient of x where x is above the bound or the gradient would raise it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        gradient = gradients[0]
        return gradient * ((x >= ctx.bound) | (gradient < 0)), None


def lower_bound(x: Tensor, bound: float) -> Tensor:
    """max(x, bound), but where x is below the bound a gradient that would raise it still passes."""
    apply: Any = _LowerBound.apply  # typed in some versions of torch, not in others
    out: Tensor = apply(x, bound)
    return out


def laplace_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits of the interval residual +- 0.5 under a Laplace distribution of mean 0 and standard deviation `scale`,
    element by element.

    They are calculated from logarithms so that they grow with the distance without end. A likelihood with a lower bound
    would give no gradient to far latents, and nothing would hold back those that are not coded, whatever they are: they
    drifted to hundreds of standard deviations, and runs diverged when one of them was coded after all.
    """
    distance = residual.abs()
    rate = math.sqrt(2) / scale
    within = 1 - torch.exp(-rate / 2) * torch.cosh(rate * distance.clamp(max=0.5))
    beyond = rate / math.log(2) * (distance - 0.5) + 1 - torch.log2(-torch.expm1(-rate))
    bits: Tensor = torch.where(distance < 0.5, -torch.log2(within), beyond)
    return bits


def round_by_cost(residual: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Rounds residuals to the nearest integer or to the one below it in magnitude, whichever costs less, as the encoder
    does (tile/quantize.py), but with the bits of a Laplace distribution instead of counted tables. Where the scale is
    below SKIP_SCALE, so that nothing is coded, the result is 0.

    residual, scale: float32 [...] in quantisation steps. weight: bits that an error of one squared step is worth, of a
    shape that broadcasts.
    """
    magnitude = residual.abs()
    nearest = magnitude.round()
    # From 1 on each magnitude costs the same number of bits more than the one below it.
    rate = math.sqrt(2) / scale
    first = laplace_bits(torch.ones_like(scale), scale) - laplace_bits(torch.zeros_like(scale), scale)
    extra = torch.where(nearest > 1, rate / math.log(2), first)
    below = (nearest > 0) & (magnitude < nearest - 0.5 + extra / (2 * weight))
    return torch.where(scale < SKIP_SCALE, 0, torch.copysign(nearest - below.float(), residual))


def coded_bits(value: Tensor, rounded: Tensor, scale: Tensor) -> Tensor:
    """Bits of `rounded` under a Laplace distribution of mean 0 and standard deviation `scale`, element by element, at
    most MOST_BITS.

    The scale gets the gradient of these bits. `value`, which rounding leaves without a gradient, gets that of the bits
    of value plus uniform noise of one step. With noise for both, the scales would cover the noise, too, most of what
    there is at low rates; with rounding for both, nothing would pull small values to 0.
    """
    bits = laplace_bits(rounded, scale).clamp(max=MOST_BITS)
    if not value.requires_grad:
        return bits
    noisy = laplace_bits(value + torch.rand_like(value) - 0.5, scale.detach())
    return bits + (noisy - noisy.detach())


class HyperAnalysis(nn.Module):
    """The network from latents to hyper-latents, which only the encoder runs."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        p = config.prior_width
        self.enter = Pointwise(2 * config.latent_channels, p)
        self.gain = RateTable(torch.zeros(config.knots, p))
        self.blocks_16 = Blocks(1, p)
        self.down_32 = Pointwise(4 * p, p)
        self.blocks_32 = Blocks(1, p)
        # Half the usual gain: hyper-latents that start small cost few bits.
        self.down_64 = Full(Pointwise(4 * p, config.hyper_channels, gain=0.5))

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        """The hyper-latents, float32 [B, h/4, w/4, Z], not rounded, of latents y, float32 [B, h, w, M] in standard
        deviations, h and w multiples of 4, at rates t, float32 [B] in [0, 1]."""
        y = y.clamp(-CONTEXT_CLAMP, CONTEXT_CLAMP)
        features = self.enter(torch.cat([y, (y.abs() + LOG_OFFSET).log()], dim=-1)) * self.gain(t).exp()
        features = self.down_32(space_to_depth(self.blocks_16.limited(self.blocks_16(features)), 2))
        result: Tensor = self.down_64(space_to_depth(self.blocks_32.limited(self.blocks_32(features)), 2))
        return result


class CompressionModel(nn.Module):
    """The whole model: transforms, prior and rate tables. `freezing.freeze` makes integers of it, which code files."""

    sigma: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        m = config.latent_channels
        self.config = config
        self.analysis = AnalysisTransform(config)
        self.hyper_analysis = HyperAnalysis(config)
        self.prior = Prior(config)
        self.synthesis = SynthesisTransform(config)
        # The standard deviation of each latent channel over the training set; pixels have a range of 1.
        self.register_buffer("sigma", torch.ones(m))
        step = base_step(config, torch.linspace(0, 1, config.knots))
        self.log_gain = RateTable(-step[:, 0, 0].log().expand(-1, m))
        # The decoder multiplies latents by exp(log_shrink) / gain.
        self.log_shrink = RateTable(torch.zeros(config.knots, m))
        self.hyper_log_scale = RateTable(torch.full((config.knots, config.hyper_channels), math.log(0.6)))

    @property
    def is_bounded(self) -> bool:
        """Whether the ranges of all activations are set, by `calibration.set_limits` or from a file."""
        return all(part.is_set for part in self.modules() if isinstance(part, Range | Blocks))

    def bound(self) -> None:
        """Declares the ranges set: from now on activations are clamped to them and rounded."""
        for part in self.modules():
            if isinstance(part, Range | Blocks):
                part.is_set = True

    @torch.no_grad()
    def start_from_klt(self, covariance: Tensor) -> None:
        """Sets the linear transforms to the Karhunen-Loeve transform, and `sigma` to its standard deviations.

        covariance: float64 [768, 768], second moments about 0 of patches of 16x16 pixels in -0.5..0.5, in the order of
        `space_to_depth`.
        """
        m = self.config.latent_channels
        values, vectors = torch.linalg.eigh(covariance)
        order = values.argsort(descending=True)[:m]
        # Groups of the context are neighbouring channels. Components are dealt out to them in turn, so that each group
        # gets its share of strong ones.
        order = order.reshape(m // 4, 4).T.reshape(m)
        basis = vectors[:, order].T.float()
        self.analysis.linear.inner.weight.copy_(basis)
        self.synthesis.linear.inner.weight.copy_(basis.T)
        self.sigma.copy_(values[order].clamp(min=1e-8).sqrt())

    def forward(self, x: Tensor, t: Tensor) -> RatedReconstruction:
        """Encodes and decodes images x, float32 [B, H, W, 3] in -0.5..0.5, H and W multiples of 64, at rates t, float32
        [B] in [0, 1]. Latents are rounded as the encoder would; gradients pass straight through.
        """
        y = self.analysis(x, t, self.sigma)
        z = self.hyper_analysis(y, t)
        z_hat = straight_through(z, z.round())
        z_scale = lower_bound(self.hyper_log_scale(t), math.log(SCALE_LOW)).exp()
        bits_z = coded_bits(z, z.round().detach(), z_scale).sum((1, 2, 3))
        features = self.prior.hyper_synthesis(z_hat, t)

        # The logarithm of each channel's standard deviation in quantisation steps.
        log_deviation = self.log_gain(t) + self.sigma.log()
        log_deviations = log_deviation.expand(4, -1, -1, -1, -1)
        sigmas = self.sigma.expand(4, 1, 1, 1, -1)
        # Bits that a latent's squared error is worth, for pixels with a range of 1.
        rd_weight = self.config.rate_weight(t)[:, None, None, None] * 255**2 / 3
        classes = to_classes(y)
        known: Tensor | None = None
        y_hat = torch.zeros_like(y)
        bits_y = torch.zeros_like(bits_z)
        for step in range(STEPS):
            if step:
                known = y_hat.clamp(-CONTEXT_CLAMP, CONTEXT_CLAMP)
            mean, log_scale = self.prior.steps[step](features, known)
            log_sigma_in_steps = select_step(log_deviations, step)
            sigma_in_steps = log_sigma_in_steps.exp()
            scale = lower_bound(log_scale + log_sigma_in_steps, math.log(SCALE_LOW)).clamp(max=math.log(1024)).exp()
            value = select_step(classes, step)
            residual = (value - mean) * sigma_in_steps
            with torch.no_grad():
                squared_step = (select_step(sigmas, step) / sigma_in_steps).square()
                rounded = round_by_cost(residual, scale, rd_weight * squared_step)
            bits_y = bits_y + coded_bits(residual, rounded, scale).sum((0, 2, 3, 4))
            # Residuals are divided again, so that the distortion has a gradient for the step size, too.
            y_hat = y_hat + place_step(mean + straight_through(residual, rounded) / sigma_in_steps, step)
        w = y_hat * self.log_shrink(t).exp()
        return RatedReconstruction(self.synthesis(w, t, self.sigma), bits_y, bits_z)
