"""The codec's networks and tables as they are shipped: exact arithmetic (exact.py) from pixels to latents and back.

Whole numbers around the prior, held in float32:
    latents         sixteenths of a quantisation step
    network input   latents in 1/4096 of the channel's standard deviation, clamped to 16 bits
One is made of another by IEEE 754 multiplications and additions, one at a time, and rounding to a whole number.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ....bitstream.tables import ProbabilityTables
from ...model.config import LATENT_FRACTION, ROWS, TABLE_ROWS, ModelConfig
from ...model.constants import INPUT_LIMIT, MEAN_LIMIT, MEAN_ONE, SCALE_ONE, STEPS
from ...model.rate import rate_of as row_rate
from ...training.model.layers import allocate
from ...training.model.prior import select_step, write_step
from .analysis import IntegerAnalysis, IntegerHyperAnalysis
from .exact import exact_arithmetic
from .narrow import operands, samples
from .synthesis import IntegerSynthesis
from .twins import integer_prior

Resolve = Callable[[int, Tensor, Tensor], Tensor]
"""(step, means float32 in sixteenths, rows uint8) -> symbols int32, all three [4, B, h/2, w/2, M/4]."""


def rates() -> Tensor:
    """Those of all rows, float32 [256]."""
    return torch.tensor([row_rate(row) for row in range(ROWS)])


class FrozenModel(nn.Module):
    """Latents of tiles of equal size, B at a time; made by `freeze`, read by `checkpoint`."""

    rate_weight: Tensor
    worth: Tensor
    unit: Tensor
    inverse_unit: Tensor
    log_unit: Tensor
    hyper_rows: Tensor
    half_widths: Tensor
    counts: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        m = config.latent_channels
        self.config = config
        with torch.device("meta"):  # no time is spent on initial values
            self.latents = IntegerAnalysis(config)
            self.hyper_latents = IntegerHyperAnalysis(config)
            self.prior = integer_prior(config)
            self.pixels = IntegerSynthesis(config)
        allocate(self)
        for name, shape, dtype in (
            ("rate_weight", (ROWS,), torch.float64),  # that of the configuration, the same wherever it is read
            ("worth", (ROWS, m), torch.float32),  # how many bits a squared step of error is worth
            ("unit", (ROWS, m), torch.float32),  # a standard deviation in quantisation steps
            ("inverse_unit", (ROWS, m), torch.float32),  # sixteenths of a step to network input
            ("log_unit", (ROWS, m), torch.float32),  # its row of the scale table
            ("hyper_rows", (ROWS, config.hyper_channels), torch.uint8),  # table rows of the hyper-latents
            ("half_widths", (TABLE_ROWS,), torch.int32),  # these two: bitstream.tables.ProbabilityTables
            ("counts", (0,), torch.int32),
        ):
            self.register_buffer(name, torch.zeros(shape, dtype=dtype))
        self.requires_grad_(False).eval()

    def probability_tables(self) -> ProbabilityTables:
        """The entropy coder's tables."""
        return ProbabilityTables(self.half_widths.cpu().numpy(), self.counts.cpu().numpy())

    def analyse(self, pixels: Tensor, row: int) -> Tensor:
        """uint8 [B, H, W, 3], H and W multiples of 16 -> latents in standard deviations, float32 [B, H/16, W/16, M]."""
        y: Tensor = self.latents(pixels, row)
        return y

    def analyse_hyper(self, y: Tensor, row: int) -> Tensor:
        """Latents in standard deviations, float32 [B, h, w, M] -> hyper-latents, int32 [B, h/4, w/4, Z]."""
        z: Tensor = self.hyper_latents(y, row)
        return z

    def walk(self, z: Tensor, row: int, resolve: Resolve) -> Tensor:
        """Latents from hyper-latents, step by step: int32 [B, h/4, w/4, Z] -> int32 [B, h, w, M], in sixteenths.

        The one loop of encoder and decoder: `resolve` gives the symbols of each step, by quantising or by decoding.
        """
        with exact_arithmetic():
            hyper = operands(z.float())
            features = self.prior.hyper_synthesis(hyper, torch.full((1,), row, device=z.device))
            latents = torch.zeros((*features.shape[:3], self.config.latent_channels), device=z.device)
            known = torch.zeros_like(latents)
            for step, network in enumerate(self.prior.context_steps):
                # Blocks work in place, and the first step's are on the features themselves.
                mean, log_scale = network(features if step else features.clone(), known if step else None)
                mean = mean * (self._table(self.unit, row, step) * (LATENT_FRACTION / MEAN_ONE))
                mean = mean.round_().clamp_(-MEAN_LIMIT, MEAN_LIMIT)
                rows = torch.add(self._table(self.log_unit, row, step), log_scale, alpha=1 / SCALE_ONE)
                symbols = resolve(step, mean, samples(rows).clamp_(max=TABLE_ROWS - 1))
                value = mean.add_(symbols.float(), alpha=LATENT_FRACTION)
                write_step(latents, value, step)
                if step < STEPS - 1:
                    value = value.mul_(self._table(self.inverse_unit, row, step)).round_()
                    write_step(known, value.clamp_(-INPUT_LIMIT, INPUT_LIMIT), step)
            return latents.int()

    def synthesise(self, latents: Tensor, row: int) -> Tensor:
        """int32 [B, h, w, M] in sixteenths of a step -> pixels, uint8 [B, 16h, 16w, 3]."""
        pixels: Tensor = self.pixels(latents, row)
        return pixels

    def _table(self, table: Tensor, row: int, step: int) -> Tensor:
        """A table's row as a step sees it: float32 [4, 1, 1, 1, M/4]."""
        return select_step(table[row].expand(4, 1, 1, 1, -1), step)
