"""What an image file says about its pixels: kinds of metadata, how each is read and written, and the orientation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...bitstream.container import DENSITY, EXIF, ICC, IPTC, XMP
from . import density, exif, photoshop, xmp
from .tiff_directory import Directory, Entry, Structure

if TYPE_CHECKING:
    from PIL import Image

Bytes = npt.NDArray[np.uint8]

_ORIENTATION = 0x0112
_TIFF_XMP = 700
_PNG_XMP = "XML:com.adobe.xmp"

_SEGMENT = 65533  # bytes in one of a JPEG file; EXIF and XMP have one each, with a name in front, a profile up to 255


@dataclass(frozen=True)
class Metadata:
    """What goes with the pixels of a picture: the bytes of each of KINDS as a .cae file stores them, or None.

    icc: an ICC profile; exif: a TIFF structure, without the "Exif" prefix of JPEG; xmp: an XMP packet; iptc: IPTC-IIM
    data sets; density: two u32 of 1/10000 of a pixel per inch.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    density: bytes | None = None

    def parts(self) -> Iterator[tuple[Kind, bytes]]:
        """Those that there are, in the order of KINDS."""
        for kind in KINDS:
            data: bytes | None = getattr(self, kind.name)
            if data is not None:
                yield kind, data


@dataclass(frozen=True)
class Loaded:
    """An image that Pillow has loaded, and where it came from. page: the structure and the directory of a TIFF file
    that it is, where its bytes are known. notes: gets a line for each thing that is said in the file and not kept."""

    image: Image.Image
    page: tuple[Structure, Directory] | None = None
    notes: list[str] = field(default_factory=list)


