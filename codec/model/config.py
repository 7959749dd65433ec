"""The configuration of a model, stored with its weights, and the limits that every model keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

PATCH = 16
"""Side of one latent position, in pixels."""

HYPER_PATCH = 64
"""Side of one hyper-latent position, in pixels; images are padded to a multiple of it."""

ROWS = 256
"""Rows of the rate tables. A file names one of them in a byte, its rate index."""

ACTIVATION_LIMIT = 1023
"""Largest magnitude of the 11-bit integers that wide layers make of activations, and of hyper-latents."""

OPERAND_LIMIT, OPERAND_ZERO, OPERAND_STEP = 255, 128, 8
"""Layers multiply operands, integers from 0 to OPERAND_LIMIT. Narrow layers take an activation x as
OPERAND_ZERO + round(x / OPERAND_STEP), clamped to that range."""

LATENT_FRACTION = 16
"""Decoded latents are integers in units of 1/16 of a quantisation step."""

CONTEXT_CLAMP = 8.0
"""Latents enter the prior's networks in units of their standard deviation, clamped to this magnitude."""


TABLE_ROWS = 64
SCALE_MIN = 0.16
SCALE_MAX = 256.0
SCALE_STEP = math.log(SCALE_MAX / SCALE_MIN) / (TABLE_ROWS - 2)
"""Row r >= 1 of the TABLE_ROWS probability tables is for latents whose scale, their standard deviation in quantisation
steps, is SCALE_MIN * exp(SCALE_STEP * (r - 1))."""

SKIP_SCALE = SCALE_MIN * math.exp(-SCALE_STEP / 2)
"""Scale below which a latent has scale index 0: it is not coded, its symbol is 0. At this scale P(symbol != 0) of a
Laplace distribution, exp(-sqrt(1/2) / scale), is 0.009, and less where rounding weighs the bits, too."""

MAX_WIDTH = 1024
"""Largest number of channels of a layer. A limit is needed because memory is allocated by the configuration before the
tensors of the file are compared with it."""

MAX_DEPTH = 16
"""Largest number of residual blocks one after another."""

Number = TypeVar("Number", float, "Tensor")


@dataclass(frozen=True)
class ModelConfig:
    """Widths and depths of the networks, and the range of rates they are trained for. Raises ValueError for a number
    that is out of its range.

    `latent_channels` must be a multiple of 4 (the groups of the context). `width_8` and `blocks_8` are the channels and
    residual blocks of analysis and synthesis at 1/8 of the image's resolution, `width_16` and `blocks_16` those at
    1/16; `prior_width` is the channels of hyper-analysis and prior. The rate t in [0, 1] stands for
    lambda = lambda_low ** (1 - t) * lambda_high ** t, the weight of 255^2 * MSE against bits per pixel. Rate tables are
    learned at `knots` evenly spaced values of t.
    """

    latent_channels: int = 512
    width_8: int = 128
    width_16: int = 192
    blocks_8: int = 3
    blocks_16: int = 2
    hyper_channels: int = 96
    prior_width: int = 192
    context_blocks: int = 1
    knots: int = 33
    lambda_low: float = 0.0003
    lambda_high: float = 0.5

    def __post_init__(self) -> None:
        for name in ("latent_channels", "width_8", "width_16", "hyper_channels", "prior_width", "knots"):
            if not (isinstance(getattr(self, name), int) and 2 <= getattr(self, name) <= MAX_WIDTH):
                raise ValueError(f"{name} must be a whole number from 2 to {MAX_WIDTH}, not {getattr(self, name)}")
        for name in ("blocks_8", "blocks_16", "context_blocks"):
            if not (isinstance(getattr(self, name), int) and 1 <= getattr(self, name) <= MAX_DEPTH):
                raise ValueError(f"{name} must be a whole number from 1 to {MAX_DEPTH}, not {getattr(self, name)}")
        if self.latent_channels % 4 or self.latent_channels > 3 * PATCH**2:  # a patch has no more samples
            raise ValueError(
                f"latent_channels must be a multiple of 4 up to {3 * PATCH**2}, not {self.latent_channels}"
            )
        if not 0 < self.lambda_low < self.lambda_high:
            raise ValueError("lambda_low and lambda_high must be positive and rising")

    def rate_weight(self, t: Number) -> Number:
        """The weight lambda of 255^2 * MSE against bits per pixel, for the rate t in [0, 1], a number or a tensor."""
        weight: Number = self.lambda_low * (self.lambda_high / self.lambda_low) ** t
        return weight

    @property
    def halo(self) -> int:
        """Latent positions around a window on which its pixels depend in synthesis; in analysis its latents depend on
        the pixels of as many. A block's 3x3 convolution reaches one position of its own resolution."""
        return self.blocks_16 + -(-self.blocks_8 // 2)

    def to_dict(self) -> dict[str, int | float]:
        """The fields by name, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, int | float]) -> ModelConfig:
        """Inverse of `to_dict`; ValueError for a missing or an unknown key."""
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise ValueError(f"model configuration keys differ: {sorted(set(values) ^ names)}")
        return cls(**values)  # type: ignore[arg-type]
