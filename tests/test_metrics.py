"""Metrics, curves and Bjontegaard deltas against values worked out by hand and published ones."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from cae.codec.evaluation.anchors import anchors
from cae.codec.evaluation.codecs import make_codec
from cae.codec.evaluation.curve import Curve, Point, bd_rate, delta, mean_point
from cae.codec.evaluation.measure import rd_point
from cae.codec.evaluation.metrics import METRICS, decibels, ms_ssim, psnr_y, ssim, ssimulacra2
from cae.codec.model.distortion import psnr

Bytes = npt.NDArray[np.uint8]


def test_psnr() -> None:
    a = np.full((2, 2, 3), 100, np.uint8)
    assert psnr(a, a) == float("inf")
    assert psnr(a, a + 1) == pytest.approx(20 * np.log10(255))
    assert psnr(a, a - 255 // 3) == pytest.approx(20 * np.log10(3))


def test_psnr_y_weighs_the_channels() -> None:
    a = np.full((2, 2, 3), 100, np.uint8)
    b = a.copy()
    b[..., 1] += 10
    assert psnr_y(a, b) == pytest.approx(20 * np.log10(255 / 5.87))
    assert psnr_y(a, a + 1) == pytest.approx(psnr(a, a + 1))


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_falls_with_noise(photo: Bytes, name: str) -> None:
    image = np.tile(photo, (2, 1, 1))
    noise = np.random.default_rng(0).normal(size=image.shape)
    values = []
    for strength in (0, 2, 10, 40):
        noisy = np.clip(image + strength * noise, 0, 255).round().astype(np.uint8)
        values.append(METRICS[name].curve(METRICS[name].measure(image, noisy)))
    assert values == sorted(set(values), reverse=True)
    assert math.isfinite(values[1])


def test_ssim_is_that_of_another_library(photo: Bytes) -> None:
    """scikit-image, which treats the border otherwise."""
    from skimage.metrics import structural_similarity

    noisy = np.clip(photo + np.random.default_rng(0).normal(0, 12, photo.shape), 0, 255).astype(np.uint8)
    expected = structural_similarity(  # type: ignore[no-untyped-call]
        photo, noisy, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(photo, noisy) == pytest.approx(expected, abs=0.005)


def test_too_small_images_have_no_value() -> None:
    for side, metric in ((175, ms_ssim), (10, ssim), (7, ssimulacra2)):
        image = np.zeros((side, 300, 3), np.uint8)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert math.isnan(metric(image, image))
    image = np.zeros((176, 176, 3), np.uint8)
    assert ms_ssim(image, image) == 1
    assert decibels(1) == math.inf
    assert decibels(0.99) == pytest.approx(20)
    assert math.isnan(decibels(math.nan))


@pytest.mark.parametrize("name", METRICS)
def test_from_a_curve_back_to_the_value(name: str) -> None:
    for value in (0.31, 0.9, 0.999):
        assert METRICS[name].from_curve(METRICS[name].curve(value)) == pytest.approx(value)


def test_bd_rate_of_a_constant_factor() -> None:
    anchor = [Point(0.1 * 2**k, 25 + 3 * k) for k in range(6)]
    assert bd_rate(anchor, anchor) == pytest.approx(0)
    assert bd_rate(anchor, [Point(0.7 * p.bpp, p.psnr) for p in anchor]) == pytest.approx(-30)
    # Only the range that both cover counts.
    found = delta(Curve(anchor), Curve(Point(0.7 * p.bpp, p.psnr) for p in anchor[2:5]))
    assert (found.rate, found.low, found.high) == pytest.approx((-30, 31, 37))


def test_bd_psnr_of_a_constant_gain() -> None:
    anchor = [Point(0.1 * 2**k, 25 + 3 * k) for k in range(6)]
    assert delta(Curve(anchor), Curve(Point(p.bpp, p.psnr + 1.5) for p in anchor)).gain == pytest.approx(1.5)
    apart = delta(Curve(anchor), Curve(Point(p.bpp / 100, p.psnr) for p in anchor))
    assert apart.rate == pytest.approx(-99)
    assert math.isnan(apart.gain)


def test_curves_that_cannot_be_compared() -> None:
    low, high = [Point(1, 20), Point(2, 21)], [Point(1, 30), Point(2, 31)]
    with pytest.raises(ValueError, match="overlap"):
        bd_rate(low, high)
    for falling in ([Point(1, 20), Point(2, 20)], [Point(1, 21), Point(2, 20)], [Point(1, 20), Point(1, 21)]):
        with pytest.raises(ValueError, match="does not rise"):
            bd_rate(low, falling)
    with pytest.raises(ValueError, match="two points"):
        Curve([Point(1, 20), Point(2, math.inf), Point(3, math.nan)])


def test_partner_values_lie_on_the_curve() -> None:
    curve = Curve([Point(2, 40), Point(0.5, 34), Point(1, 37)])
    assert curve.value_at(1) == pytest.approx(37)
    assert curve.rate_at(34) == pytest.approx(0.5)
    assert curve.rate_at(curve.value_at(0.8)) == pytest.approx(0.8, rel=1e-3)
    for outside in (curve.value_at(0.4), curve.value_at(2.1), curve.rate_at(33.9), curve.rate_at(41)):
        assert math.isnan(outside)


PUBLISHED = {
    "HPCM-Large": (-70.3, 28.9, 37.7),
    "DCAE": (-68.8, 29.2, 37.9),
    "ELIC": (-65.4, 29.1, 37.6),
    "Cool-chic 5.0": (-64.9, 27.4, 40.6),
    "vtm (9.1, 4:4:4)": (-64.2, 26.1, 40.6),
    "cheng2020-anchor": (-62.6, 28.6, 36.7),
    "av1 (libaom, about 2020)": (-58.3, 25.6, 40.6),
    "EVC-S": (-57.6, 32.3, 37.4),
    "shallow 2-layer + SGA": (-55.5, 27.9, 39.3),
    "mbt2018-mean": (-54.2, 27.7, 40.6),
    "mbt2018-mean, one variable-rate model": (-53.2, 27.7, 40.6),
    "shallow 2-layer": (-51.4, 27.3, 38.8),
    "bmshj2018-hyperprior": (-50.9, 27.6, 40.6),
    "AVIF speed 4, 4:4:4 (Pillow 13)": (-48.6, 27.1, 40.6),
    "AVIF speed 6, 4:2:0 (Pillow 13)": (-45.1, 26.8, 40.6),
    "bmshj2018-factorized": (-39.2, 26.9, 39.6),
    "WebP method 6 (Pillow 13)": (-33.5, 27.0, 40.6),
    "JPEG XL effort 7 (pillow-jxl-plugin 1.3.8)": (-26.1, 28.9, 40.6),
    "JPEG 4:4:4 optimised progressive (Pillow 13)": (8.3, 24.0, 40.6),
}
"""BD-rate in percent against the reference JPEG on Kodak and the range of PSNR it is over, worked out independently."""


@pytest.mark.parametrize("codec", PUBLISHED)
def test_known_bd_rates(codec: str) -> None:
    curves = {anchor.codec: anchor.curve for anchor in anchors()}
    found = delta(curves["JPEG 4:2:0 optimised progressive (Pillow 13)"], curves[codec])
    rate, low, high = PUBLISHED[codec]
    assert found.rate == pytest.approx(rate, abs=0.5)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1)


def test_a_point_counts_the_whole_file() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    jpeg = make_codec("jpeg")
    good, bad = rd_point(jpeg, noise, 95), rd_point(jpeg, noise, 10)
    assert good.bpp == 8 * len(jpeg.encode(noise, 95)) / 64**2
    assert good.bpp > 6 > bad.bpp > 0.5
    assert good.psnr > bad.psnr
    assert mean_point([good, bad]).bpp == pytest.approx((good.bpp + bad.bpp) / 2)
