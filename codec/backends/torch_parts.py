"""Functions that the floating-point and the integer networks share in torch, without gradients: 1x1 convolutions, views
of a few positions at a time, and the writing of a context step's values into latents."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model.constants import CLASSES, group_of

CACHED_POSITIONS = 3072
"""Positions that a block's 1x1 layers take at a time on a CPU outside training. The outputs of the widest of them are
then still in the cache for the next, and their memory is used again: for a window of 1024 x 1024 pixels the synthesis
takes 4/5 of the time."""

ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution without gradients. x: [..., inputs]; weight: [outputs, inputs]; bias: [outputs] ->
    [..., outputs].

    On a CPU this is a convolution, which adds the bias as it goes, where a matrix product first fills its output with
    it. It is oneDNN's by name: left to itself, torch takes MKL's matrix product for a single thread, which on an AMD
    processor with AVX-512 had 50 to 100 GFLOP/s where oneDNN had 200 to 230. By CUDA it is one matrix product for all
    images: without cuDNN, convolutions take them one by one.
    """
    if x.device.type != "cpu":
        return F.linear(x, weight, bias)
    if x.dtype != torch.float32 or not ONEDNN or torch.is_autocast_enabled("cpu"):
        out = F.conv2d(x.permute(0, 3, 1, 2), weight[:, :, None, None], bias)
        return out.permute(0, 2, 3, 1).contiguous()
    flat = x.reshape(1, 1, -1, x.shape[-1]).permute(0, 3, 1, 2)
    out = torch.mkldnn_convolution(flat, weight[:, :, None, None], bias, (0, 0), (1, 1), (1, 1), 1)
    return out.permute(0, 2, 3, 1).reshape(*x.shape[:-1], -1)


def in_parts(x: Tensor) -> Sequence[Tensor]:
    """Views of a contiguous tensor [B, H, W, C] that together are all of it: on a CPU [1, 1, n, C], n up to
    CACHED_POSITIONS; on other devices the tensor itself."""
    return torch.split(x.view(1, 1, -1, x.shape[-1]), CACHED_POSITIONS, dim=2) if x.device.type == "cpu" else [x]


def write_step(target: Tensor, values: Tensor, step: int) -> None:
    """Writes what a context step codes, values [4, B, h/2, w/2, C/4] by position classes, to its places in a target
    [B, h, w, C]: the inverse of `select_step` and `to_classes` of training/model/prior.py."""
    size = values.shape[-1]
    for k, (row, column) in enumerate(CLASSES):
        group = target.narrow(-1, group_of(k, step) * size, size)
        group[:, row::2, column::2].copy_(values[k])
