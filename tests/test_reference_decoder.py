"""The second decoder, which shares no code with the package, gives the same: latents and pixels."""

from __future__ import annotations

import base64
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from cae.bitstream.container import unpack
from cae.codec.image.picture import Picture
from cae.codec.model.weights import find_weights
from cae.codec.torch_codec import load_codec

VECTORS = Path(__file__).parent / "vectors"
FILES = json.loads((VECTORS / "files.json").read_text(encoding="utf-8"))
reference = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("reference_decoder.py"))))


@pytest.fixture(scope="module")
def weights() -> object:
    return reference.Weights(find_weights().path.read_bytes())


@pytest.mark.parametrize("case", FILES, ids=lambda case: case["name"])
def test_golden_files(weights: object, case: dict[str, str]) -> None:
    data = base64.b64decode(case["file"])
    latents, pixels, alpha = reference.decode(data, weights)
    assert latents.dtype == np.int32
    assert np.array_equal(latents, load_codec("cpu").decode_latents(unpack(data)))
    expected = np.frombuffer(base64.b64decode(case["pixels"]), np.uint8).reshape(pixels.shape)
    assert np.array_equal(pixels, expected)
    assert (b"" if alpha is None else alpha.tobytes()) == base64.b64decode(case["alpha"])


@pytest.mark.slow
def test_tiles_escapes_and_alpha(
    weights: object, photo: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no golden file has: several tiles, symbols beyond their tables, filtered rows of alpha."""
    codec = load_codec("cpu")
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
    networks = codec.coder.networks
    analyse = networks.analyse_hyper
    monkeypatch.setattr(networks, "analyse_hyper", lambda y, row: analyse(y, row) + 700)
    data = codec.encode(Picture(photo, photo[..., 0].copy()), 70)
    assert len(unpack(data).tiles) == 8
    latents, pixels, alpha = reference.decode(data, weights)
    assert np.array_equal(latents, codec.decode_latents(unpack(data)))
    assert np.array_equal(pixels, codec.decode(data).pixels)
    assert np.array_equal(alpha, photo[..., 0])
