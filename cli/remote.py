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
    """A file or folder of an fsspec file system, with the part of pathlib.Path's interface that the commands need.

    It can be pickled. Methods raise OSError, whatever the file system raises."""

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
        """The folder that this is in."""
        return Remote(self.system, posixpath.dirname(self.path))

    def is_dir(self) -> bool:
        """Whether this is a folder, or in a store that has none, the beginning of the names of files."""
        with self._errors():
            return bool(self.system.isdir(self.path))

    def files(self, recursive: bool) -> list[Remote]:
        """The files of this folder, with `recursive` also those of its subfolders, by one listing."""
        with self._errors():
            return [Remote(self.system, path) for path in self.system.find(self.path, None if recursive else 1)]

    def relative_to(self, folder: Remote) -> PurePosixPath:
        """The part of the path below a folder that this is in."""
        return PurePosixPath(self.path.removeprefix(folder.path).lstrip("/"))

    def read_bytes(self) -> bytes:
        """Reads all of the file."""
        with self._errors():
            return bytes(self.system.cat_file(self.path))

    def write_bytes(self, data: bytes) -> None:
        """Writes the file under another name and moves it: it never holds a part of the data."""
        folder = self.parent.path
        temporary = posixpath.join(folder, f".cae-{secrets.token_hex(8)}.tmp")
        with self._errors():
            try:
                try:
                    self.system.pipe_file(temporary, data)
                except FileNotFoundError:  # only of systems with folders: others are spared the call
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
        except FileNotFoundError as error:  # the message of many file systems is the name alone
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from error
        except OSError:
            raise
        except Exception as error:  # network libraries have exceptions of their own
            raise OSError(f"{type(error).__name__}: {error}") from error


Place = Path | Remote
"""The place of an input or output: a file of this machine, or one elsewhere."""


def place(word: str) -> Place:
    """The place that a user's word names: a URL that fsspec knows, chained ones such as zip://a::s3://bucket/b.zip
    included, or a path. Raises ValueError for a URL of an unknown kind, or of one whose package is not installed."""
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
