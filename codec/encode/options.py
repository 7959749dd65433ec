"""What is asked of an encoder: one set of options for Python, the command line and Pillow."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Integral, Real

from ...bitstream.errors import InputError
from ...bitstream.limits import DEFAULT_MAX_PIXELS
from ..machine.device import check_device
from ..model.rate import rate_index_of
from ..options import DEFAULT_EFFORT, ROUNDS

TARGETS = ("target_size", "target_bpp", "target_psnr")
PATCHES = ("auto", "off", "all")


@dataclass(frozen=True)
class EncodeOptions:
    """How a picture is to be encoded. Raises InputError for what is out of range, and for more than one target.

    quality: 0 (smallest file) to 100 (best picture), without meaning where there is a target: target_size, in bytes, or
    target_bpp, in bits per pixel, of the whole file at most; target_psnr, in dB, of its pixels at least.
    effort: 1 (fastest) to 9 (fewest bits for a picture as good). patches: "auto" codes parts without loss, or below
    quality 60 in fewer colours, where that is better, as it is for text and drawings, "off" none, "all" the whole
    picture without loss, whatever the quality. strip: leave out
    the metadata. exact: keep the colours of fully transparent pixels. device: auto, cpu or cuda. max_pixels: larger
    images are refused before they are read.
    """

    quality: float = 50
    target_size: int | None = None
    target_bpp: float | None = None
    target_psnr: float | None = None
    effort: int = DEFAULT_EFFORT
    patches: str = "auto"
    strip: bool = False
    exact: bool = False
    device: str = "auto"
    max_pixels: int = DEFAULT_MAX_PIXELS

    def __post_init__(self) -> None:
        given = [name for name in TARGETS if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"give {' or '.join(given)}, not both")
        for name in given:
            if not isinstance(getattr(self, name), Real):
                raise InputError(f"{name} is a number, not {getattr(self, name)!r}")
        if not isinstance(self.max_pixels, Integral):
            raise InputError(f"max_pixels is a whole number, not {self.max_pixels!r}")
        if not given:
            rate_index_of(self.quality)
        if self.target_size is not None and not 1 <= self.target_size < math.inf:
            raise InputError(f"a size is at least 1 byte, not {self.target_size}")
        if self.target_bpp is not None and not 0 < self.target_bpp < math.inf:
            raise InputError(f"a rate is a positive number of bits per pixel, not {self.target_bpp}")
        if self.target_psnr is not None and not math.isfinite(self.target_psnr):
            raise InputError(f"a PSNR is a number of dB, not {self.target_psnr}")
        if not isinstance(self.effort, Integral) or not 1 <= self.effort <= len(ROUNDS):
            raise InputError(f"the effort is a whole number from 1 to {len(ROUNDS)}, not {self.effort!r}")
        if self.patches not in PATCHES:
            raise InputError(f"patches are one of {', '.join(PATCHES)}, not {self.patches!r}")
        if self.patches == "all" and given:
            raise InputError(f"a file without loss has no {given[0]}")
        check_device(self.device)

    @property
    def has_target(self) -> bool:
        """Whether a quality is to be searched that reaches a size, rate or PSNR."""
        return any(getattr(self, name) is not None for name in TARGETS)

    def at(self, quality: float) -> EncodeOptions:
        """These options with another quality and no target."""
        return replace(self, quality=quality, **dict.fromkeys(TARGETS))  # type: ignore[arg-type]
