"""Settings of Pillow and Python that belong to all threads of a process, while pictures are read and written."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, ImageFile

from ..machine.threads import lock_across_forks

_lock = lock_across_forks()
_inside: list[tuple[int, int]] = []
"""The thread of each reader and writer, and what Pillow's limit is to be at least for it."""
_limit: int | None = None
"""Pillow's own limit, from before the first of them."""
_filters = warnings.catch_warnings()


@contextmanager
def pillow_settings(max_pixels: int) -> Iterator[bool]:
    """Context in which there are no warnings, and Pillow's limit on pixels does not refuse `max_pixels`.

    Any number of threads may be inside: the first changes the settings, the last changes them back. Pillow refuses what
    has more than twice its limit, which is never lowered. Yields whether Pillow itself refuses what is above
    `max_pixels`.
    """
    wanted = (max_pixels + 1) // 2
    mine = threading.get_ident(), wanted
    with _lock:
        _enter(mine)
        is_strict = wanted == Image.MAX_IMAGE_PIXELS
    try:
        yield is_strict
    finally:
        with _lock:
            _leave([mine])


def open_image(file: BytesIO, format: str | None = None) -> ImageFile.ImageFile:
    """The image in a file as Pillow opens it, raising what Pillow raises. format: the only one that it may have, "WEBP"
    or the like. A fork waits meanwhile: Pillow imports what reads a format when it first needs it, and a child of a
    fork in the middle of an import would wait for that for ever."""
    with _lock:
        return Image.open(file, formats=[format] if format else None)


def load_writers(name: str) -> None:
    """Imports what Pillow writes a format with, "PNG" or the like, if it has not been: a fork waits meanwhile."""
    with _lock:
        Image.preinit()
        if name not in Image.SAVE:
            Image.init()


def _enter(mine: tuple[int, int]) -> None:
    global _limit, _filters
    if not _inside:
        _limit, _filters = Image.MAX_IMAGE_PIXELS, warnings.catch_warnings()
        _filters.__enter__()
        warnings.simplefilter("ignore")
    _inside.append(mine)
    _raise_limit()


def _leave(gone: list[tuple[int, int]]) -> None:
    for each in gone:
        _inside.remove(each)
    if _inside:
        _raise_limit()
    elif gone:
        Image.MAX_IMAGE_PIXELS = _limit
        _filters.__exit__(None, None, None)


def _raise_limit() -> None:
    if _limit is not None:
        Image.MAX_IMAGE_PIXELS = max(_limit, *(wanted for _, wanted in _inside))


def _leave_others() -> None:
    """After a fork: other threads are not in the child, and will not leave."""
    _leave([each for each in _inside if each[0] != threading.get_ident()])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_others)
