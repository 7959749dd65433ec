"""The two ways to code a file, and which of them takes less time."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from ..bitstream.container import Header
from ..bitstream.errors import InputError
from .config import ROUNDS
from .device import check_device
from .files import FileCoder, check_effort
from .image import Picture

LIGHT_PIXELS = 2**21
"""numpy takes as long to decode so many pixels as torch for its import and a tenth of that."""

_lightly = 0
"""How many pixels numpy has decoded in this process, or what took as long."""


def load_decoder(device: str, header: Header, files: int = 1) -> FileCoder:
    """What decodes a file on a device: with numpy, as long as torch is not imported and would take longer for that than
    numpy takes in all; with torch otherwise. The pixels are the same. files: how many of about that size there are.

    Raises as `pipeline.load_codec`, and InputError for CUDA without torch.
    """
    return _load(device, header.width * header.height, files, header.fingerprint)


def load_encoder(device: str, picture: Picture, effort: int, *, codings: int = 1, files: int = 1) -> FileCoder:
    """What encodes a picture so many times, likewise. Raises InputError for an effort out of range, too."""
    rounds = ROUNDS[check_effort(effort) - 1]
    # Encoding at once takes about as long as decoding; a round takes prior, synthesis and analysis again.
    return _load(device, picture.width * picture.height * (1 + 2 * rounds) * codings, files, None)


def _load(device: str, pixels: int, files: int, fingerprint: bytes | None) -> FileCoder:
    global _lightly
    check_device(device)
    light = "torch" not in sys.modules and max(_lightly + pixels, files * pixels) <= LIGHT_PIXELS
    missing = find_spec("torch") is None
    if missing and device == "cuda":
        raise InputError("device cuda needs torch: pip install 'cae-codec[torch]'")
    if device != "cuda" and (light or missing):
        from .light.networks import load_light

        _lightly += pixels
        return load_light(fingerprint)
    from .pipeline import load_codec

    return load_codec(device, fingerprint)
