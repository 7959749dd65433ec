"""The model in training: floating point throughout, rounded as the encoder rounds, with gradients passed through."""

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
"""Smallest scale in training, in steps: P(symbol != 0) is 0.0016 there."""


MOST_BITS = 30.0
"""What a symbol is taken to cost at most: about what an escaped one does."""


LOG_OFFSET = 0.01
"""Standard deviations that the hyper-analysis adds to magnitudes before it takes their logarithms."""


class RatedReconstruction(NamedTuple):
    """What one pass through the model gives."""

    x: Tensor
    """float32 [B, H, W, 3], about -0.5..0.5."""
    bits_y: Tensor
    """float32 [B]: bits for the latents, summed over the image."""
    bits_z: Tensor
    """float32 [B]: bits for the hyper-latents, summed over the image."""


class _LowerBound(torch.autograd.Function):
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
    """max(x, bound), whose gradient may still raise an x below the bound."""
    apply: Any = _LowerBound.apply  # typed in some versions of torch, not in others
    out: Tensor = apply(x, bound)
    return out


def laplace_bits(residual: Tensor, scale: Tensor) -> Tensor:
    """Bits for a value within +-0.5 of `residual` under a Laplace distribution of mean 0 and standard deviation
    `scale`, element by element.

    They rise without end with the distance: were they cut off, as where a likelihood is kept from 0, nothing would hold
    latents back that rounding makes 0 whatever they are. Such latents drifted to hundreds of standard deviations, and
    runs diverged when one of them was coded after all.
    """
    distance = residual.abs()
    rate = math.sqrt(2) / scale
    within = 1 - torch.exp(-rate / 2) * torch.cosh(rate * distance.clamp(max=0.5))
    beyond = rate / math.log(2) * (distance - 0.5) + 1 - torch.log2(-torch.expm1(-rate))
    bits: Tensor = torch.where(distance < 0.5, -torch.log2(within), beyond)
    return bits


