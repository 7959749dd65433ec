"""Inputs and outputs of the commands: files, standard streams and objects of a store."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from ..codec.machine.files import is_stream, link_target, write_file
from .remote import Place, Remote

STREAM = Path("-")
"""The path that stands for standard input or output."""


def read_input(source: Place) -> bytes:
    """Reads all of a file, or of standard input. Raises OSError."""
    return _open(sys.stdin).read() if source == STREAM else source.read_bytes()


def is_data(output: Place) -> bool:
    """Whether an output is a pipe, a device or standard output by any name, and gets nothing but data."""
    return output == STREAM or (isinstance(output, Path) and (is_stream(output) or _is_stdout(output)))


def _is_stdout(output: Path) -> bool:
    """As /dev/stdout is, where that goes to a file: it is not to be replaced by another."""
    try:
        return sys.stdout is not None and os.path.samestat(output.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # there is none, or it is none of the system's
        return False


def fill_closed_streams() -> None:
    """Opens the null device in the place of standard streams that are closed. Else the next file would get their
    number, and what libraries in C write to them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            if opened != number:
                os.close(opened)


def write_output(output: Place, data: bytes) -> None:
    """Writes a file, whole or not at all, or to standard output. Raises OSError."""
    if output == STREAM or (isinstance(output, Path) and _is_stdout(output)):
        stream = _open(sys.stdout)
        stream.write(data)
        stream.flush()
    elif isinstance(output, Remote):
        output.write_bytes(data)
    else:
        write_file(output, data)


def existing(outputs: Iterable[Place]) -> set[Place]:
    """The outputs that exist already. Raises OSError."""
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
    directory = link_target(output).parent
    if not directory.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {directory}", os.fspath(output))
    if not os.access(directory, os.W_OK) and not is_stream(output):
        raise PermissionError(errno.EACCES, f"the directory {directory} is not writable", os.fspath(output))


def utf8(text: str) -> bytes:
    """Text as UTF-8. Bytes of a file's name that are no text become escapes such as "\\udcff"."""
    return text.encode("utf-8", "backslashreplace")


def _open(stream: TextIO | None) -> BinaryIO:
    """The binary stream of a standard stream. Raises OSError for a closed one, for which Python has None."""
    if stream is None:
        raise OSError(errno.EBADF, "the standard stream is closed")
    return stream.buffer
