"""The prior, which predicts mean and log-scale of every latent from hyper-latents and the latents of earlier steps.

Latents [B, h, w, M] are coded in four steps. The M channels form four groups of M/4 neighbours; the positions of
each 2x2 cell form four classes, in the order (0,0) (1,1) (0,1) (1,0). In step s, class k codes group (k - s) mod 4:
every step codes a quarter of the channels at every position, surrounded by what earlier steps have decoded.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ...backends.torch_parts import write_step
from ...model.config import ModelConfig
from ...model.constants import CLASSES, STEPS, group_of
from .layers import Add, Blocks, ClassPointwise, Pointwise, depth_to_space
from .transforms import RateTable


def to_classes(x: Tensor) -> Tensor:
    """Splits a tensor [B, h, w, C] by position classes: [4, B, h/2, w/2, C]."""
    return torch.stack([x[:, row::2, column::2] for row, column in CLASSES])


def select_step(classes: Tensor, step: int) -> Tensor:
    """The channels that each class codes in a step, [4, B, h/2, w/2, C/4], of a tensor [4, B, h/2, w/2, C] from
    `to_classes`, or of a table [4, 1, 1, 1, C]."""
    size = classes.shape[-1] // 4
    return torch.stack([classes[k].narrow(-1, group_of(k, step) * size, size) for k in range(4)])


def place_step(values: Tensor, step: int) -> Tensor:
    """A tensor [B, h, w, C] that has the values of a step, [4, B, h/2, w/2, C/4], at their places and zeros elsewhere;
    gradients pass."""
    _, b, h, w, size = values.shape
    target = values.new_zeros(b, 2 * h, 2 * w, 4 * size)
    write_step(target, values, step)
    return target


class HyperSynthesis(nn.Module):
    """The network from hyper-latents [B, h/4, w/4, Z] to features [B, h, w, P] for the context steps."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        p = config.prior_width
        self.enter = Pointwise(config.hyper_channels, 4 * p)
        self.rate = RateTable(torch.zeros(config.knots, p))
        self.add_rate = Add()
        self.blocks_32 = Blocks(1, p)
        self.up = Pointwise(p, 4 * p)
        self.blocks_16 = Blocks(1, p)

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        features = self.add_rate(self.rate(t), depth_to_space(self.enter(z), 2))
        features = depth_to_space(self.up(self.blocks_32.narrow(self.blocks_32(features))), 2)
        result: Tensor = self.blocks_16(features)
        return result


class ContextStep(nn.Module):
    """The network of one step, from features and the latents decoded so far to means and log-scales of those that the
    step codes."""

    def __init__(self, config: ModelConfig, step: int) -> None:
        super().__init__()
        p, m = config.prior_width, config.latent_channels
        if step:
            self.enter = Pointwise(m, p, gain=0.5)
            self.add = Add()
        self.blocks = Blocks(config.context_blocks, p)
        self.leave = ClassPointwise(p, m // 2, gain=0.1)

    def forward(self, features: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        """The mean and the logarithm of the scale, both in standard deviations of the channel, of the latents that the
        step codes: each [4, B, h/2, w/2, M/4].

        features: [B, h, w, P]. known: latents in standard deviations, [B, h, w, M], 0 where they are not decoded yet;
        None in the first step.
        """
        if known is not None:
            features = self.add(features, self.enter(known))
        features = self.blocks.narrow(self.blocks(features))
        mean, log_scale = self.leave(to_classes(features)).chunk(2, dim=-1)
        return mean, log_scale


class Prior(nn.Module):
    """The networks of the prior that encoder and decoder share: hyper-synthesis and the four context steps."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hyper_synthesis = HyperSynthesis(config)
        self.steps = nn.ModuleList(ContextStep(config, step) for step in range(STEPS))
        # The first step's blocks continue on the features, so both have one range.
        self.context_steps[0].blocks.log_limit = self.hyper_synthesis.blocks_16.log_limit

    @property
    def context_steps(self) -> list[ContextStep]:
        """The four steps as a list with their type, which nn.ModuleList does not tell."""
        return [cast(ContextStep, step) for step in self.steps]
