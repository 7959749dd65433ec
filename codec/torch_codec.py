"""The codec by torch, on a CPU or by CUDA."""

from __future__ import annotations

import functools

from .backends.networks import IntegerNetworks
from .backends.torch_exact import check_sums
from .backends.torch_layers import TorchLayers
from .codec import FileCoder
from .machine.device import resolve_device
from .model.integer_weights import IntegerWeights, load_integers
from .model.weights import find_weights


class Codec(FileCoder):
    """Integer networks on a device, which code whole files. `load_codec` makes it of the installed ones."""

    def __init__(self, weights: IntegerWeights, fingerprint: bytes, device: str = "cpu") -> None:
        check_sums(device)
        super().__init__(IntegerNetworks(weights, TorchLayers(weights, device)), fingerprint, device)


def load_codec(device: str = "auto", fingerprint: bytes | None = None) -> Codec:
    """An installed model on a device, loaded once for each: the one with this fingerprint, or the one for new files if
    None. Raises as `resolve_device`, InputError, WeightsError."""
    return _load_codec(resolve_device(device), fingerprint or find_weights().fingerprint)


@functools.cache
def _load_codec(device: str, fingerprint: bytes) -> Codec:
    return Codec(*load_integers(fingerprint=fingerprint), device)
