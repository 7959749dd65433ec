"""The structures of kernels.h in ctypes, and the levels of instructions that were compiled and this processor has."""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, Structure, byref, c_char_p, c_float, c_int64, c_uint64, c_void_p
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy.typing as npt

from ....bitstream.errors import WeightsError

T = TypeVar("T")

VERSION = 5
"""CAE_KERNELS_VERSION of kernels.h, which declares the same structures."""


class Layer(Structure):
    """The packed weights of a 1x1 convolution."""

    _fields_ = (
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("multiplier", c_void_p),
        ("order", c_void_p),
        *((name, c_int64) for name in ("steps", "inputs", "outputs")),
    )


class Block(Structure):
    """The packed weights of a residual block: five 1x1 convolutions and a depthwise one of 3x3."""

    _fields_ = (
        ("mix", Layer),
        ("spatial_weights", c_void_p),
        ("spatial_bias", c_void_p),
        ("spatial_multiplier", c_void_p),
        *((name, Layer) for name in ("project", "value", "gate", "contract")),
    )


class Shape(Structure):
    """The shape of an array without its last axis, the channels."""

    _fields_ = (("images", c_int64), ("height", c_int64), ("width", c_int64))


class Input(Structure):
    """The input of a layer, and how operands are made of it."""

    _fields_ = (
        ("data", c_void_p),
        ("scale", c_void_p),
        *((name, c_int64) for name in ("kind", "shift", "whole")),
        ("least", c_float),
        ("most", c_float),
        ("offset", c_int64),
    )


class Term(Structure):
    """A layer with its input: a product is the sum of one or two of them."""

    _fields_ = (("layer", POINTER(Layer)), ("input", Input))


class Parameters(Structure):
    """The last layer of a prior's step for one position class, with the tables that its outputs are scaled by."""

    _fields_ = (
        ("means", Layer),
        ("scales", Layer),
        ("sigma_in_steps", c_void_p),
        ("log_sigma", c_void_p),
        ("mean_limit", c_float),
        ("scale_step", c_float),
        *((name, c_int64) for name in ("last_scale_index", "down", "right")),
    )


class Cells(Structure):
    """The latents that a step codes: a group of channels for each position class."""

    _fields_ = (
        *((name, c_int64) for name in ("size", "channels")),
        *((name, c_int64 * 4) for name in ("first", "down", "right")),
    )


class Rounding(Structure):
    """The tables and limits by which latents are rounded."""

    _fields_ = (
        *((name, c_void_p) for name in ("sigma_in_steps", "rd_weight", "half_extra", "coded")),
        ("depth", c_int64),
        ("most", c_float),
    )


class Tables(Structure):
    """The entropy coder's probability tables."""

    _fields_ = (*((name, c_void_p) for name in ("half_widths", "sums", "starts", "lookup")), ("rows", c_int64))


class Stack(Structure):
    """The entropy coder's state."""

    _fields_ = (("state", c_uint64), ("words", c_void_p), ("count", c_int64))


def _kernel(*arguments: Any) -> Any:
    """The type of a kernel with these arguments, then the first and the last position (not included) that it works on.
    It returns 0, or 1 if there is no memory."""
    return ctypes.CFUNCTYPE(c_int64, *arguments, c_int64, c_int64)


_SHAPE = POINTER(Shape)
_ON_STEP = ctypes.CFUNCTYPE(c_int64, POINTER(Tables), POINTER(Stack), c_void_p, c_void_p, c_void_p, c_int64)
_ON_BLOCK = _kernel(POINTER(Block), c_void_p, c_void_p, _SHAPE)


class Kernels(Structure):
    """The kernels of one level of instructions, with the layout in which they take weights and operands."""

    _fields_ = (
        ("name", c_char_p),
        ("lanes", c_int64),
        ("group", c_int64),
        ("depth", c_int64),
        ("offset", c_int64),
        ("order", ctypes.CFUNCTYPE(c_int64, c_void_p, c_int64, c_int64, c_int64, c_void_p, c_void_p)),
        ("product", _kernel(POINTER(Term), c_int64, c_void_p, c_void_p)),
        ("mix", _ON_BLOCK),
        ("rest", _ON_BLOCK),
        ("parameters", _kernel(POINTER(Parameters), c_void_p, c_void_p, c_void_p, _SHAPE)),
        ("samples", _kernel(c_void_p, c_void_p, c_void_p, _SHAPE)),
        ("with_logs", _kernel(c_void_p, c_void_p, c_void_p, c_int64, c_float, c_float)),
        ("round", _kernel(POINTER(Rounding), POINTER(Cells), c_void_p, c_void_p, c_void_p, c_void_p, _SHAPE)),
        ("place", _kernel(POINTER(Cells), c_void_p, c_void_p, c_void_p, _SHAPE)),
        ("compare", ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int64, POINTER(c_int64 * 2))),
        ("decode_step", _ON_STEP),
        ("encode_step", _ON_STEP),
    )


class Place(Structure):
    """The size of a structure, or the offset of a field, in bytes."""

    _fields_ = (("name", c_char_p), ("value", c_int64))


def layout() -> dict[str, int]:
    """The sizes of the structures above, by names like "Layer", and the offsets of their fields, "Layer.bias", both in
    bytes."""
    places = {}
    for structure in (Layer, Block, Shape, Input, Term, Parameters, Cells, Rounding, Tables, Stack, Kernels):
        name = structure.__name__
        places[name] = ctypes.sizeof(structure)
        places |= {f"{name}.{field[0]}": getattr(structure, field[0]).offset for field in structure._fields_}
    return places


@functools.cache
def levels() -> dict[str, Kernels]:
    """The levels of instructions, by name, that were compiled and that this processor has, the fastest first.

    Empty if no library was compiled, or if it is damaged, of another version, or lays out its structures in another way
    than those above.
    """
    found = find_spec(f"{__package__}._kernels")
    if found is None or found.origin is None:
        return {}
    try:
        library = ctypes.CDLL(found.origin)
        find_kernels, find_layout = library.cae_kernels, library.cae_layout
    except (OSError, AttributeError):  # damaged, of another system, or older
        return {}
    find_layout.restype, find_layout.argtypes = POINTER(Place), (POINTER(c_int64),)
    find_kernels.restype, find_kernels.argtypes = POINTER(Kernels), (c_int64, c_int64, POINTER(c_int64))
    count = c_int64()
    places = find_layout(byref(count))
    if {place.name.decode(): place.value for place in places[: count.value]} != layout():
        return {}
    find_kernels(VERSION, -1, byref(count))
    kernels = (find_kernels(VERSION, index, byref(count)) for index in range(count.value))
    return {each.contents.name.decode(): each.contents for each in kernels if each}


def keeping(structure: T, *what: object) -> T:
    """The structure, with references to what it points to, so that this lives as long: ctypes does not see to it."""
    structure.kept = what  # type: ignore[attr-defined]
    return structure


def address(array: npt.NDArray[Any]) -> c_void_p:
    """The address of a contiguous array, as an object that keeps the array alive. Raises ValueError for an array that
    is not contiguous."""
    if not array.flags.c_contiguous:
        raise ValueError("an array is not contiguous")
    return array.ctypes.data_as(c_void_p)


def check(fits: bool, name: str) -> None:
    """Raises WeightsError, naming `name`, unless sizes fit: kernels would read beyond the end of arrays."""
    if not fits:
        raise WeightsError(f"the tensors of {name} have other sizes than what they are applied to")
