"""The layers that the graph of the integer networks calls, as an interface that every back end implements.

Sums are of integers and stay below 2^24, which float32 holds exactly; everything else is one IEEE 754 operation at a
time in a given order. So results depend neither on the order of summation nor on the back end. Arrays are those of the
back end, float32 [B, h, w, channels] unless said otherwise.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, cast

from ..model.arrays import AnyArray
from ..model.config import OPERAND_STEP
from .interface import HostArithmetic


class Tensor(Protocol):
    """The methods of numpy's arrays and torch's tensors that the graph uses."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""

    def reshape(self, *sizes: int) -> Any:
        """The elements in another shape: a view, or a copy if there is no such view."""

    def swapaxes(self, first: int, second: int, /) -> Any:
        """A view with two axes exchanged."""

    def __getitem__(self, index: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...
    def __add__(self, other: Any, /) -> Any: ...


T = TypeVar("T")
Array = TypeVar("Array", bound=Tensor)


class Layers(HostArithmetic, Protocol[Array]):
    """The layers of a weights file, by name, on arrays of a back end.

    Convolutions return [..., outputs]. gain: what outputs are multiplied by, [n], repeated if there are more than n.
    """

    def exact(self) -> AbstractContextManager[None]:
        """A context in which the layers' results are exact, whatever precision the program allows elsewhere."""

    def array(self, array: AnyArray) -> Array:
        """The back end's array with the content of one of numpy's."""

    def host(self, array: Array) -> AnyArray:
        """The numpy array with the content of one of the back end's."""

    def zeros(self, *shape: int) -> Array:
        """An int32 array of zeros."""

    def copy(self, array: Array) -> Array:
        """A copy that may be changed in place."""

    def whole(self, x: Array, limit: int) -> Array:
        """x rounded and clamped to -limit..limit, as int32."""

    def table(self, name: str) -> Array:
        """The table of this name in the weights file, float32 in its own shape."""

    def narrow(self, name: str, x: Array, step: int = OPERAND_STEP) -> Array:
        """A 1x1 convolution with operands of 8 bits: 128 + round(x / step), clamped to 0..255."""

    def wide(
        self, name: str, x: Array, step: int, limit: int, *, scale: Array | None = None, gain: Array | None = None
    ) -> Array:
        """A 1x1 convolution with operands of up to 16 bits: x, float32 or int32, rounded and clamped to -limit..limit.
        Each operand is split into a multiple of `step` and a rest of 0..step - 1.

        The sums of either part are exact; their sum is rounded to float32. With weights small enough to have it exact,
        too, the synthesis lost 0.02 dB. scale: what x is multiplied by first, [inputs].
        """

    def linear(self, name: str, x: Array, scale: Array) -> Array:
        """A 1x1 convolution of x * scale, int32 [..., inputs] times [inputs], rounded to 16 bits, with weights of 16
        bits. Both are split into bytes; upper by upper and the two mixed products are added up. Lower by lower is left
        out: it would add less than a tenth of a level of 8-bit pixels (root mean square)."""

    def fine(self, name: str, pixels: Array, gain: Array | None = None) -> Array:
        """A 1x1 convolution of uint8 [..., inputs] with weights of 16 bits, split into bytes. The two sums are exact;
        their sum is rounded to float32."""

    def blocks(self, name: str, x: Array, count: int) -> Array:
        """Applies `count` residual blocks one after another (training/model/layers.py) to contiguous activations, in
        place, and returns them. Rectifiers need no step of their own: operands are clamped at 0 anyway."""

    def parameters(self, name: str, x: Array, sigmas: list[Array], log_sigmas: list[Array]) -> tuple[Array, Array]:
        """The means, in sixteenths of a quantisation step, and scale indices, uint8, that the last layer of a prior's
        step predicts from activations x, both [4, B, h/2, w/2, C]. Each position class has a layer of its own.

        sigmas: for each class [C], standard deviations in quantisation steps. log_sigmas: the rows of the scale table,
        not rounded, that these stand for.
        """

    def with_logs(self, name: str, y: Array) -> Array:
        """The input of the hyper-analysis, [..., 2M], from latents in standard deviations, [..., M]: the latents in 16
        bits, then the logarithms of their magnitudes. name: of the table of logarithms, which is stored because
        libraries differ in the last bit of them."""

    def believed(self, corrections: Array, limit: float) -> Array:
        """The corrections of latents, set to 0 at positions where the magnitude of any is beyond `limit`; perhaps in
        place."""

    def place(self, step: int, means: Array, symbols: Array, latents: Array) -> None:
        """Writes the latents that a step has coded, means + 16 symbols, into `latents`, int32 [B, h, w, M]. means,
        int32 symbols: [4, B, h/2, w/2, M/4]."""

    def samples(self, patches: Array, corrections: Array) -> Array:
        """The pixels, uint8 [B, 16h, 16w, 3], that are the rounded sums of patches of 16x16 pixels, [B, h, w, 768], and
        corrections of 8x8 pixels, [B, 2h, 2w, 192]. `patches` may be changed."""


def space_to_depth(x: T, factor: int) -> T:
    """Moves blocks of f x f positions into channels: [B, H, W, C] -> [B, H/f, W/f, f * f * C], the channels in the
    order (row, column, channel)."""
    array: Any = x
    images, height, width, channels = array.shape
    array = array.reshape(images, height // factor, factor, width // factor, factor, channels).swapaxes(2, 3)
    out: T = array.reshape(images, height // factor, width // factor, factor**2 * channels)
    return out


def depth_to_space(x: T, factor: int) -> T:
    """Moves channels back into blocks of f x f positions, as the inverse of `space_to_depth`."""
    array: Any = x
    images, height, width, channels = array.shape
    array = array.reshape(images, height, width, factor, factor, channels // factor**2).swapaxes(2, 3)
    out: T = array.reshape(images, height * factor, width * factor, channels // factor**2)
    return out


def scaled(x: T, gain: T | None) -> T:
    """Multiplies x [..., C], contiguous, by a gain [n], repeated C / n times, or by none, in place, and returns it."""
    if gain is not None:
        array, factors = cast(Any, x), cast(Any, gain)
        parts = array.reshape(*array.shape[:-1], -1, len(factors))
        parts *= factors
    return x
