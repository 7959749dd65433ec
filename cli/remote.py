"""Files that are not on this machine: whatever fsspec has a name for, such as s3://bucket/photo.png."""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


@dataclass(frozen=True)
class Remote:
    """A file or folder of a file system, with the part of pathlib.Path's interface that the commands need.

    It goes to other processes as the words that the file system was made from. Methods raise OSError, whatever the
    file system raises.
    """

    system: AbstractFileSystem
    path: str

    def __str__(self) -> str:
        return str(self.system.unstrip_protocol(self.path))

    def __truediv__(self, name: PurePath) -> Remote:
        return Remote(self.system, posixpath.join(self.path, name.as_posix()))

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """The suffix of the name, with its dot, or nothing."""
        return PurePosixPath(self.path).suffix

    @property
    def parent(self) -> Remote:
        """The folder it is in."""
        return Remote(self.system, posixpath.dirname(self.path))

    def is_dir(self) -> bool:
        """Whether it is a folder, or for a store that knows none, whether files are below it."""
        with self._errors():
            return bool(self.system.isdir(self.path))

    def files(self, recursive: bool) -> list[Remote]:
        """The files of this folder, with `recursive` also those of its subfolders, by one listing."""
        with self._errors():
            return [Remote(self.system, path) for path in self.system.find(self.path, None if recursive else 1)]

    def relative_to(self, folder: Remote) -> PurePosixPath:
        """The path below a folder that it is in."""
        return PurePosixPath(self.path.removeprefix(folder.path).lstrip("/"))

    def read_bytes(self) -> bytes:
        """All of the file."""
        with self._errors():
            return bytes(self.system.cat_file(self.path))

    def write_bytes(self, data: bytes) -> None:
        """Writes under another name beside it, and moves that: the file never holds a part of the data."""
        folder = self.parent.path
        temporary = posixpath.join(folder, f".cae-{secrets.token_hex(8)}.tmp")
        with self._errors():
            try:
                try:
                    self.system.pipe_file(temporary, data)
                except FileNotFoundError:  # stores without folders never say this, and save us the question
                    self.system.makedirs(folder, exist_ok=True)
                    self.system.pipe_file(temporary, data)
                self.system.mv(temporary, self.path)
            except BaseException:
                with suppress(Exception):
                    self.system.rm_file(temporary)
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:  # many file systems say nothing but the name
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from error
        except OSError:
            raise
        except Exception as error:  # network libraries have exceptions of their own
            raise OSError(f"{type(error).__name__}: {error}") from error


Place = Path | Remote
"""Where an input or output is."""


def place(word: str) -> Place:
    """What a user's word means: a URL that fsspec knows, chained ones such as zip://a::s3://bucket/b.zip included, or
    a path. Raises ValueError where the URL's kind is unknown or needs a package that is not installed."""
    if "://" not in word:
        return Path(word)
    try:
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        system, path = url_to_fs(word)
    except ModuleNotFoundError as error:
        raise ValueError(
            f'{word}: URLs need the extra "ray", to be installed as the package was: pip install ".[ray]"'
        ) from error
    except Exception as error:
        raise ValueError(f"{word}: {error}") from error
    return Path(path) if type(system) is LocalFileSystem else Remote(system, path)
