"""The interface of a codec that `cae rd-curve` measures."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ...bitstream.errors import InputError
from ..model.arrays import Pixels


class UnavailableCodecError(InputError):
    """A package, library or weights that a codec needs are not installed; the message says which."""


class Scale(NamedTuple):
    """The quality settings of a codec: low, low + step, ... up to high. The larger, the larger the files."""

    low: float
    high: float
    step: float


class ImageCodec(Protocol):
    """A codec: images to files and back.

    name: the word it is asked for by. settings: all that decides the bytes of a file besides image and quality, as
    strings and numbers. scale: the qualities there are. qualities: those that are measured by default, chosen so that
    photographs take 0.12 to 2 bpp, as far as the codec goes."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...
    @property
    def scale(self) -> Scale: ...
    @property
    def qualities(self) -> tuple[float, ...]: ...

    def encode(self, image: Pixels, quality: float) -> bytes:
        """Encodes uint8 RGB [H, W, 3] to a whole file."""

    def decode(self, data: bytes) -> Pixels:
        """Decodes a whole file to uint8 RGB [H, W, 3]."""
