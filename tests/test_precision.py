"""The precision to train in, and Muon in each."""

from __future__ import annotations

import pytest
import torch

from cae.codec.training import precision
from cae.codec.training.muon import COEFFICIENTS, ITERATIONS, MOMENTUM, UPDATE_SIZE, Muon, orthogonalised

SHAPES = [(24, 24), (48, 16), (16, 48)]


@pytest.mark.parametrize(
    ("seconds", "expected"), [((1.0, 10.0), torch.float32), ((1.0, 0.95), torch.float32), ((1.0, 0.5), torch.bfloat16)]
)
def test_faster_one_is_taken(
    seconds: tuple[float, float], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 has to pay for its rounding."""
    times = dict(zip((torch.float32, torch.bfloat16), seconds, strict=True))
    monkeypatch.setattr(precision, "_seconds", lambda _, kind: times[kind])
    assert precision.fastest.__wrapped__(torch.device("cpu")) is expected


def test_measured_on_this_processor() -> None:
    """Both are timed, and the answer is one of the two."""
    assert precision.name(precision.fastest(torch.device("cpu"))) in precision.PRECISIONS


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", precision.PRECISIONS.values())
def test_orthogonalised(shape: tuple[int, int], kind: torch.dtype) -> None:
    """The singular vectors stay; the values come near 1, by the polynomial that the iteration is."""
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = orthogonalised(matrix, kind).float()
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    values = values / values.norm()
    for _ in range(ITERATIONS):
        a, b, c = COEFFICIENTS
        values = a * values + b * values**3 + c * values**5
    expected = u @ torch.diag(values) @ v
    assert found.shape == shape
    assert torch.allclose(found, expected, atol=1e-4 if kind is torch.float32 else 0.05)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_steps_of_muon() -> None:
    """Nesterov's momentum made orthogonal, at AdamW's size, after a decay of the weights; none without a gradient."""
    torch.manual_seed(1)
    weight, still = (torch.nn.Parameter(torch.randn(32, 8)) for _ in range(2))
    muon = Muon([{"params": [weight, still], "lr": 0.01}], weight_decay=0.5, precision=torch.float32)
    expected, momentum, before = weight.detach().clone(), torch.zeros(32, 8), still.detach().clone()
    for _ in range(3):
        gradient = torch.randn(32, 8)
        weight.grad = gradient.clone()
        muon.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        update = orthogonalised((1 - MOMENTUM) * gradient + MOMENTUM * momentum, torch.float32)
        expected = expected * (1 - 0.01 * 0.5) - 0.01 * UPDATE_SIZE * 32**0.5 * update
    assert torch.allclose(weight, expected, atol=1e-6)
    assert torch.equal(still, before)
    size = float((0.01 * UPDATE_SIZE * 32**0.5 * update).square().mean().sqrt())
    assert 0.5 < size / (0.01 * UPDATE_SIZE) < 1.5
