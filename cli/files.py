"""Inputs, and outputs that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from .remote import Place, Remote

STREAM = Path("-")
"""Standard input or output."""


def read_input(source: Place) -> bytes:
    """All of a file, or of standard input. Raises OSError."""
    return _open(sys.stdin).read() if source == STREAM else source.read_bytes()


def write_output(output: Place, data: bytes) -> None:
    """To a file, whole or not at all, or to standard output. Raises OSError."""
    if output == STREAM:
        stream = _open(sys.stdout)
        stream.write(data)
        stream.flush()
    elif isinstance(output, Remote):
        output.write_bytes(data)
    else:
        write_file(output, data)


def existing(outputs: Iterable[Place]) -> set[Place]:
    """Those that exist already. Raises OSError."""
    places = list(outputs)
    there: set[Place] = {place for place in places if isinstance(place, Path) and place.exists()}
    # One listing of each folder instead of a question about each of a million files.
    for folder in {place.parent for place in places if isinstance(place, Remote)}:
        with suppress(FileNotFoundError):
            there |= set(folder.files(recursive=False))
    return there.intersection(places)


def check_output(output: Place, source: Place) -> None:
    """Raise OSError if `output` cannot be written, or is `source` by the same or another name."""
    if output == STREAM:
        return
    if output == source:
        raise FileExistsError(errno.EEXIST, "input and output are the same file", str(output))
    if isinstance(output, Remote):
        return
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a directory, not a file", os.fspath(output))
    if isinstance(source, Path) and output.exists() and source.exists() and output.samefile(source):
        raise FileExistsError(errno.EEXIST, "input and output are the same file", os.fspath(output))
    directory = _target(output).parent
    if not directory.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {directory}", os.fspath(output))
    if not os.access(directory, os.W_OK) and not is_stream(output):
        raise PermissionError(errno.EACCES, f"the directory {directory} is not writable", os.fspath(output))


def write_file(output: Path, data: bytes) -> None:
    """Write by way of a temporary file beside it, so that `output` never holds a part of the data.

    A link is followed, and a file that exists keeps its permissions. Raises OSError; whatever goes wrong, an
    interrupt included, nothing is left behind and an older file is as it was.
    """
    if is_stream(output):
        output.write_bytes(data)
        return
    with new_file(output) as file:
        file.write(data)


def utf8(text: str) -> bytes:
    """What a file of text holds. Names of files need not be text: their other bytes are written as "\\udcff"."""
    return text.encode("utf-8", "backslashreplace")


@contextmanager
def new_file(output: Path) -> Iterator[BinaryIO]:
    """What `write_file` writes to, put in place of `output` at the end: for what comes in pieces."""
    target = _target(output)
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


def _open(stream: TextIO | None) -> BinaryIO:
    """Raises OSError for a standard stream that is closed, for which Python has nothing."""
    if stream is None:
        raise OSError(errno.EBADF, "the standard stream is closed")
    return stream.buffer


def _target(output: Path) -> Path:
    return Path(os.path.realpath(output))


def is_stream(output: Path) -> bool:
    """A device or a pipe, which cannot be replaced."""
    return output.exists() and not output.is_file()
