"""Tables of text, in the width of a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

WIDTH = 100
"""Columns of characters that tables take at most."""

NAME = 32
"""Characters that a name in the first column takes at most."""

_GAP = 2


def shorten(text: str, width: int) -> str:
    """The text, or its beginning and its end with an ellipsis between, in so many characters."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def wrapped(text: str, indent: int = 0) -> list[str]:
    """Prose as lines of WIDTH characters at most, but for longer words; indent: of all but the first."""
    spaces = " " * indent
    return textwrap.wrap(text, WIDTH, subsequent_indent=spaces, break_long_words=False, break_on_hyphens=False)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table: the first column to the left, the others to the right. Where they do not fit into WIDTH they
    are shared out among several such tables, with an empty line between and the first column in each."""
    table = [[shorten(line[0], NAME), *line[1:]] for line in (heads, *rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(heads))]
    count = len(_split(widths, WIDTH))
    # About as wide as each other, so that the last one is no single column.
    limit = next(limit for limit in range(WIDTH + 1) if len(_split(widths, limit)) == count)
    for index, (start, end) in enumerate(_split(widths, limit)):
        if index:
            yield ""
        for line in table:
            cells = [text.rjust(width) for text, width in zip(line[start:end], widths[start:end], strict=True)]
            yield (" " * _GAP).join([line[0].ljust(widths[0]), *cells]).rstrip()


def _split(widths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """From which column to which each part goes: as many as fit into `limit` beside the first, one at least."""
    parts = []
    start = 1
    while start < len(widths):
        end, used = start + 1, widths[0] + _GAP + widths[start]
        while end < len(widths) and used + _GAP + widths[end] <= limit:
            used += _GAP + widths[end]
            end += 1
        parts.append((start, end))
        start = end
    return parts
