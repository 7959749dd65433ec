"""What the graph of the integer networks asks of a back end: its layers, on arrays of its own.

All that counts is whole numbers below 2^24, which float32 holds exactly, or one IEEE 754 operation after another, so
that results do not depend on the order of summation, nor on the back end. Arrays are float32 [B, h, w, channels] unless
said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from ...bitstream.entropy import Decoder, Step
from ...bitstream.tables import ProbabilityTables
from ..model.arrays import Floats, Pixels
from ..model.config import OPERAND_STEP
from .kernels.coding import Costs


class Tensor(Protocol):
    """What numpy's arrays and torch's tensors have in common, as far as the graph needs it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""

    def reshape(self, *sizes: int) -> Any:
        """A copy where it has to be."""

    def swapaxes(self, first: int, second: int, /) -> Any:
        """A view."""

    def __getitem__(self, index: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __add__(self, other: Any, /) -> Any: ...


Array = TypeVar("Array", bound=Tensor)


class Layers(Protocol[Array]):
    """The layers of a weights file, by name, on arrays of a back end; what they give is [..., outputs], times `gain`,
    [n], repeated if there are n times as many outputs."""

    def exact(self) -> AbstractContextManager[None]:
        """In which results are exact, whatever the program allows elsewhere."""

    def array(self, array: npt.NDArray[Any]) -> Array:
        """An array of the back end's."""

    def host(self, array: Array) -> npt.NDArray[Any]:
        """Inverse of `array`."""

    def zeros(self, *shape: int) -> Array:
        """int32."""

    def copy(self, array: Array) -> Array:
        """To be changed in place."""

    def whole(self, x: Array, limit: int) -> Array:
        """Rounded and limited: int32."""

    def table(self, name: str) -> Array:
        """A table of the weights file, of any shape."""

    def narrow(self, name: str, x: Array, step: int = OPERAND_STEP) -> Array:
        """A 1x1 convolution of x / step in 8 bits."""

    def wide(
        self, name: str, x: Array, step: int, limit: int, *, scale: Array | None = None, gain: Array | None = None
    ) -> Array:
        """One of whole numbers of more bits, to which x, float32 or int32, is rounded and limited, in two parts: how
        many steps, and what is left. Of these the sums are exact, what they add up to is rounded: with weights small
        enough to have that exact, too, the synthesis lost 0.02 dB. scale: what x is multiplied by first, [inputs]."""

    def linear(self, name: str, x: Array, scale: Array) -> Array:
        """One of x * scale, int32 x, rounded to 16 bits, by weights of 16 bits, both in parts of 8: upper by upper and
        the two mixed products. Lower by lower would add less than a tenth of a level (root mean square)."""

    def fine(self, name: str, pixels: Array, gain: Array | None = None) -> Array:
        """One of bytes by weights of 16 bits: two exact sums, what they add up to is rounded."""

    def blocks(self, name: str, x: Array, count: int) -> Array:
        """A row of blocks, on contiguous activations, in place. Rectifiers need no pass of their own, since operands
        begin at 0; gates are from 0 to 6."""

    def parameters(self, name: str, x: Array, sigmas: list[Array], log_sigmas: list[Array]) -> tuple[Array, Array]:
        """The last layer of a step of the prior, for each class of positions: activations -> means in sixteenths of a
        quantisation step, and scale indices, uint8, both [4, B, h/2, w/2, C]. sigmas: four [C], standard deviations in
        quantisation steps; log_sigmas: the same as positions in the scale table."""

    def with_logs(self, name: str, y: Array) -> Array:
        """Latents in standard deviations to what the hyper-analysis takes: in 16 bits, with the logarithms of their
        magnitudes as further channels. name: of those, a table, since libraries differ in the last bit of one."""

    def believed(self, corrections: Array, limit: float) -> Array:
        """Corrections of latents, or 0 at positions where any is beyond a limit. They may be changed."""

    def place(self, step: int, means: Array, symbols: Array, latents: Array) -> None:
        """Puts what a step codes into the latents, int32 [B, h, w, M]. means, int32 symbols: [4, B, h/2, w/2, M/4]."""

    def samples(self, patches: Array, corrections: Array) -> Array:
        """Patches of 16x16 pixels [B, h, w, 768] and corrections of 8x8 pixels [B, 2h, 2w, 192], added and rounded:
        uint8 [B, 16h, 16w, 3]. `patches` may be changed."""

    def round_latents(
        self,
        costs: Costs,
        step: int,
        means: Floats,
        scale_indices: npt.NDArray[np.uint8],
        y: Floats,
        sigma_in_steps: Floats,
        rd_weight: Floats,
    ) -> npt.NDArray[np.int32]:
        """As `interface.Networks`."""

    def encode_steps(self, tables: ProbabilityTables, steps: Sequence[Step]) -> bytes:
        """The payload of a tile, as of `bitstream.entropy.encode_steps`."""

    def step_decoder(self, tables: ProbabilityTables, payload: bytes) -> Decoder:
        """What decodes the payload of a tile. Raises CorruptError if the encoder can't have written it."""

    def squared_errors(self, x: Pixels, y: Pixels) -> tuple[float, float]:
        """As `interface.Networks`."""


def space_to_depth(x: Any, factor: int) -> Any:
    """[B, H, W, C] -> [B, H/f, W/f, f * f * C], the channels in the order (row, column, channel)."""
    images, height, width, channels = x.shape
    x = x.reshape(images, height // factor, factor, width // factor, factor, channels).swapaxes(2, 3)
    return x.reshape(images, height // factor, width // factor, factor**2 * channels)


def depth_to_space(x: Any, factor: int) -> Any:
    """Inverse of `space_to_depth`."""
    images, height, width, channels = x.shape
    x = x.reshape(images, height, width, factor, factor, channels // factor**2).swapaxes(2, 3)
    return x.reshape(images, height * factor, width * factor, channels // factor**2)
