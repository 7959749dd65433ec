"""Every error that this package raises on purpose: `CaeError` and what is derived from it, a tree that
`cae.bitstream.errors` draws."""

from .bitstream.errors import (
    BitstreamError,
    CaeError,
    CorruptError,
    DecodeMismatchError,
    ImageError,
    ImageSizeError,
    InputError,
    LimitError,
    MemoryLimitError,
    MissingWeightsError,
    NotCaeError,
    TargetError,
    TruncatedError,
    UnknownChunkError,
    UnsupportedVersionError,
    WeightsError,
    WrongWeightsError,
)

__all__ = [
    "BitstreamError",
    "CaeError",
    "CorruptError",
    "DecodeMismatchError",
    "ImageError",
    "ImageSizeError",
    "InputError",
    "LimitError",
    "MemoryLimitError",
    "MissingWeightsError",
    "NotCaeError",
    "TargetError",
    "TruncatedError",
    "UnknownChunkError",
    "UnsupportedVersionError",
    "WeightsError",
    "WrongWeightsError",
]
