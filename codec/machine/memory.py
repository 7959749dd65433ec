"""How much memory there is, and what becomes of a lack of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...bitstream.errors import MemoryLimitError

CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how many bytes a container may have: a number, or "max"."""


def machine_memory() -> int:
    """Bytes that this machine or container has; 8 GiB where the system does not tell, as Windows does not."""
    if not hasattr(os, "sysconf"):
        return 2**33
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(memory, int(CONTAINER.read_text()))
    except (OSError, ValueError):
        return memory


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns a lack of memory, of which torch and numpy have several forms, into a MemoryLimitError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's are RuntimeErrors; oneDNN says the second where it has no room for its code.
        words = ("memory", "could not create a primitive")
        if not isinstance(error, MemoryError) and not any(part in str(error) for part in words):
            raise
        raise MemoryLimitError("the memory of this machine does not suffice") from error