@dataclass
class Saving:
    """What Pillow's `Image.save` is to be given for a format, and what of the metadata goes another way.

    exif, tags: of a TIFF file, whose directory gets them after Pillow has written it.
    """

    format: str
    options: dict[str, Any] = field(default_factory=dict)
    exif: bytes | None = None
    tags: dict[int, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of metadata.

    name: of its field in `Metadata` and in `cae info --json`; title: for people; chunk: its kind in a .cae file;
    key: Pillow's name in `Image.info` and among the arguments of `Image.save`, shown: the bytes as they are there;
    read: its bytes in a loaded image; formats: what adds it to what a format is saved with, by Pillow's names of the
    formats that hold it; jpeg_bytes: how many of them JPEG does; clean: makes the bytes in a .cae file fit the pixels.
    """

    name: str
    title: str
    chunk: bytes
    key: str
    read: Callable[[Loaded], bytes | None]
    formats: Mapping[str, Callable[[Kind, Saving, bytes], None]]
    jpeg_bytes: int
    shown: Callable[[bytes], Any] = bytes
    clean: Callable[[bytes], bytes] = bytes

    def put(self, saving: Saving, data: bytes) -> None:
        """Has Pillow write it under its own name."""
        saving.options[self.key] = self.shown(data)


def read_metadata(loaded: Loaded) -> Metadata:
    """That of a loaded image, EXIF and XMP with orientation 1."""
    metadata = Metadata(**{kind.name: kind.read(loaded) for kind in KINDS})
    said = exif.resolution(metadata.exif) if metadata.exif else None
    return replace(metadata, density=None) if said and density.packed(said) == metadata.density else metadata


def put_metadata(image: Image.Image, metadata: Metadata) -> None:
    """Puts those that there are into the `info` of an image, under Pillow's names."""
    for kind, data in _with_density(metadata).parts():
        if data:
            image.info[kind.key] = kind.shown(data)


def _with_density(metadata: Metadata) -> Metadata:
    """The same with the resolution that the EXIF block has, where there is no other."""
    said = exif.resolution(metadata.exif) if metadata.exif and not metadata.density else None
    return replace(metadata, density=density.packed(said)) if said else metadata


def fit_metadata(metadata: Metadata, width: int, height: int, *, moved: str = "") -> tuple[Metadata, tuple[str, ...]]:
    """The same for pixels of this size, and a line for what of it is dropped.

    moved: what has been done to the pixels that a small picture in the EXIF block does not show, for people.
    """
    notes = []
    block, packet = metadata.exif, metadata.xmp
    if block:
        block = exif.fitted(block, width, height)
    if block and moved:
        block, had_one = exif.without_thumbnail(block)
        if had_one:
            notes.append(f"EXIF thumbnail dropped: {moved}")
    if packet:
        packet = xmp.fitted(packet, width, height)
    return replace(metadata, exif=block, xmp=packet), tuple(notes)


def save_options(metadata: Metadata, format: str) -> tuple[Saving, tuple[str, ...]]:
    """What a format, by Pillow's name, is saved with to hold the metadata, and a line for what of it is left out."""
    saving = Saving(format)
    notes, lacking = [], []
    if metadata.density or format in _DENSITY_FORMATS:  # of a format without any, EXIF alone is named
        metadata = _with_density(metadata)
    for kind, data in metadata.parts():
        if format == "JPEG" and len(data) > kind.jpeg_bytes:
            notes.append(f"{kind.name.upper()} left out: JPEG holds {kind.jpeg_bytes:,} bytes of it at most")
        elif data and format in kind.formats:
            kind.formats[format](kind, saving, data)
        elif data:
            lacking.append(kind.title)
    if lacking:
        notes.append(f"left out, since {format} holds none: {', '.join(lacking)}")
    return saving, tuple(notes)


def _read_icc(loaded: Loaded) -> bytes | None:
    return loaded.image.info.get("icc_profile") or None


def _read_exif(loaded: Loaded) -> bytes | None:
    block = loaded.image.info.get("exif")
    if loaded.page:
        block, left_out = exif.of_directory(*loaded.page)
        if left_out:
            loaded.notes.append(f"TIFF tags left out: {', '.join(map(str, left_out))}")
    elif not isinstance(block, bytes):
        # An open TIFF file (and an old convention for PNG) has the tags in another form.
        tags = _tags(loaded.image)
        block = exif.of_tags(tags) if tags else None
    return exif.upright(block.removeprefix(exif.EXIF_PREFIX)) if block else None


def _read_xmp(loaded: Loaded) -> bytes | None:
    packet = loaded.image.info.get("xmp") or loaded.image.info.get(_PNG_XMP)
    if isinstance(packet, str):
        packet = packet.encode()
    return xmp.upright(packet) if packet else None


def _exif_to_tiff(kind: Kind, saving: Saving, data: bytes) -> None:
    saving.exif = data


def _xmp_to_tiff(kind: Kind, saving: Saving, data: bytes) -> None:
    saving.tags[_TIFF_XMP] = Entry(1, len(data), data)


def _xmp_to_png(kind: Kind, saving: Saving, data: bytes) -> None:
    _png_info(saving).add_itxt(_PNG_XMP, data)


def _png_info(saving: Saving) -> Any:
    from PIL.PngImagePlugin import PngInfo  # not above: `cae info` knows all kinds, and does without

    return saving.options.setdefault("pnginfo", PngInfo())


def _read_iptc(loaded: Loaded) -> bytes | None:
    info = loaded.image.info
    resources = info.get("photoshop")
    found = photoshop.sound(resources.get(photoshop.IPTC)) if isinstance(resources, dict) else None
    if loaded.page:
        found = photoshop.iptc_of_tags(loaded.page[0], loaded.page[1].entries)
    elif not found and loaded.image.format == "TIFF":
        tags = _tags(loaded.image)
        found = photoshop.sound(tags.get(photoshop.TIFF_IPTC)) if tags else None
    return found or photoshop.sound(info.get("iptc"))


def _read_density(loaded: Loaded) -> bytes | None:
    data, note = density.of_info(loaded.image.format, loaded.image.info)
    if note:
        loaded.notes.append(note)
    return data


def _iptc_to_jpeg(kind: Kind, saving: Saving, data: bytes) -> None:
    segment = photoshop.JPEG_NAME + photoshop.resources_of_iptc(data)
    saving.options["extra"] = b"\xff\xed" + (len(segment) + 2).to_bytes(2) + segment


def _iptc_to_png(kind: Kind, saving: Saving, data: bytes) -> None:
    _png_info(saving).add_text("Raw profile type iptc", photoshop.text_of_iptc(data), zip=True)


def _iptc_to_tiff(kind: Kind, saving: Saving, data: bytes) -> None:
    saving.tags[photoshop.TIFF_IPTC] = Entry(7, len(data), data)


def _density_to_jpeg(kind: Kind, saving: Saving, data: bytes) -> None:
    across, down = (min(max(round(side), 1), 65535) for side in density.unpacked(data))
    saving.options["dpi"] = across, down


def _density_to_tiff(kind: Kind, saving: Saving, data: bytes) -> None:
    for tag, side in zip((282, 283), density.unpacked(data), strict=True):
        saving.tags[tag] = Entry(5, 1, side.numerator.to_bytes(4, "little") + side.denominator.to_bytes(4, "little"))
    saving.tags[296] = Entry(3, 1, b"\2\0")  # inches


def _floats(data: bytes) -> tuple[float, float]:
    across, down = density.unpacked(data)
    return float(across), float(down)


def _tags(image: Image.Image) -> Image.Exif | None:
    try:
        return image.getexif()
    except Exception:
        return None  # a damaged EXIF block says nothing, and is no reason to refuse the pixels


def orientation(image: Image.Image) -> int:
    """1..8; 1, upright, where there is none or it makes no sense."""
    tags = _tags(image)
    value = tags.get(_ORIENTATION, 1) if tags else 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn(values: Bytes, orientation: int) -> Bytes:
    """[H, W, ...] as it is to be seen. Orientations 5 to 8 exchange H and W."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


# Where Pillow writes it by an argument of its own name.
_NAMED = dict.fromkeys(("PNG", "JPEG", "WEBP", "TIFF"), Kind.put)
_EXIF_FORMATS = _NAMED | {"TIFF": _exif_to_tiff}
_XMP_FORMATS = _NAMED | {"PNG": _xmp_to_png, "TIFF": _xmp_to_tiff}
_IPTC_FORMATS = {"PNG": _iptc_to_png, "JPEG": _iptc_to_jpeg, "TIFF": _iptc_to_tiff}
_DENSITY_FORMATS = {"PNG": Kind.put, "JPEG": _density_to_jpeg, "TIFF": _density_to_tiff, "BMP": Kind.put}


def _prefixed(data: bytes) -> bytes:
    return exif.EXIF_PREFIX + data


KINDS = (
    Kind("icc", "ICC profile", ICC, "icc_profile", _read_icc, _NAMED, 255 * (_SEGMENT - 14)),
    Kind("exif", "EXIF", EXIF, "exif", _read_exif, _EXIF_FORMATS, _SEGMENT - 6, _prefixed, exif.upright),
    Kind("xmp", "XMP", XMP, "xmp", _read_xmp, _XMP_FORMATS, _SEGMENT - 29),
    Kind("iptc", "IPTC", IPTC, "iptc", _read_iptc, _IPTC_FORMATS, _SEGMENT - 27),
    Kind("density", "resolution", DENSITY, "dpi", _read_density, _DENSITY_FORMATS, 8, _floats, density.sound),
)
"""All kinds of metadata, in the order of their chunks."""
