"""The optimisers, and the learning rate of each kind of parameter."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from statistics import median

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

SKIP_FACTOR = 10.0
"""A step whose gradient norm is above this many usual ones is skipped: single steps blow up at high rates."""
LATEST, FEWEST = 100, 20
"""Steps whose norms say what is usual, and how many it takes for any to be skipped."""


class Norms(deque[float]):
    """The gradient norms of the latest steps, with skipped ones: should they have grown for good, `usual` follows."""

    def __init__(self) -> None:
        super().__init__(maxlen=LATEST)

    @property
    def usual(self) -> float:
        """Their median, NaN before the first."""
        return median(self) if self else math.nan

    def take(self, norm: float) -> bool:
        """Takes in the norm of a step, and says whether the step is to be made."""
        limit = SKIP_FACTOR * self.usual if len(self) >= FEWEST else math.inf
        if math.isfinite(norm):
            self.append(norm)
        return math.isfinite(norm) and norm <= limit


def make_optimizers(model: CompressionModel, kind: str, precision: torch.dtype) -> list[torch.optim.Optimizer]:
    """The optimisers of a model: AdamW, over groups of parameters with a `share` of the learning rate each, and where
    `kind` is MUON, Muon for the matrices of the networks, calculating in `precision`."""
    linear = [*model.analysis.linear.parameters(), *model.synthesis.linear.parameters()]
    tables = [value for name, value in model.named_parameters() if name.endswith(("knots", *RANGES))]
    slow = set(linear)
    matrices = [m.weight for m in model.modules() if isinstance(m, Pointwise) and m.weight not in slow]
    special = {*linear, *tables, *(matrices if kind == MUON else ())}
    others = [parameter for parameter in model.parameters() if parameter not in special]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.requires_grad], "share": share}
        for parameters, share in ((others, 1.0), (linear, LINEAR_RATE), (tables, TABLE_RATE))
    ]
    matrices = [matrix for matrix in matrices if matrix.requires_grad]
    adamw = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    if kind == ADAMW:
        return [adamw]
    group = {"params": matrices, "share": 1.0}
    return [adamw, Muon([group], weight_decay=WEIGHT_DECAY, precision=precision)]


def set_learning_rate(optimizers: Sequence[torch.optim.Optimizer], rate: float) -> None:
    """Sets the learning rate of each group of parameters: its share of `rate`."""
    for group in (group for optimizer in optimizers for group in optimizer.param_groups):
        group["lr"] = group["share"] * rate
