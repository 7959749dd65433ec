"""Where the bits went: sums, places, and the options of `cae info` that show it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

import cae as api
from cae.bitstream.container import unpack
from cae.codec.bit_usage import bit_usage
from cae.codec.torch_codec import load_codec

Run = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def half() -> bytes:
    """1088 x 128 pixels, two tiles: noise on the left, grey on the right."""
    pixels = np.full((128, 1088, 3), 128, np.uint8)
    pixels[:, :512] = np.random.default_rng(0).integers(60, 196, (128, 512, 3))
    return api.encode(pixels, 50)


def test_bits_add_up_and_lie_where_the_picture_is_rich(half: bytes) -> None:
    container = unpack(half)
    found = bit_usage(load_codec("cpu"), container)
    total = found.hyper + sum(found.steps)
    payload = 8 * sum(len(tile.payload) for tile in container.tiles)
    assert total <= payload <= total + 8 * 16
    assert found.positions.sum() == pytest.approx(total)
    assert found.positions.shape == (8, 68)
    assert found.positions[:, :32].sum() > 0.9 * total
    assert len(found.steps) == 4


def test_info_shows_it(cae: Run, tmp_path: Path, half: bytes) -> None:
    path, picture = tmp_path / "half.cae", tmp_path / "map.png"
    path.write_bytes(half)
    result = cae("info", path, "--sections", "--map", picture)
    assert result.returncode == 0, result.stderr
    for word in ("hyper", "step 1", "step 4", "brightest", "quality     50,"):
        assert word in result.stdout
    with Image.open(picture) as image:
        assert image.size == (1088, 128)
        grey = np.asarray(image.convert("L")).astype(float)
    assert grey[:, :500].mean() > 3 * grey[:, 600:].mean()
    values = json.loads(cae("info", path, "--json", "--sections").stdout)
    assert values["section_bytes"].keys() == {"hyper", "step 1", "step 2", "step 3", "step 4"}
    assert values["quality"] == 50
    plain = json.loads(cae("info", path, "--json").stdout)
    assert "section_bytes" not in plain


def test_maps_that_cannot_be_written(cae: Run, tmp_path: Path, half: bytes) -> None:
    path = tmp_path / "half.cae"
    path.write_bytes(half)
    assert cae("info", path, "--map", tmp_path / "none" / "map.png").returncode == 6
    assert cae("info", path, "--map", path).returncode == 6
    assert path.read_bytes() == half
    refused = cae("info", path, "--map", tmp_path / "map.png", "--max-pixels", 1000)
    assert (refused.returncode, refused.stderr.count("\n")) == (7, 1)
    assert "at most 1,000 are accepted" in refused.stderr
    assert not (tmp_path / "map.png").exists()
    changed = bytearray(half)
    changed[8] ^= 1  # the fingerprint is under the header's checksum
    path.write_bytes(changed)
    assert cae("info", path, "--sections").returncode == 4
