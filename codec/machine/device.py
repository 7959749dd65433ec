"""The device that networks run on."""

from __future__ import annotations

from ...bitstream.errors import InputError


def check_device(device: str) -> None:
    """Raises InputError for one that is not "auto", "cpu" or "cuda"."""
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, not {device}")


def resolve_device(device: str) -> str:
    """ "auto" (CUDA where there is one), "cpu" or "cuda" -> "cpu" or "cuda".

    Raises InputError for another device or one that is not there.
    """
    import torch  # not above: what codes without it checks devices, too

    check_device(device)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but torch finds no CUDA device")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
