"""Exact float32 arithmetic in torch, on every device, whatever lower precision the program has allowed elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import torch

from ...bitstream.errors import WeightsError
from ..machine.threads import lock_across_forks
from .torch_parts import pointwise

_lock = lock_across_forks()
_inside = 0
"""How many contexts of exact arithmetic are open, in all threads."""
_before: list[Callable[[], None]] = []
"""Functions that restore the settings that the process had before the first of these contexts."""


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """A context in which float32 products are float32's: TF32, bfloat16 and autocast are off inside, and restored at
    the end, as is cuDNN, which could choose a Winograd or FFT algorithm. Without gradients.

    Some of the settings are the process's: they hold as long as any thread is inside, and what another thread sets
    meanwhile is lost.
    """
    global _inside
    with ExitStack() as stack:
        with _lock:
            settings = _process_settings()
            if not _inside:
                _before[:] = [partial(write, read()) for read, write, _ in settings]
            _inside += 1
            stack.callback(_leave)
            for _, write, value in settings:
                write(value)
        for device in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.inference_mode())
        yield


def _process_settings() -> list[tuple[Callable[[], Any], Callable[[Any], None], Any]]:
    """The settings of the process: for each a function that reads it, one that writes it, and its value for exact
    arithmetic."""
    cudnn: Any = torch.backends.cudnn
    attributes: list[tuple[Any, str, Any]] = [(cudnn, "enabled", False)]
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch >= 2.9
        mkldnn: Any = torch.backends.mkldnn
        backends = (mkldnn.matmul, mkldnn.conv, torch.backends.cuda.matmul)
        attributes += [(backend, "fp32_precision", "ieee") for backend in backends]
        functions = []
    else:
        functions = [(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest")]
    return [
        *functions,
        *((partial(getattr, o, name), partial(setattr, o, name), value) for o, name, value in attributes),
    ]


def _leave() -> None:
    """Restores the settings of the process if the last context of exact arithmetic ends."""
    global _inside
    with _lock:
        _inside -= 1
        if not _inside:
            for restore in _before:
                restore()


@cache
def check_sums(device: str) -> None:
    """Raises WeightsError if float32 sums on a device, "cpu" or "cuda", are not exact after all, as when an environment
    variable has oneDNN calculate them in bfloat16."""
    x, weight = torch.full((64, 192), 1023.0), torch.full((192, 192), 85.0)
    x[1::2], weight[1::2] = 1021, -83
    with exact_arithmetic():
        found = pointwise(x[None, None].to(device), weight.to(device))[0, 0].cpu()
    if not torch.equal(found.double(), x.double() @ weight.double().T):
        raise WeightsError(f"sums on {device} are not exact: is ONEDNN_DEFAULT_FPMATH_MODE set?")
