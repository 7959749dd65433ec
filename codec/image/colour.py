"""What numbers of colours mean: code points of CICP, gamma and chromaticities of PNG, as ICC profiles where need be."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Points = Sequence[float]
"""x and y of white, red, green and blue."""

_D65 = (0.3127, 0.329)
_SRGB: Points = (*_D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_PRIMARIES: dict[int, Points] = {
    1: _SRGB,
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_NAMES = {1: "BT.709", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_TRANSFERS = {1: "BT.709", 4: "gamma 2.2", 8: "linear", 13: "sRGB", 16: "PQ", 18: "HLG"}
_UNSAID, _SRGB_TRANSFER = 2, 13
HDR = (16, 18)
"""Code points of transfer functions whose white is far brighter than that of other pictures: PQ and HLG."""

_D50 = np.array([0.9642, 1, 0.82491])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
Matrix = npt.NDArray[np.float64]


def is_default(cicp: bytes) -> bool:
    """Whether CICP code points, four bytes, mean sRGB, which is meant where nothing is said."""
    return cicp[0] in (1, _UNSAID) and cicp[1] in (_SRGB_TRANSFER, _UNSAID)


def name(cicp: bytes) -> str:
    """The name of CICP code points, four bytes, for people, such as "BT.2020 PQ"."""
    return f"{_NAMES.get(cicp[0], f'primaries {cicp[0]}')} {_TRANSFERS.get(cicp[1], f'transfer {cicp[1]}')}"


def profile_of_cicp(cicp: bytes, *, grey: bool) -> bytes | None:
    """An ICC profile of the same meaning as CICP code points, four bytes, or None where there is none, as for PQ and
    HLG."""
    primaries, transfer = cicp[0], 13 if cicp[1] == _UNSAID else cicp[1]
    curves = {4: _gamma(2.2), 5: _gamma(2.8), 8: _gamma(1), 13: _SRGB_CURVE}
    curves |= dict.fromkeys((1, 6, 14, 15), _curve(1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081))
    points = _PRIMARIES.get(1 if primaries == _UNSAID else primaries)
    return _profile(points, curves[transfer], name(cicp), grey) if points and transfer in curves else None


def profile_of_png(gamma: object, points: object, *, grey: bool) -> bytes | None:
    """An ICC profile of what PNG calls gAMA (the exponent that light is coded by, 0.45455 for most) and cHRM (x and y
    of white, red, green and blue), or None where that is sRGB, or nothing, or makes no sense."""
    exponent = float(gamma) if isinstance(gamma, int | float) and 0.01 < gamma < 10 else None
    sound = isinstance(points, tuple) and len(points) == 8 and all(0 < value < 1 for value in points)
    own: Points = points if sound and isinstance(points, tuple) else _SRGB
    is_srgb = exponent is None or abs(exponent - 1 / 2.2) < 0.003
    if is_srgb and (grey or max(abs(a - b) for a, b in zip(own, _SRGB, strict=True)) < 0.002):
        return None
    curve = _SRGB_CURVE if exponent is None else _gamma(1 / exponent)
    return _profile(own, curve, "gAMA and cHRM", grey)


def fitted(icc: bytes, *, grey: bool) -> bytes | None:
    """An ICC profile for grey or for RGB pictures, made of one for the other where need be, or None where it cannot
    be."""
    space = icc[16:20]
    if space == (b"GRAY" if grey else b"RGB "):
        return icc
    tags = _tags(icc)
    if space == b"GRAY" and b"kTRC" in tags:
        return _profile(_SRGB, tags[b"kTRC"], "grey, as RGB", grey=False)
    curves = {tags.get(tag) for tag in (b"rTRC", b"gTRC", b"bTRC")}
    curve = curves.pop()
    if space == b"RGB " and not curves and curve:
        return _profile(_SRGB, curve, "RGB, as grey", grey=True)
    return None


def _tags(icc: bytes) -> dict[bytes, bytes]:
    count = min(int.from_bytes(icc[128:132]), 200)
    entries = [icc[at : at + 12] for at in range(132, 132 + 12 * count, 12)]
    places = {entry[:4]: (int.from_bytes(entry[4:8]), int.from_bytes(entry[8:12])) for entry in entries}
    return {tag: icc[begin : begin + length] for tag, (begin, length) in places.items()}


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _curve(*numbers: float) -> bytes:
    """The data of a tag, a parametric curve: a power, or one with a straight line below."""
    return b"para" + bytes(4) + (0 if len(numbers) == 1 else 3).to_bytes(2) + bytes(2) + _fixed(*numbers)


def _gamma(exponent: float) -> bytes:
    return _curve(exponent)


_SRGB_CURVE = _curve(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _xyz(x: float, y: float) -> Matrix:
    return np.array([x / y, 1, (1 - x - y) / y])


def _profile(points: Points, curve: bytes, title: str, grey: bool) -> bytes | None:
    """An ICC profile of version 4 of white, red, green and blue points; curve: the data of its tags of curves. None for
    points on one line."""
    white, *colours = (_xyz(points[i], points[i + 1]) for i in range(0, 8, 2))
    cones = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(cones) @ _BRADFORD
    text = f"{title}".encode("utf-16-be")
    words = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text
    tags = {b"desc": words, b"cprt": words, b"wtpt": _point(_D50), b"chad": b"sf32" + bytes(4) + _fixed(*adapt.ravel())}
    if grey:
        tags[b"kTRC"] = curve
    else:
        matrix = np.stack(colours, axis=1)
        if abs(np.linalg.det(matrix)) < 1e-6:
            return None
        matrix = adapt @ (matrix * np.linalg.solve(matrix, white))
        for letter, column in zip(b"rgb", matrix.T, strict=True):
            tags |= {bytes([letter]) + b"XYZ": _point(column), bytes([letter]) + b"TRC": curve}
    table, data = b"", b""
    begin = 132 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for tag, content in tags.items():
        if content not in places:
            places[content] = begin + len(data)
            data += content + bytes(-len(content) % 4)
        table += tag + places[content].to_bytes(4) + len(content).to_bytes(4)
    head = struct.pack(
        ">I4sI4s4s4s", begin + len(data), b"", 0x04300000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ "
    )
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(*_D50) + bytes(48)
    return head + len(tags).to_bytes(4) + table + data


def _point(xyz: Matrix) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*xyz)


def nclx_of_avif(data: bytes) -> bytes | None:
    """CICP code points of an AVIF file's own colour box, for RGB of full range, or None."""
    at = data.find(b"colrnclx")
    if data[4:8] != b"ftyp" or not 0 < at < 2**16:
        return None
    primaries, transfer = struct.unpack(">HH", data[at + 8 : at + 12].ljust(4, b"\0"))
    return bytes((primaries, transfer, 0, 1)) if max(primaries, transfer) < 256 and primaries else None
