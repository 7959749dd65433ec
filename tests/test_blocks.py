"""Where a picture's error is: the worst block and the percentile, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cae.codec.evaluation.blocks import BlockErrors, block_errors, block_means, worst_of
from cae.codec.model.distortion import psnr

Bytes = npt.NDArray[np.uint8]


def grey(height: int, width: int) -> Bytes:
    return np.full((height, width, 3), 100, np.uint8)


def test_one_broken_block_among_many() -> None:
    original, decoded = grey(320, 320), grey(320, 320)
    decoded += 1  # an error of 1 everywhere: 400 blocks
    decoded[48:64, 160:176] = 121
    mean = (399 + 21**2) / 400
    found = block_errors(original, decoded)
    assert found is not None
    assert (found.x, found.y, found.mse) == (160, 48, 21**2)
    assert found.ratio == pytest.approx(21**2 / mean)
    assert found.psnr == pytest.approx(psnr(original[48:64, 160:176], decoded[48:64, 160:176]))
    # The 99.9th of 100 parts of the way from the first to the last of 400 sorted blocks: 0.601 between the last two.
    assert found.tail == pytest.approx((1 + 0.601 * (21**2 - 1)) / mean)
    assert found.rectangle(320, 320) == (160, 48, 16, 16)


def test_a_block_off_the_grid_counts_in_those_it_touches() -> None:
    original, decoded = grey(64, 64), grey(64, 64)
    decoded[8:24, 20:36] += 10
    means = block_means(original, decoded)
    assert means.shape == (4, 4)
    assert means[0, 1] == pytest.approx(100 * 8 * 12 / 256)
    assert means[1, 2] == pytest.approx(100 * 8 * 4 / 256)
    found = block_errors(original, decoded)
    assert found is not None
    assert (found.x, found.y) == (16, 0)  # as bad as the one beneath: the first
    assert found.ratio == pytest.approx(96 / 256 * 16)


def test_blocks_that_the_edges_cut_count_over_their_own_pixels() -> None:
    original, decoded = grey(33, 50), grey(33, 50)
    decoded[32, 48:] += 4  # the corner: two pixels
    means = block_means(original, decoded)
    assert means.shape == (3, 4)
    assert means[2, 3] == 16
    assert means.sum() == 16
    found = block_errors(original, decoded)
    assert found is not None
    assert (found.x, found.y) == (48, 32)
    assert found.ratio == pytest.approx(33 * 50 / 2)
    assert found.rectangle(50, 33) == (48, 32, 2, 1)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (7, 40)])
def test_an_even_error_has_a_ratio_of_one(size: tuple[int, int]) -> None:
    found = block_errors(grey(*size), grey(*size) + 3)
    assert found == BlockErrors(1, 0, 0, 9, 1)


def test_the_largest_errors_do_not_overflow() -> None:
    found = block_errors(np.zeros((16, 4096, 3), np.uint8), np.full((16, 4096, 3), 255, np.uint8))
    assert found == BlockErrors(1, 0, 0, 255**2, 1)


def test_equal_pictures_have_no_worst_block(photo: Bytes) -> None:
    assert block_errors(photo, photo) is None


def test_the_worst_of_several_pictures() -> None:
    small, large = BlockErrors(2, 0, 0, 900, 1.5), BlockErrors(3, 16, 0, 9, 1.5)
    found = worst_of([("a", None), ("b", small), ("c", large), ("d", large)])
    assert found is not None
    assert (found.image, found.errors) == ("c", large)  # relative to its picture
    assert worst_of([("a", None)]) is None
