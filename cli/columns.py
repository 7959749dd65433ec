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
    """The text in at most so many characters: of a longer one the beginning and the end, with an ellipsis between."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def wrapped(text: str, indent: int = 0) -> list[str]:
    """Prose in lines of at most WIDTH characters, longer words aside. indent: spaces before all lines but the first."""
    spaces = " " * indent
    return textwrap.wrap(text, WIDTH, subsequent_indent=spaces, break_long_words=False, break_on_hyphens=False)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, the first column aligned to the left, the others to the right. Columns that do not fit into
    WIDTH go to further tables, each with the first column, after an empty line."""
    table = [[shorten(line[0], NAME), *line[1:]] for line in (heads, *rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(heads))]
    count = len(_split(widths, WIDTH))
    # The narrowest limit that gives so many tables: their widths are similar then, and none is of a single column.
    limit = next(limit for limit in range(WIDTH + 1) if len(_split(widths, limit)) == count)
    for index, (start, end) in enumerate(_split(widths, limit)):
        if index:
            yield ""
        for line in table:
            cells = [text.rjust(width) for text, width in zip(line[start:end], widths[start:end], strict=True)]
            yield (" " * _GAP).join([line[0].ljust(widths[0]), *cells]).rstrip()


def _split(widths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Splits columns into parts (start, end): as many as fit into `limit` beside the first column, one at least."""
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
