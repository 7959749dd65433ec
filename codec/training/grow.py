"""Adds latent channels to trained weights, for the principal components of what the transforms leave out.

A transform with fewer latent channels than a patch has samples (3 * 16 * 16) can not show everything, however fine the
quantisation steps. With 320 channels photographs reach 42 to 49 dB at most, pictures with sharp or coloured edges 31 to
40.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ...bitstream.errors import InputError
from ..model.config import PATCH, ModelConfig
from .data import CropSource
from .model.layers import space_to_depth
from .model.model import CompressionModel
from .model.transforms import base_step

CROPS, SIDE = 400, 256
"""The number of crops that the principal components are taken of, and pixels to a side of them, at most."""

LOG_SCALE = -1.2
"""The logarithm of the scale that the prior, which knows nothing of new latents yet, takes for them, relative to their
deviation: most are near 0. A channel whose deviation is below half a quantisation step at the highest rate is never
coded then, nor learns to be: more channels than that are useless."""


@torch.no_grad()
def grow(model: CompressionModel, config: ModelConfig, source: CropSource) -> CompressionModel:
    """A model of the configuration, made from one on the CPU with fewer latent channels.

    New channels are shared out among the four groups of the context. The networks do nothing with them at first: only
    the linear transforms do, so that pictures decode as before, with what the new channels show of the rest added.
    source: images to take the principal components of. Raises InputError where the configurations differ in more."""
    old = model.config.latent_channels
    more = config.latent_channels - old
    if config != replace(model.config, latent_channels=config.latent_channels) or more < 0:
        raise InputError("weights to begin with may have fewer latent_channels than the recipe's model, nothing else")
    basis, project, deviation = _components(model.eval(), more, source)
    result = CompressionModel(config)
    # The order of the channels: in each group its share of the old ones, then of the new ones.
    index = torch.cat([torch.arange(old).reshape(4, -1), old + torch.arange(more).reshape(-1, 4).T], dim=1).flatten()
    state = model.state_dict()

    def put(key: str, new: Tensor | float, dimension: int = 0) -> None:
        """Inserts the new channels' values, or one value for all, into a tensor along its dimension of channels."""
        shape = list(state[key].shape)
        shape[dimension] = more
        fresh = new if isinstance(new, Tensor) else torch.full(shape, new)
        state[key] = torch.cat([state[key], fresh], dimension).index_select(dimension, index)

    put("sigma", deviation)
    put("analysis.linear.inner.weight", project)
    put("synthesis.linear.inner.weight", basis, 1)
    for key in ("analysis.linear.inner.bias", "analysis.leave.inner.weight", "analysis.leave.inner.bias"):
        put(key, 0.0)
    put("synthesis.enter.inner.weight", 0.0, 1)
    step = base_step(model.config, torch.linspace(0, 1, model.config.knots))[:, 0, 0]
    put("log_gain.knots", -step.log().expand(-1, more), 1)
    put("log_shrink.knots", 0.0, 1)
    for name, parameter in model.named_parameters():
        if name == "hyper_analysis.enter.weight":  # it takes latents and the logarithms of their magnitudes
            halves = parameter.chunk(2, dim=1)
            new = parameter.new_zeros(len(parameter), more)
            state[name] = torch.cat([torch.cat([half, new], 1)[:, index] for half in halves], 1)
        elif name.startswith("prior.steps.") and name.endswith(".enter.weight"):
            put(name, 0.0, 1)
        elif name.startswith("prior.steps.") and ".leave." in name:  # means, then log-scales, of one group each
            mean, log_scale = parameter.chunk(2, dim=-1)
            new = parameter.new_zeros(*mean.shape[:-1], more // 4)
            fill = LOG_SCALE if name.endswith("bias") else 0.0
            state[name] = torch.cat([mean, new, log_scale, new + fill], dim=-1)
    result.load_state_dict(state)
    if model.is_bounded:
        result.bound()
    return result


def _components(model: CompressionModel, count: int, source: CropSource) -> tuple[Tensor, Tensor, Tensor]:
    """The principal components of what a model leaves out at the highest rate, strongest first: float32 [768, count];
    the projection of a picture's patches on them, float32 [count, 768]; their deviations, float32 [count]."""
    random = np.random.default_rng(0)
    side = min(SIDE, source.smallest)
    top = torch.ones(1)
    noise = float(base_step(model.config, top)) ** 2 / 12
    left_out = torch.zeros(3 * PATCH**2, 3 * PATCH**2, dtype=torch.float64)
    shown = torch.zeros_like(left_out)
    for _ in range(CROPS):
        x = torch.tensor(source.crop(side, random)).float()[None] / 255 - 0.5
        latents = model.analysis(x, top, model.sigma) * model.log_shrink(top).exp()
        error = _patches(x - model.synthesis(latents, top, model.sigma))
        # Each crop counts relative to its whole error, quantisation's included, as pictures are compared by ratios of
        # their rates.
        left_out += error.T @ error / len(error) / (error.square().mean() + noise)
        patches = _patches(x)
        shown += patches.T @ patches / len(patches) / CROPS
    basis = torch.linalg.eigh(left_out).eigenvectors.flip(1)[:, :count]
    analysis, synthesis = model.analysis.linear.inner.weight.double(), model.synthesis.linear.inner.weight.double()
    project = basis.T - basis.T @ synthesis @ analysis
    deviation = (project @ shown @ project.T).diagonal().clamp(min=1e-8).sqrt()
    return basis.float(), project.float(), deviation.float()


def _patches(x: Tensor) -> Tensor:
    """The 16x16 patches of a picture, float32 [1, H, W, 3] -> float64 [H * W / 256, 768]."""
    return space_to_depth(x, PATCH).reshape(-1, 3 * PATCH**2).double()
