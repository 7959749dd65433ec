"""The device that networks run on, and what becomes of a lack of memory there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..bitstream.errors import InputError, MemoryLimitError


def resolve_device(device: str) -> str:
    """ "auto" (CUDA where there is one), "cpu" or "cuda" -> "cpu" or "cuda".

    Raises InputError for another device or one that is not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, not {device}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but torch finds no CUDA device")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns a lack of memory, of which torch and numpy have several forms, into a MemoryLimitError."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise MemoryLimitError("the memory of this machine does not suffice") from error
    except RuntimeError as error:
        # What torch raises on a CPU has no type of its own; oneDNN says the second where it has no room for its code.
        if not any(words in str(error) for words in ("memory", "could not create a primitive")):
            raise
        raise MemoryLimitError("the memory of this machine does not suffice") from error
