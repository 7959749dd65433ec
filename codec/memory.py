"""What becomes of a lack of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..bitstream.errors import MemoryLimitError


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
