"""Parts that networks in floating point and of integers share in torch, without gradients: 1x1 convolutions, positions
a few at a time, and where what a context step codes belongs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..model.constants import CLASSES, group_of

CACHED_POSITIONS = 3072
"""On a CPU and outside training, a block's 1x1 layers take this many positions at a time, so that what the widest of
them gives is still in the cache for the next and its memory is used again: for a window of 1024 x 1024 pixels the
synthesis then takes 4/5 of the time."""

ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x: [..., inputs]; weight: [outputs, inputs]; bias: [outputs] -> [..., outputs]. Without gradients.

    On a CPU a convolution, which adds the bias as it goes, where a matrix product first fills its output with it; and
    oneDNN's by name: left to itself, torch takes MKL's matrix product for a single thread, which on an AMD processor
    with AVX-512 had 50 to 100 GFLOP/s where oneDNN had 200 to 230. Elsewhere one product for all images: without cuDNN,
    convolutions by CUDA take them one by one.
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
    """Views of a contiguous tensor [B, H, W, C]: on a CPU [1, 1, n, C] with up to CACHED_POSITIONS positions each."""
    return torch.split(x.view(1, 1, -1, x.shape[-1]), CACHED_POSITIONS, dim=2) if x.device.type == "cpu" else [x]


def write_step(target: Tensor, values: Tensor, step: int) -> None:
    """Inverse of `select_step` and `to_classes`, in place: values [4, B, h/2, w/2, C/4] into target [B, h, w, C]."""
    size = values.shape[-1]
    for k, (row, column) in enumerate(CLASSES):
        group = target.narrow(-1, group_of(k, step) * size, size)
        group[:, row::2, column::2].copy_(values[k])
