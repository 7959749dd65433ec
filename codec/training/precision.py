"""The precision to train in, by what is faster: bfloat16 on a processor with units for it, else float32."""

from __future__ import annotations

import functools
import time

import torch

from .model.layers import Blocks
from .muon import orthogonalised

PRECISIONS = {"bfloat16": torch.bfloat16, "float32": torch.float32}

GAIN = 0.9
"""The share of float32's time that bfloat16 must be below: its rounding has to pay."""

CHANNELS, POSITIONS, REPEATS = 192, (1, 16, 16), 3
"""What is timed: a block of usual width, on as many positions as a crop of 128 has at 1/8."""


@functools.cache
def fastest(device: torch.device) -> torch.dtype:
    """The precision that trains faster on the device, found once by measuring both: in less than a second, or in a few
    where bfloat16 is emulated."""
    slow, quick = (_seconds(device, precision) for precision in (torch.float32, torch.bfloat16))
    return torch.bfloat16 if quick < GAIN * slow else torch.float32


def name(precision: torch.dtype) -> str:
    """The name of a precision, "bfloat16" or "float32"."""
    return next(key for key, value in PRECISIONS.items() if value is precision)


def _seconds(device: torch.device, precision: torch.dtype) -> float:
    """The seconds of a step, the shortest of several: a block forward and back, and a matrix orthogonalised."""
    blocks = Blocks(1, CHANNELS).to(device)
    x = torch.zeros(*POSITIONS, CHANNELS, device=device, requires_grad=True)
    times = []
    for _ in range(1 + REPEATS):  # the first one compiles and allocates
        _wait(device)
        begin = time.perf_counter()
        with torch.autocast(device.type, torch.bfloat16, enabled=precision is torch.bfloat16):
            out = blocks(x)
        out.float().sum().backward()
        orthogonalised(blocks.each[0].expand.weight.detach(), precision)
        _wait(device)
        times.append(time.perf_counter() - begin)
    return min(times[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
