"""Integer twins of the layers, exact on every device.

Layers take operands, integers from 0 to OPERAND_LIMIT, that are made of activations or of latents (narrow.py). Weights
and biases are integers too, small enough that sum |w| * OPERAND_LIMIT + |bias| < 2^24 for every output. Every partial
sum is then a whole number that float32 holds exactly, so neither the order of summation nor fused multiply-adds can
change a result. What follows each convolution is a multiplication by a power of two (exact, so the weights and biases
may be multiplied instead). Sums are added to activations, or multiplied by a gate, by one IEEE 754 operation in float32
at a time, which has one result, and become operands by rounding half to even and clamping.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from ....bitstream.errors import WeightsError
from ...model.config import ACTIVATION_LIMIT, OPERAND_LIMIT, ROWS
from ...model.constants import ACCUMULATOR_LIMIT, WEIGHT_LIMIT
from ...training.model.layers import pointwise

MIN_EXPONENT, MAX_EXPONENT = -20, 24
"""Multipliers are powers of two: 2^20, for channels that are all but dead, to 2^-24."""

MAX_OUTPUT = 2**28
MAX_FACTOR = 8
"""No output of a layer, nor a factor of activations, may be larger. Operands are then made of numbers below 2^31: a
value times a gate, or an eighth of the activations, to which each of up to 16 blocks has added two outputs."""

_lock = threading.Lock()
_inside = 0
"""How many times exact arithmetic is entered and not left yet, in all threads."""
_before: list[Callable[[], None]] = []
"""What restores the settings that the process had before the first of them."""


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Float32 products stay float32 inside: whatever the program has allowed elsewhere (TF32, bfloat16, autocast) is
    switched off, and restored afterwards. cuDNN is left out, so that no Winograd or FFT algorithm can be chosen.

    Some of the settings are the process's: they hold as long as any thread is inside, and what another thread sets
    meanwhile is lost."""
    global _inside
    with ExitStack() as stack:
        with _lock:
            settings = _process_settings()
            if not _inside:
                _before[:] = [partial(write, read()) for read, write, _ in settings]
            _inside += 1
            stack.callback(_leave)
            for _, write, value in settings:
                write(value)
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.inference_mode())
        yield


def _process_settings() -> list[tuple[Callable[[], Any], Callable[[Any], None], Any]]:
    """How to read and write each setting, and what it is in exact arithmetic."""
    cudnn: Any = torch.backends.cudnn
    attributes: list[tuple[Any, str, Any]] = [(cudnn, "enabled", False)]
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9
        mkldnn: Any = torch.backends.mkldnn
        backends = (mkldnn.matmul, mkldnn.conv, torch.backends.cuda.matmul)
        attributes += [(backend, "fp32_precision", "ieee") for backend in backends]
        functions = []
    else:
        functions = [(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest")]
    return [
        *functions,
        *((partial(getattr, o, name), partial(setattr, o, name), value) for o, name, value in attributes),
    ]


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if not _inside:
            for restore in _before:
                restore()


class Integer(nn.Module):
    """A layer whose buffers are set by `freeze` or read from the weights file; `settle` then makes it ready."""

    input_axes: tuple[int, ...]
    """The axes of `weight` that a sum runs over."""
    largest_input: int = OPERAND_LIMIT
    """Largest magnitude of what it takes."""
    weight: Tensor
    bias: Tensor
    multiplier: Tensor
    scaled_weight: Tensor
    scaled_bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(weight.shape))
        self.register_buffer("bias", torch.zeros(bias.shape))
        # Powers of two, one an output.
        self.register_buffer("multiplier", torch.ones(bias.shape))
        # The weights and biases times those.
        self.register_buffer("scaled_weight", None, persistent=False)
        self.register_buffer("scaled_bias", None, persistent=False)

    def settle(self) -> None:
        """To be called when the buffers have their values. Raises WeightsError unless every output's sums are exact
        whatever their order."""
        exponents = -self.multiplier.double().log2()
        within = MIN_EXPONENT <= exponents.min() <= exponents.max() <= MAX_EXPONENT
        if not (within and torch.equal(exponents, exponents.round())):
            raise WeightsError(f"a multiplier is not a power of two from 2^-{MAX_EXPONENT} to 2^{-MIN_EXPONENT}")
        sums = self.weight.double().abs().sum(self.input_axes, keepdim=True)
        largest = sums.reshape(self.bias.shape) * OPERAND_LIMIT + self.bias.double().abs()
        if not largest.max() < ACCUMULATOR_LIMIT or self.weight.abs().max() > WEIGHT_LIMIT:
            raise WeightsError("integer weights are too large for exact arithmetic")
        if not (torch.equal(self.weight, self.weight.round()) and torch.equal(self.bias, self.bias.round())):
            raise WeightsError("weights of an integer layer are not integers")
        outputs = sums.reshape(self.bias.shape) * self.largest_input + self.bias.double().abs()
        if (outputs * self.multiplier.double()).max() > MAX_OUTPUT:
            raise WeightsError("outputs of an integer layer are too large for 32 bits")
        self.scaled_weight = self.weight * self.multiplier.reshape(sums.shape)
        self.scaled_bias = self.bias * self.multiplier


@cache
def check_sums(device: str) -> None:
    """Raises WeightsError where float32 sums of a device are not exact after all, as when the environment has oneDNN
    take bfloat16 for them on a processor that can."""
    x, weight = torch.full((64, 192), 1023.0), torch.full((192, 192), 85.0)
    x[1::2], weight[1::2] = 1021, -83
    with exact_arithmetic():
        found = pointwise(x[None, None].to(device), weight.to(device))[0, 0].cpu()
    if not torch.equal(found.double(), x.double() @ weight.double().T):
        raise WeightsError(f"sums on {device} are not exact: is ONEDNN_DEFAULT_FPMATH_MODE set?")


def limited(x: Tensor) -> Tensor:
    """Activations to whole numbers for wide layers, in place."""
    return x.round_().clamp_(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)


class IntegerJoin(nn.Module):
    """Sum of activations of two scales: the first are brought to the second's."""

    ratio: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("ratio", torch.ones(channels))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        # A product and a sum, each rounded to float32.
        return y.add_(x * self.ratio)


class IntegerRateTable(nn.Module):
    """A row of integers for each of the 256 rates."""

    rows: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.zeros(ROWS, channels))

    def forward(self, row: Tensor) -> Tensor:
        """row: int64 [B] -> float32 [B, 1, 1, C]."""
        return self.rows[row][:, None, None, :]
