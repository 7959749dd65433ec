"""The codec with torch as its back end, on a CPU or a CUDA device."""

from __future__ import annotations

import functools
from typing import Any

from .backends.networks import IntegerNetworks, RestoringNetworks
from .backends.torch_exact import check_sums
from .backends.torch_layers import TorchLayers
from .codec import FileCoder
from .machine.device import resolve_device
from .model.integer_weights import IntegerWeights, load_integers, load_restoration
from .model.weights import find_weights


class Codec(FileCoder):
    """Codes whole files with integer networks that torch calculates on "cpu" or "cuda". `load_codec` makes one of
    installed weights."""

    def __init__(self, weights: IntegerWeights, fingerprint: bytes, device: str = "cpu") -> None:
        check_sums(device)
        super().__init__(IntegerNetworks(weights, TorchLayers(weights, device)), fingerprint, device)


def restoring_networks(device: str) -> RestoringNetworks[Any]:
    """The networks that restore, of the installed weights, on a device. Raises InputError for one that is not there,
    WeightsError."""
    resolved = resolve_device(device)
    check_sums(resolved)
    restoration = load_restoration()
    return RestoringNetworks(restoration, TorchLayers(restoration.weights, resolved))


def load_codec(device: str = "auto", fingerprint: bytes | None = None) -> Codec:
    """A codec on a device, "auto", "cpu" or "cuda", loaded once for each. fingerprint: that of installed weights; None
    takes those for new files. Raises InputError for another device or one that is not there, WeightsError."""
    return _load_codec(resolve_device(device), fingerprint or find_weights().fingerprint)


@functools.cache
def _load_codec(device: str, fingerprint: bytes) -> Codec:
    return Codec(*load_integers(fingerprint=fingerprint), device)
