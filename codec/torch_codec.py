"""The codec by torch, on a CPU or by CUDA."""

from __future__ import annotations

import functools

from .backends.tensors.checkpoint import load_frozen
from .backends.tensors.exact import check_sums
from .backends.tensors.frozen import FrozenModel
from .backends.tensors.networks import TensorNetworks
from .codec import FileCoder
from .machine.device import resolve_device
from .model.weights import find_weights


class Codec(FileCoder):
    """A model on a device, which codes whole files. Make it by `load_codec`."""

    def __init__(self, model: FrozenModel, fingerprint: bytes, device: str = "cpu") -> None:
        check_sums(device)
        self.model = model.to(device)
        super().__init__(TensorNetworks(self.model), fingerprint, device)


def load_codec(device: str = "auto", fingerprint: bytes | None = None) -> Codec:
    """An installed model on a device, loaded once for each: the one with this fingerprint, or the one for new files if
    None. Raises as `resolve_device`, InputError, WeightsError."""
    return _load_codec(resolve_device(device), fingerprint or find_weights().fingerprint)


@functools.cache
def _load_codec(device: str, fingerprint: bytes) -> Codec:
    return Codec(*load_frozen(fingerprint=fingerprint), device)
