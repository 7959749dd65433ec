"""The integer networks against those that were trained, on pictures unlike the training set: the worst blocks, which
means hide.

Beyond the ranges that its integers have, a network of integers is not the one that was trained any more. That must
degrade a block, not break it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ...bitstream.errors import WeightsError
from ..encode.analysis_windows import analyse
from ..evaluation.blocks import block_means
from ..model.arrays import Pixels
from ..model.config import PATCH
from ..model.rate import rate_of
from ..tile.coder import TileCoder
from .content import KINDS
from .model.model import CompressionModel

CROPS, SIDE = 36, 128
"""How many are drawn, six of each kind, and pixels to a side."""

ROWS = (20, 100, 180)
"""Rates: a row of the rate tables each."""

MOST_ERROR, MOST_FACTOR = 25.0, 4.0
"""A block's mean squared error by integers, in levels of 8 bits, is at most this and so many times what it is in
floating point: where coding is coarse, a symbol more or less is a large step."""

MOST_BITS = 1.03
"""Bits of the latents of a photograph by integers, against floating point: every picture is to stay below."""


class Block(NamedTuple):
    """One block of 16x16 pixels as both have it."""

    crop: int
    row: int
    top: int
    left: int
    floating: float
    """Mean squared error in levels of 8 bits, of the networks that were trained."""
    integer: float
    """Likewise, of those that are shipped."""

    @property
    def excess(self) -> float:
        """How far the integers' error is above what is allowed; negative if it is not."""
        return self.integer - MOST_FACTOR * self.floating - MOST_ERROR

    def __str__(self) -> str:
        return (
            f"crop {self.crop}, row {self.row}, block at {self.left}, {self.top}: mean squared error "
            f"{self.integer:.1f} by integers, {self.floating:.1f} in floating point"
        )


def hostile_crops() -> list[Pixels]:
    """Drawn pictures of all kinds, the same each time, uint8 [SIDE, SIDE, 3]."""
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
            errors = [block_means(crop, shown) for shown in (floating, coder.pixels(latents[0], row))]
            for top, left in np.ndindex(errors[0].shape):
                own = (float(error[top, left]) for error in errors)
                blocks.append(Block(index, row, PATCH * top, PATCH * left, *own))
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
    """What there is to say of integer networks made from a model, a line each. crops: photographs, uint8 [S, S, 3], S a
    multiple of 64. Raises WeightsError where a drawn block is broken or a photograph takes too many bits."""
    worst = worst_blocks(model, coder, hostile_crops())
    ratio = largest_bits(model, coder, crops)
    lines = [f"worst of the drawn blocks: {block}" for block in worst]
    lines.append(f"bits of latents by the integer analysis, at most: {ratio:.3f} of those in floating point")
    if worst[0].excess > 0:
        raise WeightsError(f"the integer networks break what the trained ones show: {worst[0]}")
    if ratio > MOST_BITS:
        raise WeightsError(f"a photograph takes {ratio:.3f} times the bits with the integer analysis")
    return lines
