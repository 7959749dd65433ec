"""A check of integer networks against the trained ones, by their worst blocks, which means hide, on pictures unlike the
training set.

Where values exceed the ranges of its integers, a network is not the one that was trained any more. That must degrade a
block, not break it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ...bitstream.errors import WeightsError
from ..encode.analysis_windows import analyse
from ..encode.block_bound import floor
from ..evaluation.blocks import block_means
from ..model.arrays import Pixels
from ..model.config import PATCH
from ..model.rate import rate_of
from ..tile.coder import TileCoder
from .content import KINDS
from .model.model import CompressionModel

CROPS, SIDE = 36, 128
"""The number of synthetic crops, six of each kind, and their pixels to a side."""

ROWS = (20, 100, 180)
"""The rate indices that are checked."""

MOST_ERROR, MOST_FACTOR = 25.0, 4.0
"""A block's mean squared error by integers, in levels of 8 bits, may be MOST_ERROR + MOST_FACTOR times that in floating
point: where coding is coarse, a symbol more or less is a large step."""

OF_BOUND = 0.5
"""Below this share of the encoder's bound on blocks (encode/block_bound.py) a block is not broken, whatever the trained
networks show. That counts at the lowest rates, where the bound is 16 levels and one symbol more or less is eight."""

MOST_BITS = 1.03
"""The largest ratio of a photograph's bits for latents by the integer analysis to those in floating point."""


class Block(NamedTuple):
    """A block of 16x16 pixels of a crop, its top left pixel at (left, top), as integer and trained networks show it."""

    crop: int
    row: int
    top: int
    left: int
    floating: float
    """Mean squared error, in levels of 8 bits, of the trained networks."""
    integer: float
    """Mean squared error, in levels of 8 bits, of the integer networks."""
    bound: float
    """Mean squared error that the encoder lets any block have at this rate."""

    @property
    def excess(self) -> float:
        """How far the integer networks' error is above what is allowed; negative if it is not."""
        return self.integer - max(MOST_ERROR + MOST_FACTOR * self.floating, OF_BOUND * self.bound)

    def __str__(self) -> str:
        return (
            f"crop {self.crop}, row {self.row}, block at {self.left}, {self.top}: mean squared error "
            f"{self.integer:.1f} by integers, {self.floating:.1f} in floating point"
        )


def hostile_crops() -> list[Pixels]:
    """Synthetic crops of all kinds of content.py, uint8 [SIDE, SIDE, 3], the same in each call."""
    random = np.random.default_rng(0)
    return [KINDS[index % len(KINDS)](SIDE, random) for index in range(CROPS)]


@torch.inference_mode()
def worst_blocks(model: CompressionModel, coder: TileCoder, crops: Sequence[Pixels], count: int = 3) -> list[Block]:
    """The blocks with the largest excess, the worst first. crops: uint8 [S, S, 3], S a multiple of 64."""
    blocks: list[Block] = []
    for index, crop in enumerate(crops):
        for row in ROWS:
            x = torch.tensor(crop)[None].float() / 255 - 0.5
            floating = (255 * model(x, torch.tensor([rate_of(row)])).x[0] + 127.5).round().clamp(0, 255).byte().numpy()
            _, latents = coder.quantise(analyse(coder.networks, [crop], row), row)
            bound = floor(coder.networks, row)
            errors = [block_means(crop, shown) for shown in (floating, coder.pixels(latents[0], row))]
            for top, left in np.ndindex(errors[0].shape):
                floating_error, integer_error = (float(error[top, left]) for error in errors)
                place = PATCH * top, PATCH * left
                blocks.append(Block(index, row, *place, floating_error, integer_error, bound))
    return sorted(blocks, key=lambda block: -block.excess)[:count]


@torch.inference_mode()
def largest_bits(model: CompressionModel, coder: TileCoder, crops: Sequence[Pixels], row: int = ROWS[1]) -> float:
    """The largest ratio, over crops, of the bits of latents that the integer analysis gives to those that the trained
    one gives, both coded by the integer prior."""
    ratios = []
    for crop in crops:
        t = torch.tensor([rate_of(row)])
        floating = model.analysis(torch.tensor(crop)[None].float() / 255 - 0.5, t, model.sigma)
        z = model.hyper_analysis(floating, t).round().int().numpy()
        y = analyse(coder.networks, [crop], row)
        bits = [
            sum(float(coder.tables.costs(*step).sum()) for step in coder.quantise(*arguments)[0][0])
            for arguments in ((y, row), (floating.numpy(), row, z))
        ]
        ratios.append(bits[0] / bits[1])
    return max(ratios)


def check(model: CompressionModel, coder: TileCoder, crops: Sequence[Pixels]) -> list[str]:
    """Checks the integer networks made from a model; returns lines that say what was found. crops: photographs, uint8
    [S, S, 3], S a multiple of 64. Raises WeightsError where a block of a synthetic crop is broken or a photograph takes
    too many bits."""
    worst = worst_blocks(model, coder, hostile_crops())
    ratio = largest_bits(model, coder, crops)
    lines = [f"worst of the drawn blocks: {block}" for block in worst]
    lines.append(f"bits of latents by the integer analysis, at most: {ratio:.3f} of those in floating point")
    if worst[0].excess > 0:
        raise WeightsError(f"the integer networks break what the trained ones show: {worst[0]}")
    if ratio > MOST_BITS:
        raise WeightsError(f"a photograph takes {ratio:.3f} times the bits with the integer analysis")
    return lines
