"""Encoding as options ask: at a quality, or to a wanted size or PSNR, by a search over the rate indices, each trial a
whole coding."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from ...bitstream.errors import TargetError
from ..decode.decoder import Progress, silent
from ..image.metadata import Metadata
from ..image.picture import Picture, grey_if_equal, to_rgb
from ..image.transparency import clear_transparent
from ..model.config import ROWS
from ..model.distortion import psnr
from ..model.rate import quality_of
from .options import EncodeOptions

MAX_CODINGS = 8
"""How many times a search codes the picture at most."""

BYTES_SLOPE = 0.018
PSNR_SLOPE = 0.075
"""About how much the natural logarithm of a file's size, and its PSNR in dB, rise from a rate index to the next: the
first guesses of a search step by them."""


class WholeCodec(Protocol):
    """What encodes and decodes whole files, such as `codec.FileCoder`."""

    def encode_pictures(
        self, pictures: Sequence[Picture], options: EncodeOptions, progress: Progress = ...
    ) -> list[bytes]:
        """A file of each picture, at the quality of the options."""

    def decode(self, data: bytes, *, max_pixels: int) -> Picture:
        """The picture in a file."""


class Coded(NamedTuple):
    """A file, its quality, how many codings the search took, and a remark if all files miss the target by far."""

    data: bytes
    quality: float
    codings: int
    note: str = ""


def prepare(picture: Picture, options: EncodeOptions) -> Picture:
    """The picture as options want it coded: with `strip` without its metadata, and unless `exact`, with smooth colours
    under fully transparent pixels."""
    picture = replace(picture, metadata=Metadata()) if options.strip else picture
    return grey_if_equal(picture if options.exact else clear_transparent(picture))


def encode(codec: WholeCodec, picture: Picture, options: EncodeOptions, progress: Progress = silent) -> Coded:
    """The file of a picture that `prepare` has returned, at the options' quality or for their target. progress: of the
    tiles, where there is no target. Raises TargetError for one out of reach, ImageSizeError, MemoryLimitError."""
    if options.target_psnr is not None:
        return encode_to_psnr(codec, picture, options.target_psnr, options)
    size = options.target_size
    if options.target_bpp is not None:
        size = max(1, int(options.target_bpp * picture.width * picture.height / 8))
    if size is not None:
        return encode_to_size(codec, picture, size, options)
    return Coded(codec.encode_pictures([picture], options, progress)[0], options.quality, 1)


def encode_to_size(codec: WholeCodec, picture: Picture, limit: int, options: EncodeOptions) -> Coded:
    """The best file of at most `limit` bytes, metadata and alpha plane among them.

    Raises TargetError if the smallest file is larger. `note` says where the largest one is below 97 % of the limit.
    """
    files: dict[int, bytes] = {}

    def excess(rate_index: int) -> float:
        (files[rate_index],) = codec.encode_pictures([picture], options.at(quality_of(rate_index)))
        return math.log(len(files[rate_index]) / limit)

    below, _ = bracket(excess, BYTES_SLOPE)
    if below is None:
        smallest = min(files)
        raise TargetError(
            f"{limit:,} bytes cannot be reached: quality {quality_of(smallest):g} takes {len(files[smallest]):,}"
        )
    note = ""
    if below == ROWS - 1 and len(files[below]) < 0.97 * limit:
        note = f"quality 100 takes only {len(files[below]):,} of {limit:,} bytes"
    return Coded(files[below], quality_of(below), len(files), note)


def encode_to_psnr(codec: WholeCodec, picture: Picture, target: float, options: EncodeOptions) -> Coded:
    """The smallest file whose decoded 8-bit pixels have at least this PSNR, in dB.

    Raises TargetError if the best file stays below. `note` says where the smallest one is more than 1 dB above.
    """
    files: dict[int, bytes] = {}
    reached: dict[int, float] = {}
    pixels = to_rgb(picture.pixels) if picture.as_rgb else picture.pixels

    def excess(rate_index: int) -> float:
        (files[rate_index],) = codec.encode_pictures([picture], options.at(quality_of(rate_index)))
        decoded = codec.decode(files[rate_index], max_pixels=picture.width * picture.height).pixels
        reached[rate_index] = psnr(pixels, decoded)
        return reached[rate_index] - target

    _, above = bracket(excess, PSNR_SLOPE)
    if above is None:
        best = max(files)
        raise TargetError(f"{target:g} dB cannot be reached: quality {quality_of(best):g} has {reached[best]:.2f}")
    note = f"quality 0 has {reached[above]:.2f} dB already" if above == 0 and reached[above] > target + 1 else ""
    return Coded(files[above], quality_of(above), len(files), note)


def bracket(excess: Callable[[int], float], slope: float) -> tuple[int | None, int | None]:
    """Searches for the rate index at which a rising curve crosses 0, in at most MAX_CODINGS trials: the highest index
    tried whose excess is at most 0, and the lowest tried that is above. Between them at most one was not tried. None
    stands for no such index, where the end of the range was tried and lies on the other side.

    excess: rises with the rate index, by about `slope` a step. Guesses go by the slope at first, then between the two
    nearest trials, by interpolation, or halfway where that creeps. However the curve bends, so many trials are left as
    it takes to halve what remains.
    """
    low, high = -1, ROWS  # outside the range
    values: dict[int, float] = {}
    rate_index = ROWS // 2
    above: bool | None = None
    for trial in range(MAX_CODINGS):
        values[rate_index] = excess(rate_index)
        was_above, above = above, values[rate_index] > 0
        low, high = (low, rate_index) if above else (rate_index, high)
        if high - low == 1:
            break
        if low in values and high in values:
            share = -values[low] / (values[high] - values[low])
            # Where the last two trials lay on one side, the curve bends, and the share creeps.
            guess = (low + high) / 2 if above == was_above else low + share * (high - low)
        else:
            # A slope that is too steep shows in the next trial. A PSNR may be infinite.
            guess = rate_index - min(max(values[rate_index] / slope, -ROWS), ROWS) * 2**trial
        # What lies on either side of it must not be more than the trials after it can halve down to 2, or to 1
        # at an end.
        halved = 2 ** (MAX_CODINGS - 1 - trial)
        most_below, most_above = halved - (low not in values), halved - (high not in values)
        rate_index = min(max(round(guess), low + 1, high - most_above), high - 1, low + most_below)
    return (low if low in values else None), (high if high in values else None)
