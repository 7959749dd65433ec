"""The codec's networks and tables as they are shipped. What a decoder needs is integer arithmetic: prior and synthesis.

Whole numbers around the prior, held in float32:
    latents         sixteenths of a quantisation step
    network input   latents in 1/4096 of the channel's standard deviation, clamped to 16 bits
    network output  means in 2^-12 of the standard deviation; log-scales in 2^-8 of a row of the scale table
One is made of another by one IEEE 754 multiplication or addition and rounding to a whole number.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..bitstream.tables import ProbabilityTables
from .config import ACTIVATION_LIMIT, LATENT_FRACTION, ROWS, TABLE_ROWS, ModelConfig
from .exact import exact_arithmetic
from .integers import INPUT_LIMIT, MEAN_LIMIT, MEAN_ONE, SCALE_ONE, STEPS
from .layers import allocate
from .model import HyperAnalysis
from .narrow import operands
from .prior import select_step, write_step
from .synthesis import IntegerSynthesis
from .transforms import AnalysisTransform
from .twins import integer_prior

Resolve = Callable[[int, Tensor, Tensor], Tensor]
"""(step, means float32 in sixteenths, rows uint8) -> symbols int32, all three [4, 1, h/2, w/2, M/4]."""


def row_rate(row: int) -> float:
    """The rate index t in [0, 1] of a row of the rate tables."""
    return row / (ROWS - 1)


class FrozenModel(nn.Module):
    """Latents of one image or tile at a time (batch 1); made by `freeze`, read by `checkpoint`."""

    sigma: Tensor
    unit: Tensor
    inverse_unit: Tensor
    log_unit: Tensor
    restore: Tensor
    hyper_rows: Tensor
    half_widths: Tensor
    counts: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        m = config.latent_channels
        self.config = config
        with torch.device("meta"):  # no time is spent on initial values
            self.analysis = AnalysisTransform(config)
            self.hyper_analysis = HyperAnalysis(config)
            self.prior = integer_prior(config)
            self.pixels = IntegerSynthesis(config)
        allocate(self)
        for name, shape, dtype in (
            ("sigma", (m,), torch.float32),  # standard deviation in units of the pixel range
            ("unit", (ROWS, m), torch.float32),  # the standard deviation in quantisation steps
            ("inverse_unit", (ROWS, m), torch.float32),  # sixteenths of a step to network input
            ("log_unit", (ROWS, m), torch.float32),  # its row of the scale table
            ("restore", (ROWS, m), torch.float32),  # sixteenths of a step to deviations, as freezing needs it
            ("hyper_rows", (ROWS, config.hyper_channels), torch.uint8),  # table rows of the hyper-latents
            ("half_widths", (TABLE_ROWS,), torch.int32),  # these two: bitstream.tables.ProbabilityTables
            ("counts", (0,), torch.int32),
        ):
            self.register_buffer(name, torch.zeros(shape, dtype=dtype))
        self.requires_grad_(False).eval()

    def probability_tables(self) -> ProbabilityTables:
        """The entropy coder's tables."""
        return ProbabilityTables(self.half_widths.cpu().numpy(), self.counts.cpu().numpy())

    @torch.inference_mode()
    def analyse(self, x: Tensor, row: int) -> Tensor:
        """Pixels [1, H, W, 3] in 0..255, H and W multiples of 16 -> latents in standard deviations,
        float32 [1, H/16, W/16, M]."""
        y: Tensor = self.analysis(x / 255 - 0.5, self._rate(row), self.sigma)
        return y

    @torch.inference_mode()
    def analyse_hyper(self, y: Tensor, row: int) -> Tensor:
        """Latents in standard deviations, float32 [1, h, w, M] -> hyper-latents, int32 [1, h/4, w/4, Z]."""
        z: Tensor = self.hyper_analysis(y, self._rate(row))
        return z.round().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT).int()

    @torch.inference_mode()
    def residual(self, classes: Tensor, mean: Tensor, row: int, step: int) -> tuple[Tensor, Tensor]:
        """What a step is to quantise.

        classes: all latents in standard deviations, float32 [4, 1, h/2, w/2, M].
        mean: float32 [4, 1, h/2, w/2, M/4], in sixteenths.
        Returns (residual, weight): float32 [4, 1, h/2, w/2, M/4] in quantisation steps, and how many bits a squared
        step of error is worth, float32 [4, 1, 1, 1, M/4].
        """
        unit = self._table(self.unit, row, step)
        residual = (select_step(classes, step) * unit).sub_(mean, alpha=1 / LATENT_FRACTION)
        # The synthesis is nearly orthonormal, so that errors of latents and of pixels have the same sum of squares;
        # MSE is a mean over three colours, bits per pixel are not.
        squared_step = (select_step(self.sigma.expand(4, 1, 1, 1, -1), step) / unit).square()
        return residual, self.config.rate_weight(row_rate(row)) * 255**2 / 3 * squared_step

    def walk(self, z: Tensor, row: int, resolve: Resolve) -> Tensor:
        """Latents from hyper-latents, step by step: int32 [1, h/4, w/4, Z] -> int32 [1, h, w, M], in sixteenths.

        The one loop of encoder and decoder: `resolve` gives the symbols of each step, by quantising or by decoding.
        """
        with exact_arithmetic():
            hyper = operands(z.float())
            features = self.prior.hyper_synthesis(hyper, torch.tensor([row], device=z.device))
            latents = torch.zeros((1, *features.shape[1:3], self.config.latent_channels), device=z.device)
            known = torch.zeros_like(latents)
            for step, network in enumerate(self.prior.context_steps):
                mean, log_scale = network(features, known if step else None)
                mean = mean * (self._table(self.unit, row, step) * (LATENT_FRACTION / MEAN_ONE))
                mean = mean.round_().clamp_(-MEAN_LIMIT, MEAN_LIMIT)
                rows = torch.add(self._table(self.log_unit, row, step), log_scale, alpha=1 / SCALE_ONE)
                symbols = resolve(step, mean, rows.round_().clamp_(0, TABLE_ROWS - 1).short().byte())
                value = mean.add_(symbols.float(), alpha=LATENT_FRACTION)
                write_step(latents, value, step)
                if step < STEPS - 1:
                    value = value.mul_(self._table(self.inverse_unit, row, step)).round_()
                    write_step(known, value.clamp_(-INPUT_LIMIT, INPUT_LIMIT), step)
            return latents.int()

    def synthesise(self, latents: Tensor, row: int) -> Tensor:
        """int32 [1, h, w, M] in sixteenths of a step -> pixels, float32 [1, 16h, 16w, 3], about 0..255, not rounded."""
        pixels: Tensor = self.pixels(latents, row)
        return pixels

    def _rate(self, row: int) -> Tensor:
        return torch.tensor([row_rate(row)], device=self.sigma.device)

    def _table(self, table: Tensor, row: int, step: int) -> Tensor:
        """A table's row as a step sees it: float32 [4, 1, 1, 1, M/4]."""
        return select_step(table[row].expand(4, 1, 1, 1, -1), step)
