"""What every measured codec is to `cae rd-curve`."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ...bitstream.errors import InputError
from ..model.arrays import Pixels


class UnavailableCodecError(InputError):
    """A codec that needs something which is not here; the message says what."""


class Scale(NamedTuple):
    """The quality settings of a codec: low, low + step, ... up to high; files grow with them."""

    low: float
    high: float
    step: float


class ImageCodec(Protocol):
    """What is measured: images to files and back.

    name: the word it is asked for by. settings: all that decides the bytes of a file besides image and quality, as
    strings and numbers. qualities: those that are measured by default, chosen so that photographs take 0.12 to 2 bpp,
    as far as the codec goes.
    """

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def scale(self) -> Scale: ...
    @property
    def qualities(self) -> tuple[float, ...]: ...

    def encode(self, image: Pixels, quality: float) -> bytes:
        """uint8 RGB [H, W, 3] -> a whole file."""

    def decode(self, data: bytes) -> Pixels:
        """A whole file -> uint8 RGB [H, W, 3]."""
