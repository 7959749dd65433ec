"""The codecs that can be measured, each behind the same two calls.

A codec is asked for by a word, its options behind colons:

    jpeg  jpeg-444  webp  avif  avif-420  jpeg2000  jxl  cae  zoo:MODEL
    avif:speed=4  avif:tune=psnr  cae:effort=9  cae:patches=off  cae:weights=PATH  zoo:mbt2018-mean:weights=PATH

To add one, write a class with what `protocol.ImageCodec` has and give its name a line in `CODECS` and `make_codec`.
"""

from __future__ import annotations

import hashlib
import importlib
import io
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from ...bitstream.errors import InputError, WeightsError
from ...bitstream.header import FINGERPRINT_BYTES
from ..backends.networks import fastest, on_cpu
from ..codec import FileCoder
from ..encode.options import PATCHES, EncodeOptions
from ..image.picture import Picture
from ..model.arrays import Pixels
from ..model.integer_weights import load_integers, parse_integers
from ..options import DEFAULT_EFFORT, ROUNDS
from .protocol import ImageCodec, Scale, UnavailableCodecError
from .zoo import ZooCodec

_PERCENT = Scale(0, 100, 1)


@dataclass(frozen=True)
class PillowCodec:
    """A format that Pillow writes. format, options: those of `Image.save`; feature: Pillow's name of the library;
    advanced: for AVIF, options that Pillow hands on to libaom."""

    name: str
    format: str
    feature: str
    options: dict[str, Any]
    qualities: tuple[float, ...]
    scale: Scale = _PERCENT
    advanced: dict[str, str] = field(default_factory=dict)
    runtime: dict[str, Any] = field(default_factory=dict)
    """Options that change how fast the files are written, not what is in them."""

    @property
    def settings(self) -> dict[str, Any]:
        library = str(features.version(self.feature)) if self.feature in features.get_supported() else self.feature
        return {**self.options, **self.advanced, "format": self.format, "library": library, "pillow": version("pillow")}

    def encode(self, image: Pixels, quality: float) -> bytes:
        setting: dict[str, Any] = {"advanced": self.advanced} if self.advanced else {}
        setting |= {"quality_layers": [quality]} if self.format == "JPEG2000" else {"quality": round(quality)}
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, self.format, **self.options, **self.runtime, **setting)
        return buffer.getvalue()

    def decode(self, data: bytes) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[self.format]) as image:
            return np.array(image.convert("RGB"))


class CaeCodec:
    """This project's codec on a CPU, with the installed weights, those of a folder or those of a .safetensors file.
    Raises WeightsError, OSError."""

    scale = Scale(0, 100, 0.5)
    qualities: tuple[float, ...] = (14, 26, 36, 46, 57, 68, 80, 92)

    def __init__(
        self, name: str, weights: Path | None = None, effort: int = DEFAULT_EFFORT, patches: str = "auto"
    ) -> None:
        self.name = name
        self._options = EncodeOptions(effort=effort, patches=patches)
        if weights is not None and weights.is_file():
            data = weights.read_bytes()
            integers = parse_integers(data, str(weights))
            fingerprint = hashlib.sha256(data).digest()[:FINGERPRINT_BYTES]
        else:
            integers, fingerprint = load_integers(weights)
        self._codec = FileCoder(on_cpu(integers), fingerprint)
        self.settings = {
            "weights": fingerprint.hex(),
            "effort": effort,
            "patches": patches,
            "libwebp": str(features.version("webp")),
            "code": _code_digest(),
            "instructions": fastest(),
        }

    def encode(self, image: Pixels, quality: float) -> bytes:
        return self._codec.encode_pictures([Picture(image)], self._options.at(quality))[0]

    def decode(self, data: bytes) -> Pixels:
        return self._codec.decode(data).pixels


_NOT_CODING = ("evaluation", "training")
"""Parts of cae.codec that files and pixels do not depend on."""


