"""The codec by torch, on a CPU or by CUDA."""

from __future__ import annotations

import functools

from .device import resolve_device
from .files import FileCoder
from .installed import find_weights
from .tensors.checkpoint import load_frozen
from .tensors.exact import check_sums
from .tensors.frozen import FrozenModel
from .tensors.networks import TensorNetworks


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
