"""Names of the devices that networks run on."""

from __future__ import annotations

from ...bitstream.errors import InputError


def check_device(device: str) -> None:
    """Raises InputError for a device other than "auto", "cpu" or "cuda"."""
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, not {device}")


def resolve_device(device: str) -> str:
    """The device, "cpu" or "cuda", that a name means here; "auto" is CUDA where torch finds a device for it.

    Raises InputError for another name, or for "cuda" without a device.
    """
    import torch  # not at the top: `check_device` is called where torch need not be installed

    check_device(device)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but torch finds no CUDA device")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
