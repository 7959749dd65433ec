"""Layers, transforms, windows: shapes, inverses, and what a result depends on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cae.bitstream.rectangle import Rectangle
from cae.codec.encode.analysis_windows import cut
from cae.codec.model.config import OPERAND_LIMIT, ModelConfig
from cae.codec.model.constants import ACCUMULATOR_LIMIT, HALF, LEVEL_ONE
from cae.codec.training.freezing.calibration import Ranges
from cae.codec.training.freezing.layers import freeze_linear
from cae.codec.training.model.layers import LEAK, Blocks, Pointwise, Range, clamp, depth_to_space, space_to_depth
from cae.codec.training.model.prior import STEPS, place_step, select_step, to_classes
from cae.codec.training.model.transforms import RateTable, SynthesisTransform

CONFIG = ModelConfig(latent_channels=16, width_8=8, width_16=8, hyper_channels=4, prior_width=8, knots=5)


def test_config_round_trip_and_unknown_keys() -> None:
    assert ModelConfig.from_dict(CONFIG.to_dict()) == CONFIG
    with pytest.raises(ValueError, match="surprise"):
        ModelConfig.from_dict({**CONFIG.to_dict(), "surprise": 1})
    for channels in (18, 772):
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
    assert torch.equal(Blocks(2, 8)(x), x)


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


@pytest.mark.slow
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


def bounded(part: Range | Blocks) -> None:
    part.is_set = True


def test_ranges_limit_and_round_to_256_steps() -> None:
    x = torch.tensor([-300.0, -64.4, -0.2, 0.4, 1.6, 100.0, 255.0, 256.0])[:, None].requires_grad_()
    rectified, signed, own = Range(1), Range(1, signed=True), Range(1, own=True)
    assert rectified(x) is x  # no limits yet
    assert own.log_below is not None
    with torch.no_grad():
        rectified.log_high.fill_(np.log(255))
        signed.log_high.fill_(np.log(64))
        own.log_high.fill_(np.log(205))
        own.log_below.fill_(np.log(50))
    expected = {
        rectified: [0, 0, 0, 0, 2, 100, 255, 255],
        signed: [-64, -64, 0, 0.5, 1.5, 63.5, 63.5, 63.5],
        own: [-50, -50, 0, 0, 2, 100, 205, 205],
    }
    for range_, values in expected.items():
        bounded(range_)
        assert range_(x)[:, 0].tolist() == pytest.approx(values, abs=1e-3)


def test_ranges_learn_from_what_they_cut_off() -> None:
    """Within the limits a gradient reaches the values, beyond them the limit on that side."""
    own = Range(1, own=True)
    assert own.log_below is not None
    with torch.no_grad():
        own.log_high.fill_(np.log(3))
        own.log_below.fill_(np.log(1))
    bounded(own)
    x = torch.tensor([[-2.0], [0.0], [5.0], [7.0]], requires_grad=True)
    (own(x) * torch.tensor([[1.0], [1.0], [10.0], [100.0]])).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert own.log_high.grad is not None
    assert own.log_below.grad is not None
    assert x.grad[:, 0].tolist() == [0, 1, 0, 0]
    assert float(own.log_high.grad) == pytest.approx(110 * 3, abs=0.1)
    assert float(own.log_below.grad) == pytest.approx(-1, abs=0.1)


def test_blocks_are_bounded_whatever_goes_in() -> None:
    blocks = Blocks(2, 8)
    perturbed(blocks)
    for part in blocks.modules():
        if isinstance(part, Range | Blocks):
            bounded(part)
    blocks.requires_grad_(False)
    x = torch.randn(1, 4, 4, 8)
    most = float(blocks.limited(blocks(1e6 * x)).abs().max())
    assert most <= float(blocks.log_limit.exp().max()) * 1.001
    added = float((blocks(1e6 * x) - 1e6 * x).abs().max())
    assert added < 1e3  # 2e6 and more without ranges


def test_shut_units_still_learn() -> None:
    x = torch.tensor([-1.0, 3.0, 9.0], requires_grad=True)
    out = clamp(x, 6.0)
    assert out.tolist() == [0, 3, 6]
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([LEAK, 1, LEAK])
    with torch.no_grad():
        assert clamp(x.detach().clone(), 6.0).tolist() == [0, 3, 6]


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


@torch.no_grad()
@pytest.mark.parametrize("channels", [16, 512, 768])
def test_linear_synthesis_is_frozen_exactly_for_any_number_of_channels(channels: int) -> None:
    """Sums stay below what float32 holds exactly, and weights keep 12 bits of precision or more."""
    torch.manual_seed(0)
    layer = Pointwise(channels, 768)
    layer.weight.data = torch.linalg.qr(torch.randn(768, 768)).Q[:, :channels].contiguous()
    frozen: dict[str, torch.Tensor] = {}
    freeze_linear(layer, frozen, "linear")
    for name in ("linear.top", "linear.middle"):
        weight, bias = frozen[f"{name}.weight"].double(), frozen[f"{name}.bias"].double()
        assert float((weight.abs().sum(1) * OPERAND_LIMIT + bias.abs()).max()) < ACCUMULATOR_LIMIT
    upper = frozen["linear.top.weight"].double() * frozen["linear.top.multiplier"][:, None] / HALF
    lower = frozen["linear.middle.weight"].double()[:, :channels] * frozen["linear.middle.multiplier"][:, None] / HALF
    found = (upper + lower) * LEVEL_ONE
    largest = layer.weight.abs().amax(1, keepdim=True)
    assert float(((found - layer.weight) / largest).abs().max()) < 2**-12
