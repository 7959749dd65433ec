"""The optimisers, and the learning rate of each kind of parameter."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .model.layers import RANGES, Pointwise
from .model.model import CompressionModel
from .muon import Muon
from .recipe import ADAMW, MUON

LINEAR_RATE = 0.05
"""The share of the learning rate for the linear transforms, which start near their optimum. With the full rate a short
run (2.5 minutes on two cores, 8 images of cid22-val) ended 8 % worse in rate and up to 1 dB worse in PSNR."""
TABLE_RATE = 0.5
"""The share of the learning rate for rate tables and ranges of activations: they enter through an exponential, and each
knot sees only some of the samples."""
WEIGHT_DECAY = 0.1
"""The weight decay of Muon's parameters: its updates are all of one size, so that without it weights and activations in
directions that the loss does not feel only grow."""


def make_optimizers(model: CompressionModel, kind: str, precision: torch.dtype) -> list[torch.optim.Optimizer]:
    """The optimisers of a model: AdamW, over groups of parameters with a `share` of the learning rate each, and where
    `kind` is MUON, Muon for the matrices of the networks, calculating in `precision`."""
    linear = [*model.analysis.linear.parameters(), *model.synthesis.linear.parameters()]
    tables = [value for name, value in model.named_parameters() if name.endswith(("knots", *RANGES))]
    slow = set(linear)
    matrices = [m.weight for m in model.modules() if isinstance(m, Pointwise) and m.weight not in slow]
    special = {*linear, *tables, *(matrices if kind == MUON else ())}
    groups = [
        {"params": [parameter for parameter in model.parameters() if parameter not in special], "share": 1.0},
        {"params": linear, "share": LINEAR_RATE},
        {"params": tables, "share": TABLE_RATE},
    ]
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    if kind == ADAMW:
        return [adamw]
    group = {"params": matrices, "share": 1.0}
    return [adamw, Muon([group], weight_decay=WEIGHT_DECAY, precision=precision)]


def set_learning_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """Sets the learning rate of each group of parameters: its share of `rate`."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = group["share"] * rate
