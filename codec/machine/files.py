"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_file(output: Path, data: bytes) -> None:
    """Writes by way of a temporary file beside it, so that `output` never holds a part of the data.

    A link is followed, and a file that exists keeps its permissions. Raises OSError; whatever goes wrong, an
    interrupt included, nothing is left behind and an older file is as it was.
    """
    if is_stream(output):
        output.write_bytes(data)
        return
    with new_file(output) as file:
        file.write(data)


@contextmanager
def new_file(output: Path) -> Iterator[BinaryIO]:
    """What `write_file` writes to, put in place of `output` at the end: for what comes in pieces."""
    target = link_target(output)
    temporary = target.with_name(f".cae-{secrets.token_hex(8)}.tmp")
    try:
        # Mode "x" makes a new file, with the permissions that any new file gets.
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def link_target(output: Path) -> Path:
    """The file that a path stands for once links are followed."""
    return Path(os.path.realpath(output))


def is_stream(output: Path) -> bool:
    """A device or a pipe, which cannot be replaced."""
    return output.exists() and not output.is_file()
