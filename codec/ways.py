"""The two ways to decode a file, and which of them takes less time."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from ..bitstream.container import Header
from .decoder import Decoder

LIGHT_PIXELS = 2**21
"""numpy takes as long for so many pixels as torch for its import and a tenth of that."""

_lightly = 0
"""How many pixels numpy has decoded in this process."""


def load_decoder(device: str, header: Header, files: int = 1) -> Decoder:
    """What decodes a file on a device: with numpy, as long as torch is not imported and would take longer for that than
    numpy takes in all; with torch otherwise. The pixels are the same. files: how many of about that size there are.

    Raises as `load_codec`.
    """
    global _lightly
    pixels = header.width * header.height
    light = "torch" not in sys.modules and max(_lightly + pixels, files * pixels) <= LIGHT_PIXELS
    if device in ("auto", "cpu") and (light or find_spec("torch") is None):
        from .light import load_light

        _lightly += pixels
        return Decoder(load_light(header.fingerprint), header.fingerprint)
    from .pipeline import load_codec

    return load_codec(device, header.fingerprint)
