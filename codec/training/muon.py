"""Muon, the optimiser for matrices (Jordan and others 2024), in a precision of choice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of Jordan's quintic iteration: the steepest at 0 that keeps singular values within about 0.7 to 1.2."""
ITERATIONS = 5
SMALLEST_NORM = 1e-7

MOMENTUM = 0.95
UPDATE_SIZE = 0.2
"""The root mean square of Muon's updates, scaled to that of AdamW's, so that both take the same learning rate (Liu and
others, Muon is Scalable for LLM Training, 2025)."""


def orthogonalised(matrix: Tensor, precision: torch.dtype) -> Tensor:
    """A matrix [M, N] with its singular values brought near 1, in `precision`: Newton and Schulz' iteration."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(precision)
    x = x / x.norm().clamp(min=SMALLEST_NORM)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Moves parameters [M, N] by Nesterov's momentum, orthogonalised, with decoupled weight decay.

    torch has a Muon from version 2.9 on, but in bfloat16 alone, which takes ten times as long as float32 on a
    processor without units for it."""

    def __init__(self, groups: Iterable[dict[str, Any]], *, weight_decay: float, precision: torch.dtype) -> None:
        """precision: of the orthogonalisation. weight_decay: of each step, times the learning rate."""
        super().__init__(groups, {"lr": 1e-3, "weight_decay": weight_decay})
        self.precision = precision

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Moves every parameter that has a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - MOMENTUM)
                update = orthogonalised(weight.grad.lerp(momentum, MOMENTUM), self.precision)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * UPDATE_SIZE * max(weight.shape) ** 0.5)
