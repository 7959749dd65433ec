"""What a run says of its networks' units, and how dead ones are brought back."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch

from cae.codec.model.config import ModelConfig
from cae.codec.training import health
from cae.codec.training.freezing.calibration import set_limits
from cae.codec.training.model.layers import DepthwiseBlock
from cae.codec.training.model.model import CompressionModel

CONFIG = ModelConfig(latent_channels=32, width_8=16, width_16=16, hyper_channels=8, prior_width=16, knots=5)
NAME = "synthesis.blocks_16.0"


@pytest.fixture
def crops() -> list[np.ndarray]:
    return [skimage.data.astronaut()[:64, 64 * k : 64 * k + 64].copy() for k in range(3)]  # type: ignore[no-untyped-call]


@pytest.fixture
def model(crops: list[np.ndarray]) -> CompressionModel:
    """With random weights everywhere, two dead rectifiers and three dead gates in one block."""
    torch.manual_seed(0)
    model = CompressionModel(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
        block = model.get_submodule(NAME)
        assert isinstance(block, DepthwiseBlock)
        block.mix.bias[[2, 9]] = -1e4
        block.expand.bias[[33, 40, 63]] = -1e4
        block.spatial.bias[2] = 0.7
    set_limits(model, crops)
    return model


def test_dead_units_are_found(model: CompressionModel, crops: list[np.ndarray]) -> None:
    found = health.examine(model, crops)
    assert found.keys() == health.named_blocks(model).keys()
    assert torch.nonzero(found[NAME].rectifiers == 0)[:, 0].tolist() == [2, 9]
    assert torch.nonzero(found[NAME].gates == 0)[:, 0].tolist() == [1, 8, 31]
    assert found[NAME].dead == pytest.approx(5 / 48)
    for one in found.values():
        assert 0 < one.percentile <= one.largest
        assert one.norm > 0
    assert model.training  # as before


def test_reviving_changes_nothing_at_first(model: CompressionModel, crops: list[np.ndarray]) -> None:
    copy = CompressionModel(CONFIG)
    copy.load_state_dict(model.state_dict())
    copy.bound()
    x, t = torch.from_numpy(crops[0])[None].float() / 255 - 0.5, torch.tensor([0.5])
    model.eval()
    with torch.no_grad():
        before = model(x, t).x
        assert health.revive(model, [copy], health.examine(model, crops)) >= 5
        after = model(x, t).x
        inner = (slice(None), slice(16, -16), slice(16, -16))  # beyond the border a constant was not one
        torch.testing.assert_close(after[inner], before[inner], rtol=0, atol=2e-3)
    found = health.examine(model, crops)
    assert found[NAME].dead == 0
    for name, value in model.get_submodule(NAME).state_dict().items():
        assert torch.equal(copy.get_submodule(NAME).state_dict()[name], value)


def test_drift_is_said(model: CompressionModel, crops: list[np.ndarray]) -> None:
    row = health.row(health.examine(model, crops))
    assert ["step", *row] == health.columns(model)
    assert health.drifting(row, row) == []
    grown = {**row, f"{NAME} largest": 3 * row[f"{NAME} largest"]}
    assert health.drifting(grown, row) == [NAME]
