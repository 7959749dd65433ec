"""Atomic writing: a file is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_file(output: Path, data: bytes) -> None:
    """Writes data to a temporary file beside `output` and renames it, so that `output` never holds a part of the data.
    A pipe or a device is written to directly.

    A link is followed, and a file that exists keeps its permissions. Raises OSError; whatever goes wrong, an interrupt
    included, no temporary file is left and an older file is as it was.
    """
    if is_stream(output):
        output.write_bytes(data)
        return
    with new_file(output) as file:
        file.write(data)


@contextmanager
def new_file(output: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file to be written in pieces, and renames it to `output` when the block ends without an
    exception; otherwise removes it. Links, permissions and errors are as in `write_file`."""
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
    """The path that is reached by following all links of `output`."""
    return Path(os.path.realpath(output))


def is_stream(output: Path) -> bool:
    """Whether a path is something other than a file, such as a device or a pipe, which cannot be replaced."""
    return output.exists() and not output.is_file()
