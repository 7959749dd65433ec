"""Effort: what refining latents gains, whatever the image and its tiles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from cae.bitstream.errors import InputError
from cae.codec import torch_codec
from cae.codec.encode.analysis_windows import analyse
from cae.codec.encode.options import EncodeOptions
from cae.codec.image.picture import read_picture
from cae.codec.model.rate import rate_index_of
from cae.codec.torch_codec import Codec, load_codec

Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("cpu")


def squared_error(difference: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A fifth of the mean square over RGB and four fifths of the square of the luma, a pixel: [..., 3] -> [...]."""
    red, green, blue = np.moveaxis(difference, -1, 0)
    luma: npt.NDArray[np.float64] = 0.299 * red + 0.587 * green + 0.114 * blue
    return 0.2 * (red**2 + green**2 + blue**2) / 3 + 0.8 * luma**2


def cost(codec: Codec, pixels: Bytes, data: bytes, quality: float) -> float:
    """What an encoder has to make small: bits + lambda * squared error, a pixel."""
    decoded = codec.decode(data).pixels.astype(float)
    weight = float(codec.coder.networks.rate_weight[rate_index_of(quality)])
    return 8 * len(data) / pixels[..., 0].size + weight * float(squared_error(decoded - pixels).mean())


@pytest.mark.parametrize("quality", [20, 50, 100])
def test_effort_pays(codec: Codec, photo: Bytes, quality: float) -> None:
    files = [codec.encode(read_picture(photo), quality, effort=effort) for effort in (1, 2, 5)]
    costs = [cost(codec, photo, data, quality) for data in files]
    bits = 8 * len(files[0]) / photo[..., 0].size
    assert costs[0] - costs[1] > 0.002 * bits
    assert costs[1] > costs[2]


@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_gets_worse(codec: Codec, value: int) -> None:
    """Flat images and noise, for which moving the latents may lead nowhere."""
    flat = np.full((64, 128, 3), value, np.uint8)
    noise = np.random.default_rng(value).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for pixels in (flat, noise):
        for quality in (0, 100):
            plain, refined = (codec.encode(read_picture(pixels), quality, effort=effort) for effort in (1, 3))
            assert cost(codec, pixels, refined, quality) < 1.001 * cost(codec, pixels, plain, quality)


@pytest.mark.slow
def test_tiles(codec: Codec, photo: Bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is refined by itself, for its own pixels."""
    pixels = np.tile(photo, (1, 2, 1))[:, :300]
    whole = cost(codec, pixels, codec.encode(read_picture(pixels), 50, effort=4), 50)
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
    plain, refined = (
        cost(codec, pixels, codec.encode(read_picture(pixels), 50, effort=effort), 50) for effort in (1, 4)
    )
    assert refined < 0.99 * plain
    assert refined < 1.1 * whole


def test_grey(codec: Codec, photo: Bytes) -> None:
    grey = np.ascontiguousarray(photo[..., 1])
    plain, refined = (codec.encode(read_picture(grey), 50, effort=effort) for effort in (1, 4))
    errors = [float(np.mean((codec.decode(data).pixels.astype(float) - grey) ** 2)) for data in (plain, refined)]
    assert errors[1] < errors[0]
    assert len(refined) < 1.1 * len(plain)


@pytest.mark.slow
@pytest.mark.parametrize("quality", [75, 90])
def test_less_is_missing(codec: Codec, photo: Bytes, quality: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder's pixels have more of the picture's latents, in each of several tiles."""
    monkeypatch.setattr("cae.codec.codec.DEFAULT_TILE", 1)
    row = rate_index_of(quality)
    networks = codec.coder.networks
    wanted = analyse(networks, [photo], row)
    deviations = np.sqrt(networks.rd_weight[row]) * networks.sigma_in_steps[row]  # in proportion
    within = np.s_[:, : photo.shape[0] // 16, : photo.shape[1] // 16]  # what is padded is nobody's aim
    missing = []
    for effort in (1, 2, 6):
        decoded = codec.decode(codec.encode(read_picture(photo), quality, effort=effort)).pixels
        lacks = ((wanted - analyse(networks, [decoded], row)) * deviations)[within]
        places = [np.s_[:, top : top + 4, left : left + 4] for top in (0, 4) for left in (0, 4, 8)]
        missing.append([float(np.linalg.norm(lacks[place])) for place in places])
    plain, once, often = np.array(missing)
    assert (once < plain).mean() > 0.8
    assert once.sum() < 0.99 * plain.sum()
    assert often.sum() < once.sum()


@pytest.mark.parametrize("quality", [0, 100])
def test_errors_are_those_of_the_decoded_picture(
    codec: Codec, photo: Bytes, quality: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounded, limited to 0 and 255, without what is padded; the best of them is taken."""
    measured: list[tuple[Bytes, Bytes]] = []
    networks = codec.coder.networks
    squared_errors = networks.squared_errors

    def measure(shown: Bytes, original: Bytes) -> tuple[float, float]:
        measured.append((shown.copy(), original.copy()))
        return squared_errors(shown, original)

    monkeypatch.setattr(networks, "squared_errors", measure)
    harsh = np.where(photo > 128, 255, 0).astype(np.uint8)
    (data,) = codec.encode_pictures([read_picture(harsh)], EncodeOptions(quality, effort=3, patches="off"))
    decoded = codec.decode(data).pixels
    assert len(measured) == 3
    assert all(np.array_equal(original, harsh) for _, original in measured)
    assert any(np.array_equal(shown, decoded) for shown, _ in measured)


def test_callers_modes_do_not_matter(photo: Bytes) -> None:
    """A model that is loaded in inference mode works outside of it; autocast does not reach the decoder."""
    picture = read_picture(photo)
    torch_codec._load_codec.cache_clear()
    with torch.inference_mode():
        data = load_codec("cpu").encode(picture, 50)
    with torch.autocast("cpu", torch.bfloat16):
        load_codec("cpu").encode(picture, 50)
        pixels = load_codec("cpu").decode(data).pixels
    assert np.array_equal(load_codec("cpu").decode(data).pixels, pixels)
    assert load_codec("cpu").encode(picture, 50) == data
    torch_codec._load_codec.cache_clear()  # others have one that is like any other


def test_effort_out_of_range(codec: Codec, photo: Bytes) -> None:
    for effort in (0, 10, 2.0, "2"):
        with pytest.raises(InputError, match="effort"):
            codec.encode(read_picture(photo), 50, effort=effort)