def round_by_cost(residual: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Rounds to the nearest integer or to the one below it in magnitude, whichever costs less: what
    `tile.quantize` does with counted tables, here with the bits of a Laplace distribution; 0 where it would not
    be coded.

    residual, scale: float32 [...] in steps; weight: the bits that a squared step of error is worth, broadcast.
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
    """Bits for `rounded` under a Laplace distribution of mean 0, element by element, MOST_BITS at most.

    Their gradient goes to the scale as it is, so not where they are cut off, and to `value` as that of the bits of the
    value with uniform noise of one step: rounding has none. Noise for both would have the scales cover the noise,
    which at low rates is most of what they cover; with rounding for both, nothing would pull small values to 0.
    """
    bits = laplace_bits(rounded, scale).clamp(max=MOST_BITS)
    if not value.requires_grad:
        return bits
    noisy = laplace_bits(value + torch.rand_like(value) - 0.5, scale.detach())
    return bits + (noisy - noisy.detach())


class HyperAnalysis(nn.Module):
    """Latents -> hyper-latents; used by the encoder alone."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        p = config.prior_width
        self.enter = Pointwise(2 * config.latent_channels, p)
        self.gain = RateTable(torch.zeros(config.knots, p))
        self.blocks_16 = Blocks(1, p)
        self.down_32 = Pointwise(4 * p, p)
        self.blocks_32 = Blocks(1, p)
        # Half weight: hyper-latents that start small start cheap.
        self.down_64 = Full(Pointwise(4 * p, config.hyper_channels, gain=0.5))

    def forward(self, y: Tensor, t: Tensor) -> Tensor:
        """y: float32 [B, h, w, M] in standard deviations, h and w multiples of 4 -> float32 [B, h/4, w/4, Z]."""
        y = y.clamp(-CONTEXT_CLAMP, CONTEXT_CLAMP)
        features = self.enter(torch.cat([y, (y.abs() + LOG_OFFSET).log()], dim=-1)) * self.gain(t).exp()
        features = self.down_32(space_to_depth(self.blocks_16.limited(self.blocks_16(features)), 2))
        result: Tensor = self.down_64(space_to_depth(self.blocks_32.limited(self.blocks_32(features)), 2))
        return result


class CompressionModel(nn.Module):
    """Transforms, prior and rate tables; `freeze` makes the shipped codec of it."""

    sigma: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        m = config.latent_channels
        self.config = config
        self.analysis = AnalysisTransform(config)
        self.hyper_analysis = HyperAnalysis(config)
        self.prior = Prior(config)
        self.synthesis = SynthesisTransform(config)
        # Standard deviation of each latent channel over the training set, in units of the pixel range.
        self.register_buffer("sigma", torch.ones(m))
        step = base_step(config, torch.linspace(0, 1, config.knots))
        self.log_gain = RateTable(-step[:, 0, 0].log().expand(-1, m))
        # Correction to 1 / gain in the decoder.
        self.log_shrink = RateTable(torch.zeros(config.knots, m))
        self.hyper_log_scale = RateTable(torch.full((config.knots, config.hyper_channels), math.log(0.6)))

    @property
    def is_bounded(self) -> bool:
        """Whether the ranges of activations are set, by `calibration.set_limits` or from a file."""
        return all(part.is_set for part in self.modules() if isinstance(part, Range | Blocks))

    def bound(self) -> None:
        """From here on activations are kept within their ranges."""
        for part in self.modules():
            if isinstance(part, Range | Blocks):
                part.is_set = True

    @torch.no_grad()
    def start_from_klt(self, covariance: Tensor) -> None:
        """Starts the linear parts as the Karhunen-Loeve transform.

        covariance: float64 [768, 768] of pixel patches in -0.5..0.5, in the order of `space_to_depth`, about 0.
        """
        m = self.config.latent_channels
        values, vectors = torch.linalg.eigh(covariance)
        order = values.argsort(descending=True)[:m]
        # The groups of the context are neighbouring channels; dealing the components out in turn gives each
        # group its share of the strong ones.
        order = order.reshape(m // 4, 4).T.reshape(m)
        basis = vectors[:, order].T.float()
        self.analysis.linear.inner.weight.copy_(basis)
        self.synthesis.linear.inner.weight.copy_(basis.T)
        self.sigma.copy_(values[order].clamp(min=1e-8).sqrt())

    def forward(self, x: Tensor, t: Tensor) -> RatedReconstruction:
        """x: float32 [B, H, W, 3] in -0.5..0.5, H and W multiples of 64; t: float32 [B] in [0, 1].

        The latents are rounded as the encoder would, with gradients passed straight through.
        """
        y = self.analysis(x, t, self.sigma)
        z = self.hyper_analysis(y, t)
        z_hat = straight_through(z, z.round())
        z_scale = lower_bound(self.hyper_log_scale(t), math.log(SCALE_LOW)).exp()
        bits_z = coded_bits(z, z.round().detach(), z_scale).sum((1, 2, 3))
        features = self.prior.hyper_synthesis(z_hat, t)

        # One standard deviation of each channel, in quantisation steps.
        log_deviation = self.log_gain(t) + self.sigma.log()
        log_deviations = log_deviation.expand(4, -1, -1, -1, -1)
        sigmas = self.sigma.expand(4, 1, 1, 1, -1)
        # Bits that a squared error of a latent, in units of the pixel range, is worth; see TileCoder.quantise.
        worth = self.config.rate_weight(t)[:, None, None, None] * 255**2 / 3
        classes = to_classes(y)
        known: Tensor | None = None
        y_hat = torch.zeros_like(y)
        bits_y = torch.zeros_like(bits_z)
        for step in range(STEPS):
            if step:
                known = y_hat.clamp(-CONTEXT_CLAMP, CONTEXT_CLAMP)
            mean, log_scale = self.prior.steps[step](features, known)
            log_unit = select_step(log_deviations, step)
            unit = log_unit.exp()
            scale = lower_bound(log_scale + log_unit, math.log(SCALE_LOW)).clamp(max=math.log(1024)).exp()
            value = select_step(classes, step)
            residual = (value - mean) * unit
            with torch.no_grad():
                rounded = round_by_cost(residual, scale, worth * (select_step(sigmas, step) / unit).square())
            bits_y = bits_y + coded_bits(residual, rounded, scale).sum((0, 2, 3, 4))
            # In steps, so that the gradient of the distortion reaches the step size too.
            y_hat = y_hat + place_step(mean + straight_through(residual, rounded) / unit, step)
        w = y_hat * self.log_shrink(t).exp()
        return RatedReconstruction(self.synthesis(w, t, self.sigma), bits_y, bits_z)
