"""`Layers` in torch, on any of its devices.

Operands, integers from 0 to 255, are held in float32, as activations are. Their products with weights and the sums of
these are exact; the rest (activations, gains, sums of sums) is one IEEE 754 multiplication or addition at a time, in a
given order. Only the compiled kernels, on CPUs, multiply bytes as bytes.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model.arrays import AnyArray
from ..model.config import LATENT_FRACTION, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO, PATCH, TABLE_ROWS
from ..model.constants import CLASSES, GATE_LIMIT, HALF, INPUT_LIMIT, INPUT_ONE, MEAN_LIMIT, MEAN_ONE, SCALE_ONE
from ..model.integer_weights import IntegerWeights
from .layers import depth_to_space, scaled
from .networks import host_layers
from .torch_exact import exact_arithmetic
from .torch_parts import in_parts, pointwise, write_step


class TorchLayers:
    """`Layers` in torch on a device, "cpu" or "cuda"; must be called within `exact`. On a CPU, tensors share the memory
    of the numpy arrays that they are made of. Rounding of latents and comparison of images are on the CPU, by the
    kernels or numpy."""

    def __init__(self, weights: IntegerWeights, device: str) -> None:
        self._weights, self._device = weights, device
        self._layer = functools.cache(self._read_layer)
        self.table = functools.cache(self._read_table)
        host = host_layers(weights)
        self.round_latents, self.squared_errors = host.round_latents, host.squared_errors
        self.encode_steps, self.step_decoder = host.encode_steps, host.step_decoder

    def exact(self) -> AbstractContextManager[None]:
        return exact_arithmetic()

    def array(self, array: AnyArray) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def host(self, array: Tensor) -> AnyArray:
        return array.cpu().numpy()

    def zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.int32, device=self._device)

    def copy(self, array: Tensor) -> Tensor:
        return array.clone()

    def whole(self, x: Tensor, limit: int) -> Tensor:
        return x.round().clamp_(-limit, limit).int()

    def believed(self, corrections: Tensor, limit: float) -> Tensor:
        beyond = (corrections.abs() > limit).any(-1, keepdim=True)
        return torch.where(beyond, torch.zeros_like(corrections), corrections)

    def narrow(self, name: str, x: Tensor, step: int = OPERAND_STEP) -> Tensor:
        return self._product(name, operands(x, step))

    def wide(
        self, name: str, x: Tensor, step: int, limit: int, *, scale: Tensor | None = None, gain: Tensor | None = None
    ) -> Tensor:
        whole = x.round() if scale is None else (x.float() * scale).round_()
        steps, rest = halves(whole.clamp_(-limit, limit), step)
        weight, bias = self._layer(name)
        # Sums of multiples of the step, a power of two, are as exact as those of integers.
        return scaled(pointwise(steps, weight).add_(pointwise(rest, weight, bias)), gain)

    def linear(self, name: str, x: Tensor, scale: Tensor) -> Tensor:
        # 128 is added before the split, so that lower bytes, too, are around 128.
        whole = (x.float() * scale).round_().add_(OPERAND_ZERO)
        upper, lower = halves(whole.clamp_(-HALF * OPERAND_ZERO, HALF * OPERAND_ZERO - 1), HALF)
        upper = (upper / HALF).add_(OPERAND_ZERO)
        both = torch.cat([upper, lower], dim=-1)
        return self._product(f"{name}.top", upper).add_(self._product(f"{name}.middle", both))

    def fine(self, name: str, pixels: Tensor, gain: Tensor | None = None) -> Tensor:
        u = pixels.float()
        return scaled(self._product(f"{name}.upper", u).add_(self._product(f"{name}.lower", u)), gain)

    def blocks(self, name: str, x: Tensor, count: int) -> Tensor:
        for index in range(count):
            self._block(f"{name}.{index}", x)
        return x

    def parameters(self, name: str, x: Tensor, sigmas: list[Tensor], log_sigmas: list[Tensor]) -> tuple[Tensor, Tensor]:
        u = operands(x)
        means, scale_indices = [], []
        for k, (down, right) in enumerate(CLASSES):
            mean, log_scale = self._product(f"{name}.classes.{k}", u[:, down::2, right::2]).chunk(2, dim=-1)
            mean = (mean * (sigmas[k] * (LATENT_FRACTION / MEAN_ONE))).round_()
            means.append(mean.clamp_(-MEAN_LIMIT, MEAN_LIMIT))
            scale_indices.append(as_bytes(torch.add(log_sigmas[k], log_scale, alpha=1 / SCALE_ONE), TABLE_ROWS - 1))
        return torch.stack(means), torch.stack(scale_indices)

    def with_logs(self, name: str, y: Tensor) -> Tensor:
        inputs = (y * INPUT_ONE).round_().clamp_(-INPUT_LIMIT, INPUT_LIMIT)
        logs = self.table(name).index_select(0, inputs.abs().int().flatten()).reshape(y.shape)
        return torch.cat([inputs, logs], dim=-1)

    def place(self, step: int, means: Tensor, symbols: Tensor, latents: Tensor) -> None:
        write_step(latents, torch.add(means, symbols.float(), alpha=LATENT_FRACTION).int(), step)

    def samples(self, patches: Tensor, corrections: Tensor) -> Tensor:
        images, height, width, _ = patches.shape
        # The patch's quarters: row and column of the quarter, row within it.
        parts = corrections.view(images * height, 2, width, 2, 8, 24).permute(0, 2, 1, 4, 3, 5)
        patches.view(images * height, width, 2, 8, 2, 24).add_(parts)
        return depth_to_space(as_bytes(patches, OPERAND_LIMIT), PATCH)

    def _read_layer(self, name: str) -> tuple[Tensor, Tensor]:
        """The weights, [outputs, inputs], and biases, [outputs], of a layer, times its multipliers, powers of two."""
        weight, bias, multiplier = self._weights.numbers(name)
        return self.array(weight * multiplier[:, None]), self.array(bias * multiplier)

    def _read_table(self, name: str) -> Tensor:
        """The table of this name in the weights file."""
        return self.array(self._weights.table(name).copy())  # a copy: torch refuses memory that is read-only

    def _product(self, name: str, u: Tensor) -> Tensor:
        """A 1x1 convolution of operands u: [..., inputs] -> [..., outputs]."""
        return pointwise(u, *self._layer(name))

    def _block(self, name: str, x: Tensor) -> None:
        """A residual block on contiguous activations, in place."""
        u = self.narrow(f"{name}.mix", x).round_().clamp_(0, OPERAND_LIMIT)
        weight, bias = self._layer(f"{name}.spatial")
        image, channels = u.permute(0, 3, 1, 2), len(bias)
        sums = F.conv2d(image, weight.view(channels, 1, 3, 3), bias, padding=1, groups=channels).permute(0, 2, 3, 1)
        x.add_(self._product(f"{name}.project", sums.round_().clamp_(0, OPERAND_LIMIT)))
        for part in in_parts(x):
            u = operands(part)
            gate = self._product(f"{name}.gate", u).clamp_(0, GATE_LIMIT)
            # The one product that float32 may not hold: rounded once, as IEEE 754 demands of every device.
            product = self._product(f"{name}.value", u).mul_(gate)
            part.add_(self._product(f"{name}.contract", operands(product, 1)))


def operands(x: Tensor, step: int = OPERAND_STEP) -> Tensor:
    """The operands that narrow layers make of activations: 128 + round(x / step), clamped to 0..255. step: a power of
    two."""
    return (x / step).round_().clamp_(-OPERAND_ZERO, OPERAND_LIMIT - OPERAND_ZERO).add_(OPERAND_ZERO)


def as_bytes(x: Tensor, most: int) -> Tensor:
    """x rounded and clamped to 0..most, as uint8."""
    # By way of int16: on CPUs, a direct conversion to uint8 takes several times as long.
    return x.round().clamp_(0, most).to(torch.int16).to(torch.uint8)


def halves(x: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """Splits integers: the largest multiples of step that are not above them, and the rest, 0..step - 1. step: a power
    of two."""
    steps = (x / step).floor_().mul_(step)
    return steps, x - steps
