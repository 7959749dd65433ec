"""Colours of codecs and dashes of published curves, the same in plots and reports."""

from __future__ import annotations

from collections.abc import Sequence

ANCHOR = "#6e7781"
DASHES = ((1, 0), (7, 3), (2, 2), (8, 3, 2, 3), (1, 3))
"""Dashes of published curves, in order: lengths drawn and left out, in widths of the line."""

_OWN = ("#cf222e", "#ff8182", "#82071e")
_KNOWN = {
    "jpeg": "#24292f",
    "jpeg-444": "#6e7781",
    "webp": "#1a7f37",
    "avif": "#0969da",
    "avif-420": "#54aeff",
    "jpeg2000": "#bf8700",
    "jxl": "#8250df",
}
_OTHERS = ("#0e8a8a", "#bf3989", "#bc4c00", "#4d2d00", "#3192aa", "#7d4e00")


def colours(codecs: Sequence[str]) -> dict[str, str]:
    """A colour of each codec, #rrggbb on white: reds for this project's, all different while there are enough."""
    found: dict[str, str] = {}
    for codec in codecs:
        kind = codec.split(":")[0]
        free = [_KNOWN[kind]] if kind in _KNOWN else []
        free += _OWN if is_own(codec) else _OTHERS
        found[codec] = next((colour for colour in free if colour not in found.values()), free[-1])
    return found


def is_own(codec: str) -> bool:
    """Whether a word asks for this project's codec, which is drawn with emphasis."""
    return codec.split(":")[0] == "cae"
