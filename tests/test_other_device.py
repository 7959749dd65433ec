"""The networks by torch on a device that is not the CPU: a simulated one, which takes liberties that a GPU may take.

Its tensors are on torch's "meta" device as far as anybody can tell, and no operation takes them together with the
CPU's. Sums run in other orders and in parts, products and sums are fused, divisions are products with a reciprocal;
what has more than one result by IEEE 754 beside that, as logarithms have, is refused. Not simulated is what
torch_exact.py switches off (TF32 and other narrow types, cuDNN's algorithms)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from cae.codec.backends.networks import IntegerNetworks
from cae.codec.backends.torch_exact import check_sums
from cae.codec.backends.torch_layers import TorchLayers
from cae.codec.codec import FileCoder
from cae.codec.image.picture import Picture, read_picture
from cae.codec.model.integer_weights import load_integers
from cae.codec.select import load_on_cpu

Bytes = npt.NDArray[np.uint8]

OTHER = "meta"

MOVES = (
    "_to_copy cat chunk clone copy_ detach empty_like expand flatten full index index_select narrow permute repeat "
    "reshape select slice stack swapaxes to transpose unbind unsqueeze view where zeros zeros_like"
)
"""What changes no number, but maybe its type."""

SINGLE = "abs add add_ any clamp_ floor_ gt mul mul_ round round_ sub"
"""What has one result by IEEE 754."""


def other_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """From the last input to the first, odd ones and even ones apart, the bias between them."""
    odd, even = (F.linear(x[..., first::2].flip(-1), weight[:, first::2].flip(-1)) for first in (1, 0))
    return odd + even if bias is None else odd + bias + even


def other_conv2d(x: Tensor, weight: Tensor, bias: Tensor, *how: Any) -> Tensor:
    """Depthwise, from the last tap to the first, each multiplied and added in one."""
    _, channels, height, width = x.shape
    assert how == ([1, 1], [1, 1], [1, 1], channels), "stride, padding, dilation, groups"
    assert weight.shape == (channels, 1, 3, 3)
    x = F.pad(x, (1, 1, 1, 1))
    sums = bias[:, None, None].expand(x.shape[0], -1, height, width)
    for tap in reversed(range(9)):
        row, column = divmod(tap, 3)
        sums = fused(sums, x[..., row : row + height, column : column + width], weight[:, :, row, column, None])
    return sums


def fused(x: Tensor, y: Tensor | float, factor: Tensor | float) -> Tensor:
    """x + factor * y in float32, rounded once, or, where float64 rounds the sum to halfway between two of float32,
    twice: products are exact in float64."""
    assert x.dtype == torch.float32
    return (x.double() + torch.as_tensor(y).double() * factor).float()


def other_div(x: Tensor, divisor: float) -> Tensor:
    return x * float(np.float32(1) / np.float32(divisor))


def other_add(x: Tensor, y: Tensor | float, *, alpha: float = 1) -> Tensor:
    return fused(x, y, alpha)


def other_add_(x: Tensor, y: Tensor | float, *, alpha: float = 1) -> Tensor:
    return x.copy_(fused(x, y, alpha))


def other_sub(x: Tensor, y: Tensor, *, alpha: float = 1) -> Tensor:
    return fused(x, y, -alpha)


LIBERTIES: dict[str, Callable[..., Tensor]] = {
    "linear": other_linear,
    "conv2d": other_conv2d,
    "div": other_div,
    "add": other_add,
    "add_": other_add_,
    "sub": other_sub,
}


class Distant(Tensor):
    """A tensor of the other device; what it holds is the CPU's."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Distant:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        tensor = Tensor._make_wrapper_subclass(cls, held.size(), device=OTHER, **layout)  # type: ignore[attr-defined]
        tensor.held = held
        return tensor  # type: ignore[no-any-return]

    @classmethod
    def __torch_dispatch__(cls, operation: Any, *_: Any) -> Any:
        raise RuntimeError(f"{operation} outside of the simulation")


class OtherDevice(TorchDispatchMode):
    """While it is entered, there is the other device."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        distant = [isinstance(tensor, Distant) for tensor in tensors]
        where = kwargs.get("device") or (OTHER if any(distant) else "cpu")
        if not any(distant) and torch.device(where).type == "cpu":
            return operation(*args, **kwargs)
        name = operation.overloadpacket.__name__
        # Copies are what goes from one to the other, alone.
        assert all(distant) or name in ("to", "_to_copy", "copy_"), f"{name} has tensors of two devices"
        assert name in (*MOVES.split(), *SINGLE.split(), *LIBERTIES), f"{name} may have other results on another device"
        self.used.add(name)
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        here = [tree_map(lambda leaf: leaf.held if isinstance(leaf, Distant) else leaf, x) for x in (args, kwargs)]
        found = LIBERTIES.get(name, operation)(*here[0], **here[1])
        if name in ("to", "_to_copy"):
            (held,) = (x for x in tree_leaves(here) if isinstance(x, Tensor))
            assert torch.equal(found.to(held.dtype), held), "a type that does not hold the number"
        if operation._schema.is_mutable:
            return args[0]
        if torch.device(where).type == "cpu":
            return found
        return tree_map(lambda leaf: Distant(leaf) if isinstance(leaf, Tensor) else leaf, found)


@pytest.fixture
def device() -> Iterator[OtherDevice]:
    with torch.inference_mode(), OtherDevice() as device:
        yield device


@pytest.fixture
def coder(device: OtherDevice) -> FileCoder:
    check_sums.__wrapped__(OTHER)
    weights, fingerprint = load_integers()
    return FileCoder(IntegerNetworks(weights, TorchLayers(weights, OTHER)), fingerprint, "cuda")


@pytest.fixture
def pictures(photo: Bytes) -> list[Picture]:
    """Two of one size, so that they go together, and a grey one."""
    return [read_picture(pixels) for pixels in (photo, np.ascontiguousarray(photo[::-1]), photo[..., 1])]


@pytest.mark.slow
@pytest.mark.parametrize(("quality", "effort"), [(5, 1), (55, 3), (100, 2)])
def test_files_and_pixels_are_the_same(
    coder: FileCoder, device: OtherDevice, pictures: list[Picture], quality: float, effort: int
) -> None:
    on_cpu = load_on_cpu()
    files = coder.encode_many(pictures, quality, effort=effort)
    assert files == [on_cpu.encode(picture, quality, effort=effort) for picture in pictures]
    for found, file in zip(coder.decode_many(files), files, strict=True):
        assert np.array_equal(found.pixels, on_cpu.decode(file).pixels)
        assert np.array_equal(coder.decode(file).pixels, found.pixels)
    assert set(LIBERTIES) <= device.used


def test_the_simulation_notices(device: OtherDevice) -> None:
    """What would go wrong on a GPU goes wrong in it."""
    generator = torch.Generator().manual_seed(1)
    x, weight = (torch.rand(64, 64, generator=generator) for _ in range(2))
    far = x.to(OTHER)
    assert far.device.type == OTHER
    assert torch.equal(far.cpu(), x)
    assert not torch.equal(F.linear(far, weight.to(OTHER)).cpu(), F.linear(x, weight))
    third = float(np.float32(1 / 3))
    assert not torch.equal(torch.add(far, far, alpha=third).cpu(), x + x * third)
    assert not torch.equal((far / 3).cpu(), x / 3)
    with pytest.raises(AssertionError, match="two devices"):
        far + x
    with pytest.raises(AssertionError, match="other results"):
        far.log()
    with pytest.raises(AssertionError, match="does not hold"):
        far.int()
    with pytest.raises((RuntimeError, TypeError)):
        far.numpy()
