"""The visual error that training counts, against the metric that measures it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import torch
from torch import Tensor

import cae
from cae.codec.evaluation.metrics import ssimulacra2
from cae.codec.training.visual import score, visual_error

Pixels = npt.NDArray[np.uint8]


def tensor(*pictures: Pixels) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).float() / 255 - 0.5


@pytest.fixture(scope="module")
def photo() -> Pixels:
    return np.ascontiguousarray(skimage.data.astronaut()[:256, :320])  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("quality", "tolerance"), [(20, 6.0), (50, 3.0), (90, 1.5)])
def test_it_scores_what_the_metric_does(photo: Pixels, quality: int, tolerance: float) -> None:
    """Apart from what windows see beyond the borders."""
    shown = np.asarray(cae.decode(cae.encode(photo, quality=quality)))
    error = float(visual_error(tensor(photo), tensor(shown)))
    assert score(error) == pytest.approx(ssimulacra2(photo, shown), abs=tolerance)


def test_equal_pictures_have_none_and_a_slope_of_none(photo: Pixels) -> None:
    y = tensor(photo[:64, :64]).requires_grad_()
    error = visual_error(y.detach(), y)
    error.sum().backward()
    assert float(error.detach()) == pytest.approx(0, abs=1e-3)
    assert score(0.0) == 100
    assert y.grad is not None
    assert bool(y.grad.isfinite().all())


def test_each_picture_has_its_own(photo: Pixels) -> None:
    """Whatever is beside it, and whatever autocast is in force; the smallest pictures too."""
    random = np.random.default_rng(0)
    one = photo[100:108, 100:108]
    other = random.integers(0, 256, one.shape, np.uint8)
    x, y = tensor(one, one, other), tensor(other, one, one)
    with torch.autocast("cpu", torch.bfloat16):
        together = visual_error(x, y)
    assert together.dtype == torch.float32
    alone = torch.cat([visual_error(x[index : index + 1], y[index : index + 1]) for index in range(3)])
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-3)
    assert float(together[0]) > 10 * float(together[1])


def test_its_gradient_is_that_of_differences(photo: Pixels) -> None:
    x = tensor(photo[:32, :32]).double()
    random = torch.Generator().manual_seed(0)
    y = (x + 0.05 * torch.randn(x.shape, generator=random, dtype=torch.float64)).clamp(-0.45, 0.45).requires_grad_()
    direction = torch.randn(x.shape, generator=random, dtype=torch.float64)
    visual_error(x, y).sum().backward()
    assert y.grad is not None
    slope = float((y.grad * direction).sum())
    step = 1e-3
    with torch.no_grad():
        ahead, behind = (float(visual_error(x, y + sign * step * direction)) for sign in (1, -1))
    assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=0.02)


def test_what_networks_draw_beyond_white_counts_as_white(photo: Pixels) -> None:
    white = torch.full((1, 32, 32, 3), 0.5)
    assert float(visual_error(white, white + 0.3)) == pytest.approx(0, abs=1e-3)
