"""Layers, transforms, windows: shapes, inverses, and what a result depends on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cae.bitstream.rectangle import Rectangle
from cae.codec.encode.analysis_windows import cut
from cae.codec.model.config import ModelConfig
from cae.codec.training.freezing.calibration import Ranges
from cae.codec.training.model.layers import DepthwiseBlock, Narrow, depth_to_space, space_to_depth
from cae.codec.training.model.prior import STEPS, place_step, select_step, to_classes
from cae.codec.training.model.transforms import RateTable, SynthesisTransform

CONFIG = ModelConfig(latent_channels=16, width_8=8, width_16=8, hyper_channels=4, prior_width=8, knots=5)


def test_config_round_trip_and_unknown_keys() -> None:
    assert ModelConfig.from_dict(CONFIG.to_dict()) == CONFIG
    with pytest.raises(ValueError, match="surprise"):
        ModelConfig.from_dict({**CONFIG.to_dict(), "surprise": 1})
    for channels in (18, 644):
        with pytest.raises(ValueError, match="multiple of 4"):
            ModelConfig(latent_channels=channels)


def test_space_to_depth_and_back() -> None:
    x = torch.arange(2 * 8 * 12 * 3.0).reshape(2, 8, 12, 3)
    folded = space_to_depth(x, 4)
    assert folded.shape == (2, 2, 3, 48)
    assert torch.equal(folded[1, 1, 2, :3], x[1, 4, 8])
    assert torch.equal(depth_to_space(folded, 4), x)


def test_blocks_start_as_identity() -> None:
    x = torch.randn(1, 4, 4, 8)
    assert torch.equal(DepthwiseBlock(8)(x), x)


def test_rate_table_interpolates() -> None:
    table = RateTable(torch.tensor([[0.0], [1.0], [4.0]]))
    values = table(torch.tensor([0.0, 0.25, 0.75, 1.0]))[:, 0, 0, 0]
    assert values.tolist() == [0.0, 0.5, 2.5, 4.0]


def test_every_latent_is_coded_in_one_step() -> None:
    latents = torch.randint(1, 100, (1, 6, 8, 16))
    classes = to_classes(latents)
    parts = [place_step(select_step(classes, step), step) for step in range(STEPS)]
    assert torch.equal(sum(parts), latents)
    assert [int((part != 0).sum()) for part in parts] == [latents.numel() // 4] * STEPS


def perturbed(model: torch.nn.Module) -> None:
    """Random values everywhere: fresh blocks are the identity and would hide a dependence."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3


def test_halo_covers_the_receptive_field() -> None:
    model = SynthesisTransform(ModelConfig())
    perturbed(model)
    w = torch.zeros(1, 15, 15, ModelConfig().latent_channels, requires_grad=True)
    out = model(w, torch.tensor([0.5]), torch.ones(w.shape[-1]))
    gradient = torch.autograd.grad(out[:, 112:128, 112:128].sum(), w)[0].abs().sum((0, 3))
    reach = [int(7 - axis.nonzero().min()) for axis in (gradient.sum(1), gradient.sum(0))]
    assert max(reach) <= ModelConfig().halo


def test_images_are_padded_by_their_last_row_and_column() -> None:
    pixels = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    padded = cut([pixels], Rectangle(0, 0, 4, 4))[0]
    assert padded.shape == (64, 64, 3)
    assert np.array_equal(padded[:3, :5], pixels)
    assert (padded[2:, 4:] == pixels[2, 4]).all()
    assert np.array_equal(cut([padded], Rectangle(1, 0, 2, 2))[0], padded[16:48, :32])
    assert np.array_equal(cut([pixels[..., 0]], Rectangle(0, 0, 4, 4))[0], np.dstack([padded[..., 0]] * 3))


def test_narrow_rounds_while_training_alone() -> None:
    narrow = Narrow(4)
    x = torch.tensor([[[[0.9, -8.0], [2.0, 5.0]]]], requires_grad=True)
    rounded = narrow(x)
    assert rounded.tolist() == [[[[1.0, -8.0], [2.0, 4.0]]]]
    rounded.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == torch.ones_like(x).tolist()
    assert narrow.eval()(x) is x


def test_ranges_cover_what_counts() -> None:
    layer = torch.nn.Identity()
    ranges = Ranges()
    x = torch.randn(4, 64, 64, 3, generator=torch.Generator().manual_seed(1))
    x[..., 1] = 0.0
    x[..., 2].clamp_(-1, 1)
    ranges.observe(layer, (x,), x)
    x[0, 0, 0, 2] = 4.0  # alone beyond 1
    ranges.observe(layer, (x,), x)
    largest = float(x.abs().max())
    normal, dead, outlier = ranges.of(layer, steps=127).tolist()
    assert 0.5 * largest < normal <= largest
    assert 0 < dead < largest / 100
    assert outlier == 4  # clamping it would be worse than steps of 4 / 127
    assert ranges.of(layer, steps=15).tolist()[2] == 2  # the least that is tried
    silent = torch.nn.Identity()
    ranges.observe(silent, (0 * x,), 0 * x)
    assert (ranges.of(silent, steps=127) > 0).all()
