"""The ways to code a file, and which of them takes least time."""

from __future__ import annotations

import functools
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ..bitstream.container import Header
from ..bitstream.errors import InputError
from .backends.kernels.instructions import levels
from .backends.networks import fastest, on_cpu
from .codec import FileCoder
from .encode.options import EncodeOptions
from .encode.rate_control import MAX_CODINGS
from .image.picture import Picture
from .machine.device import check_device, resolve_device
from .model.integer_weights import load_integers
from .model.weights import find_weights
from .options import ROUNDS

ARRAY_PIXELS, KERNEL_PIXELS = 2**21, 2**24
"""numpy by itself, or with the compiled kernels, takes as long to decode so many pixels as torch for its import and a
GPU's start."""

_pixels_on_cpu = 0
"""How many pixels have been decoded on the CPU in this process, or what took as long."""


def load_decoder(device: str, header: Header, files: int = 1) -> FileCoder:
    """What decodes a file on a device: on a CPU by the compiled kernels, or by numpy where there are none, by CUDA with
    torch. "auto" takes a GPU where there is one, torch is installed, and its import and the start of the GPU take less
    time than the CPU would in all. The pixels are the same. files: how many of about that size there are.

    Raises as `torch_codec.load_codec`, and InputError for CUDA without torch.
    """
    check_device(device)
    return _load(device, header.width * header.height, files, header.fingerprint)


def load_encoder(picture: Picture, options: EncodeOptions, files: int = 1) -> FileCoder:
    """What encodes a picture, likewise."""
    # Encoding at once takes about as long as decoding; a round takes prior, synthesis and analysis again.
    passes = (1 + 2 * ROUNDS[options.effort - 1]) * (MAX_CODINGS if options.has_target else 1)
    return _load(options.device, picture.width * picture.height * passes, files, None)


def load_on_cpu(fingerprint: bytes | None = None, level: str | None = None) -> FileCoder:
    """What codes files without torch, with the installed weights of this fingerprint, or those for new files if None;
    loaded once. level: what multiplies, "numpy" or one of `instructions.levels`; by default the fastest. Raises
    WeightsError."""
    return _load_on_cpu(fingerprint or find_weights().fingerprint, level or fastest())


@functools.cache
def _load_on_cpu(fingerprint: bytes, level: str) -> FileCoder:
    weights, _ = load_integers(fingerprint=fingerprint)
    return FileCoder(on_cpu(weights, level), fingerprint)


def may_take_gpu(device: str) -> bool:
    """Whether it is asked for, or there may be one that is worth its start."""
    return device == "cuda" or (device == "auto" and _has_torch() and _may_have_gpu())


def _load(device: str, pixels: int, files: int, fingerprint: bytes | None) -> FileCoder:
    global _pixels_on_cpu
    if device == "cuda" and not _has_torch():
        raise InputError(
            'device cuda needs the extra "torch", to be installed as the package was: pip install ".[torch]"'
        )
    if may_take_gpu(device) and (device == "cuda" or _gpu_pays(pixels, files)):
        from .torch_codec import load_codec

        return load_codec(device, fingerprint)
    _pixels_on_cpu += pixels
    return load_on_cpu(fingerprint)


def _gpu_pays(pixels: int, files: int) -> bool:
    most = KERNEL_PIXELS if levels() else ARRAY_PIXELS
    worth_it = "torch" in sys.modules or max(_pixels_on_cpu + pixels, files * pixels) > most
    return worth_it and resolve_device("auto") == "cuda"


def _has_torch() -> bool:
    return find_spec("torch") is not None


def _may_have_gpu() -> bool:
    """Whether there is a device of NVIDIA's or AMD's driver, or Windows' under its Linux, or NVIDIA's driver under
    Windows itself; to know more takes torch."""
    library = Path(os.environ.get("SYSTEMROOT", "")) / "System32" / "nvcuda.dll"
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", library))