def _code_digest() -> str:
    """A digest of the code that encodes and decodes, so that cached results of other code are not taken for today's."""
    digest = hashlib.sha256()
    for name in ("cae.bitstream", "cae.codec"):
        room = Path(next(iter(importlib.import_module(name).__path__)))
        for path in sorted(path for path in room.rglob("*") if path.suffix in (".py", ".so", ".pyd")):
            within = path.relative_to(room)
            if within.parts[0] not in _NOT_CODING:
                digest.update(within.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _jpeg(subsampling: str) -> dict[str, Any]:
    return {"optimize": True, "progressive": True, "subsampling": subsampling}


_AVIF_QUALITIES = (10, 20, 30, 40, 52, 64, 77, 89)
TUNES = ("iq", "psnr", "ssim", "ssimulacra2")
"""Measures of quality that libaom can be tuned for."""
# With this option files are those of libavif 1.4 without it. It is named, so that they stay those of later versions.
_TUNE = {"tune": "iq"}
_WAVELET = {"quality_mode": "dB", "irreversible": True, "mct": 1}

_PILLOW = {
    codec.name: codec
    for codec in (
        # Optimised and progressive, as a careful user writes it: an eighth smaller than what papers compare with.
        PillowCodec("jpeg", "JPEG", "jpg", _jpeg("4:2:0"), (3, 8, 15, 25, 45, 65, 80, 90), Scale(1, 100, 1)),
        PillowCodec("jpeg-444", "JPEG", "jpg", _jpeg("4:4:4"), (1, 6, 12, 22, 40, 60, 75, 86), Scale(1, 100, 1)),
        PillowCodec("webp", "WEBP", "webp", {"method": 6}, (0, 3, 12, 30, 55, 75, 86, 92)),
        PillowCodec("avif", "AVIF", "avif", {"speed": 6, "subsampling": "4:4:4"}, _AVIF_QUALITIES, advanced=_TUNE),
        PillowCodec("avif-420", "AVIF", "avif", {"speed": 6, "subsampling": "4:2:0"}, _AVIF_QUALITIES, advanced=_TUNE),
        PillowCodec(
            "jpeg2000", "JPEG2000", "jpg_2000", _WAVELET, (24, 26, 28, 30.5, 33, 35.5, 38, 41), Scale(15, 60, 0.25)
        ),
        PillowCodec("jxl", "JXL", "pillow-jxl-plugin", {"effort": 7}, (0, 15, 35, 55, 70, 80, 88, 92)),
    )
}

CODECS = {
    "jpeg": "JPEG, Pillow, 4:2:0, optimised, progressive",
    "jpeg-444": "JPEG without chroma subsampling",
    "webp": "WebP, Pillow, method 6",
    "avif": f"AVIF, Pillow, 4:4:4, speed 6, tune iq; avif:speed=0 (slowest) to 10, avif:tune={', '.join(TUNES[1:])}",
    "avif-420": "AVIF with chroma subsampling, 4:2:0",
    "jpeg2000": "JPEG 2000, Pillow, 9/7 wavelet; its quality is a PSNR in dB",
    "jxl": "JPEG XL, pillow-jxl-plugin, effort 7",
    "cae": "this codec; cae:effort=N for 1 to 9, cae:patches=off or all, cae:weights=PATH for a folder of weights or "
    "a .safetensors file",
    "zoo:MODEL": "a model of CompressAI's zoo, as zoo:mbt2018-mean; :weights=PATH for a file or a folder of its files",
}
"""A line about every codec, by the name that it is asked for by."""

DEFAULT = ("jpeg", "webp", "jpeg2000", "jxl", "avif", "cae")

_OPTIONS = {
    "avif": ("speed", "tune"),
    "avif-420": ("speed", "tune"),
    "cae": ("weights", "effort", "patches"),
    "zoo": ("weights",),
}


def make_codec(spec: str, threads: int = 1) -> ImageCodec:
    """The codec that a word such as "avif:speed=4" asks for. threads: of libraries that take their number; that of
    torch and of cae's kernels is the caller's to set.

    Raises InputError for an unknown name or option, UnavailableCodecError where something is missing, WeightsError."""
    name, *words = spec.split(":")
    if name not in {known.split(":")[0] for known in CODECS}:
        raise InputError(f"there is no codec {name}; there are {', '.join(CODECS)}")
    model = words.pop(0) if name == "zoo" and words else ""
    known = _OPTIONS.get(name, ())
    options: dict[str, str] = {}
    for word in words:
        option, _, value = word.partition("=")
        if option in options:
            raise InputError(f"codec {spec}: {option} is given twice")
        if option not in known or not value:
            there = ", ".join(f"{option}=..." for option in known) or "none"
            raise InputError(f"codec {spec}: {word} is not an option of {name}; there is {there}")
        options[option] = value
    path = Path(options["weights"]) if "weights" in options else None
    if name == "cae":
        effort = options.get("effort", str(DEFAULT_EFFORT))
        if effort not in map(str, range(1, len(ROUNDS) + 1)):
            raise InputError(f"codec {spec}: the effort is a whole number from 1 to {len(ROUNDS)}")
        patches = options.get("patches", "auto")
        if patches not in PATCHES:
            raise InputError(f"codec {spec}: patches are one of {', '.join(PATCHES)}")
        try:
            return CaeCodec(spec, path, int(effort), patches)
        except (WeightsError, OSError) as error:
            raise WeightsError(f"codec {spec}: {error}") from error
    if name == "zoo":
        return ZooCodec(spec, model, path)
    return _pillow_codec(name, spec, options, threads)


def _pillow_codec(name: str, spec: str, chosen: dict[str, str], threads: int) -> PillowCodec:
    codec = replace(_PILLOW[name], name=spec)
    if codec.format == "JXL":
        try:
            importlib.import_module("pillow_jxl")  # this registers the format with Pillow
        except ImportError as error:
            raise UnavailableCodecError("codec jxl needs the package pillow-jxl-plugin") from error
        library = f"pillow-jxl-plugin {version('pillow-jxl-plugin')}"
        return replace(codec, feature=library, runtime={"num_threads": threads})
    if not features.check(codec.feature):
        raise UnavailableCodecError(f"codec {spec}: this Pillow was built without {codec.format}")
    if codec.format != "AVIF":
        return codec
    speed, tune = chosen.get("speed", str(codec.options["speed"])), chosen.get("tune", codec.advanced["tune"])
    if speed not in map(str, range(11)):
        raise InputError(f"codec {spec}: the speed is a whole number from 0 to 10")
    if tune not in TUNES:
        raise InputError(f"codec {spec}: the tune is one of {', '.join(TUNES)}")
    options = codec.options | {"speed": int(speed)}
    codec = replace(codec, options=options, advanced={"tune": tune}, runtime={"max_threads": threads})
    try:
        codec.encode(np.zeros((1, 1, 3), np.uint8), 50)
    except ValueError as error:
        raise UnavailableCodecError(f"codec {spec}: the AVIF library of this Pillow has no tune {tune}") from error
    return codec
