"""The promises of the README on real photographs: scikit-image's, and the Kodak images where they are at hand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data

from cae.codec.evaluation.codecs import make_codec
from cae.codec.evaluation.curve import Point, bd_rate
from cae.codec.evaluation.estimate import estimated_bits
from cae.codec.evaluation.measure import rd_point
from cae.codec.image.picture import read_picture
from cae.codec.model.distortion import psnr
from cae.codec.model.rate import rate_index_of
from cae.codec.torch_codec import load_codec

Bytes = npt.NDArray[np.uint8]

KODAK = sorted((Path(__file__).parent.parent.parent / "shared" / "data" / "kodak").glob("*.png"))[::6]


def photographs() -> dict[str, Bytes]:
    """Name and pixels of each."""
    images: dict[str, Bytes] = {
        "astronaut": skimage.data.astronaut(),  # type: ignore[no-untyped-call]
        "coffee": skimage.data.coffee(),  # type: ignore[no-untyped-call]
    }
    return images | {path.stem: read_picture(path).pixels for path in KODAK}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pixels"), photographs().items(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_rate_and_distortion(name: str, pixels: Bytes) -> None:
    codec = load_codec("cpu")
    picture = read_picture(pixels)
    points = []
    for quality in (0, 25, 50, 75, 100):
        data = codec.encode(picture, quality, effort=1)
        points.append(Point(8 * len(data) / pixels[..., 0].size, psnr(pixels, codec.decode(data).pixels)))
        estimate = estimated_bits(codec, pixels, rate_index_of(quality)) / 8
        assert estimate <= len(data) <= estimate + 40
    assert all(a.bpp < b.bpp and a.psnr < b.psnr for a, b in pairwise(points)), name
    jpeg = make_codec("jpeg")
    assert bd_rate([rd_point(jpeg, pixels, quality) for quality in range(5, 100, 10)], points) < -30
