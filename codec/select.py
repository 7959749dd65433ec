"""Selects what codes a file, the kernels or numpy on a CPU or torch on a GPU, by which takes least time, its start
included."""

from __future__ import annotations

import functools
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ..bitstream.errors import InputError
from ..bitstream.header import Header
from .backends.kernels.instructions import levels
from .backends.networks import fastest, on_cpu, restoring_on_cpu
from .codec import FileCoder
from .encode.options import EncodeOptions
from .encode.rate_control import MAX_CODINGS
from .image.picture import Picture
from .machine.device import check_device, resolve_device
from .model.integer_weights import load_integers, load_restoration
from .model.weights import find_weights
from .options import ROUNDS
from .restore.restorer import Restorer

ARRAY_PIXELS, KERNEL_PIXELS = 2**21, 2**24
"""Pixels that numpy alone, or the compiled kernels, decode in the time that torch's import and a GPU's start take."""

_pixels_on_cpu = 0
"""Pixels coded on the CPU in this process, those of an encoder once for each of its passes over the picture."""


def load_decoder(device: str, header: Header, files: int = 1) -> FileCoder:
    """A decoder for a file. All give the same pixels.

    device: "cpu" is the compiled kernels, or numpy where there are none; "cuda" is torch on a GPU; "auto" takes a GPU
    where there is one, torch is installed, and its import and the GPU's start take less time than the CPU would in all.
    files: how many files of about this size are to be decoded. Raises InputError for another device, for one that is
    not there, and for CUDA without torch; WeightsError.
    """
    check_device(device)
    return _load(device, header.width * header.height, files, header.fingerprint)


def load_encoder(picture: Picture, options: EncodeOptions, files: int = 1) -> FileCoder:
    """An encoder for a picture on the options' device, which is chosen as `load_decoder` does. files: how many pictures
    of about this size are to be encoded. Raises as `load_decoder`."""
    # Encoding once takes about as long as decoding; each of its iterations runs prior, synthesis and analysis again.
    passes = (1 + 2 * ROUNDS[options.effort - 1]) * (MAX_CODINGS if options.has_target else 1)
    return _load(options.device, picture.width * picture.height * passes, files, None)


def load_restorer(device: str) -> Restorer:
    """What restores pictures, loaded once: on a GPU where `device` is "cuda", otherwise on the CPU, which is done with
    a picture or two before a GPU has started. Raises InputError for another device, for one that is not there, and for
    CUDA without torch; WeightsError."""
    check_device(device)
    if device == "cuda":
        _check_torch()
    return _load_restorer(device == "cuda")


@functools.cache
def _load_restorer(on_gpu: bool) -> Restorer:
    if not on_gpu:
        return Restorer(restoring_on_cpu(load_restoration()))
    from .torch_codec import restoring_networks

    return Restorer(restoring_networks("cuda"))


def load_on_cpu(fingerprint: bytes | None = None, level: str | None = None) -> FileCoder:
    """A codec without torch, loaded once. fingerprint: that of installed weights; None takes those for new files.
    level: "numpy", or the instructions of the kernels, one of `instructions.levels`; by default the fastest there is.
    Raises WeightsError."""
    return _load_on_cpu(fingerprint or find_weights().fingerprint, level or fastest())


@functools.cache
def _load_on_cpu(fingerprint: bytes, level: str) -> FileCoder:
    weights, _ = load_integers(fingerprint=fingerprint)
    return FileCoder(on_cpu(weights, level), fingerprint)


def may_take_gpu(device: str) -> bool:
    """Whether "cpu", "cuda" or "auto" asks for a GPU or may find one, as far as can be told without importing torch."""
    return device == "cuda" or (device == "auto" and _has_torch() and _may_have_gpu())


def _load(device: str, pixels: int, files: int, fingerprint: bytes | None) -> FileCoder:
    global _pixels_on_cpu
    if device == "cuda":
        _check_torch()
    if may_take_gpu(device) and (device == "cuda" or _gpu_pays(pixels, files)):
        from .torch_codec import load_codec

        return load_codec(device, fingerprint)
    _pixels_on_cpu += pixels
    return load_on_cpu(fingerprint)


def _gpu_pays(pixels: int, files: int) -> bool:
    most = KERNEL_PIXELS if levels() else ARRAY_PIXELS
    worth_it = "torch" in sys.modules or max(_pixels_on_cpu + pixels, files * pixels) > most
    return worth_it and resolve_device("auto") == "cuda"


def _check_torch() -> None:
    if not _has_torch():
        raise InputError(
            'device cuda needs the extra "torch", to be installed as the package was: pip install ".[torch]"'
        )


def _has_torch() -> bool:
    return find_spec("torch") is not None


def _may_have_gpu() -> bool:
    """Whether there is a device of NVIDIA's or AMD's driver, of Windows' under its Linux, or NVIDIA's library under
    Windows itself. Only torch knows whether it works."""
    library = Path(os.environ.get("SYSTEMROOT", "")) / "System32" / "nvcuda.dll"
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", library))
