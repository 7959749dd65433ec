"""Tables of text, in the width of a terminal."""

from __future__ import annotations

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


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table: the first column to the left, the others to the right. Those that do not fit into WIDTH follow
    beneath, after an empty line, beside the first column again."""
    table = [[shorten(line[0], NAME), *line[1:]] for line in (heads, *rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(heads))]
    start = 1
    while start < len(widths):
        end, used = start, widths[0]
        while end < len(widths) and (used + _GAP + widths[end] <= WIDTH or end == start):
            used += _GAP + widths[end]
            end += 1
        if start > 1:
            yield ""
        for line in table:
            cells = [text.rjust(width) for text, width in zip(line[start:end], widths[start:end], strict=True)]
            yield (" " * _GAP).join([line[0].ljust(widths[0]), *cells]).rstrip()
        start = end
