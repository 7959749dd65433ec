"""The size of the machine's memory, and one exception for all forms of a lack of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...bitstream.errors import MemoryLimitError

CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""The file in which Linux gives a container's limit of memory: bytes, or "max"."""


def machine_memory() -> int:
    """The memory of this machine or container, in bytes; 8 GiB where the system does not tell, as under Windows."""
    if not hasattr(os, "sysconf"):
        return 2**33
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(memory, int(CONTAINER.read_text()))
    except (OSError, ValueError):
        return memory


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raises MemoryLimitError for a lack of memory inside, of which torch and numpy have several forms."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch raises RuntimeError; the second text is oneDNN's where it finds no memory for its code.
        words = ("memory", "could not create a primitive")
        if not isinstance(error, MemoryError) and not any(part in str(error) for part in words):
            raise
        raise MemoryLimitError("the memory of this machine does not suffice") from error
