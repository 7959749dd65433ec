"""What an image file says about its pixels: the kinds of metadata, how each is read, and which formats hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...bitstream.container import CICP, DENSITY, EXIF, ICC, IPTC, XMP
from . import colour, density, exif, jpeg, metadata_formats, photoshop, png, xmp
from .metadata_formats import Saving
from .tiff_directory import Directory, Structure

if TYPE_CHECKING:
    from PIL import Image

_SEGMENT = 65533  # bytes in one of a JPEG file; EXIF and XMP have one each, with a name in front, a profile up to 255


@dataclass(frozen=True)
class Metadata:
    """What goes with the pixels of a picture: the bytes of each of KINDS as a .cae file stores them, or None.

    icc: an ICC profile; exif: a TIFF structure, without the "Exif" prefix of JPEG; xmp: an XMP packet; iptc: IPTC-IIM
    data sets; density: two u32 of 1/10000 of a pixel per inch; cicp: four code points of H.273, which say what colours
    mean.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    density: bytes | None = None
    cicp: bytes | None = None

    def parts(self) -> Iterator[tuple[Kind, bytes]]:
        """The kinds that there are, with their bytes, in the order of KINDS."""
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


@dataclass(frozen=True)
class Kind:
    """A kind of metadata.

    name: of its field in `Metadata` and in `cae info --json`; title: for people; chunk: its kind in a .cae file;
    key: Pillow's name in `Image.info` and among the arguments of `Image.save`, shown: the bytes as they are there;
    read: its bytes in a loaded image; formats: what adds it to what a format is saved with, or says why not, by
    Pillow's names of the formats that hold it, None where Pillow writes it under `key`; jpeg_bytes: how many of them
    JPEG does; clean: makes the bytes in a .cae file fit the pixels.
    """

    name: str
    title: str
    chunk: bytes
    key: str
    read: Callable[[Loaded], bytes | None]
    formats: Mapping[str, Callable[[Saving, bytes], str | None] | None]
    jpeg_bytes: int
    shown: Callable[[bytes], Any] = bytes
    clean: Callable[[bytes], bytes] = bytes

    def put(self, saving: Saving, data: bytes) -> str | None:
        """Adds metadata of this kind to what a format is saved with, one of `formats`. Returns a line where it becomes
        something else or cannot be added."""
        write = self.formats[saving.format]
        if write:
            return write(saving, data)
        saving.options[self.key] = self.shown(data)
        return None


def read_metadata(loaded: Loaded) -> Metadata:
    """The metadata of a loaded image, EXIF and XMP with orientation 1."""
    metadata = Metadata(**{kind.name: kind.read(loaded) for kind in KINDS})
    said = exif.resolution(metadata.exif) if metadata.exif else None
    return replace(metadata, density=None) if said and density.packed(said) == metadata.density else metadata


def put_metadata(image: Image.Image, metadata: Metadata) -> None:
    """Puts metadata into the `info` of an image, under Pillow's names; an ICC profile as one that fits its mode."""
    icc = colour.fitted(metadata.icc, grey=image.mode in ("L", "LA")) if metadata.icc else None
    for kind, data in _with_density(replace(metadata, icc=icc)).parts():
        if data:
            image.info[kind.key] = kind.shown(data)


def _with_density(metadata: Metadata) -> Metadata:
    """Metadata with the resolution that its EXIF block has, where there is no other."""
    said = exif.resolution(metadata.exif) if metadata.exif and not metadata.density else None
    return replace(metadata, density=density.packed(said)) if said else metadata


def fit_metadata(metadata: Metadata, width: int, height: int, *, moved: str = "") -> tuple[Metadata, tuple[str, ...]]:
    """Metadata made to fit pixels of a size, and a line for what of it is dropped.

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


def save_options(metadata: Metadata, format: str, *, grey: bool) -> tuple[Saving, tuple[str, ...]]:
    """What to save a picture with in a format, by Pillow's name, for its metadata, and a line for what of that is left
    out or becomes something else. grey: whether the picture is."""
    saving = Saving(format, grey and format not in ("BMP", "WEBP"))  # profiles of these are for colour
    notes: list[str] = []
    lacking: list[str] = []
    if metadata.cicp and not metadata.icc and format in _ICC_FORMATS and format != "PNG":
        icc = colour.profile_of_cicp(metadata.cicp, grey=saving.grey)
        if icc:
            notes.append(f"colours ({colour.name(metadata.cicp)}) by an ICC profile")
            metadata = replace(metadata, icc=icc, cicp=None)
    if metadata.density or format in _DENSITY_FORMATS:  # of a format without any, EXIF alone is named
        metadata = _with_density(metadata)
    for kind, data in metadata.parts():
        if format == "JPEG" and len(data) > kind.jpeg_bytes:
            notes.append(f"{kind.name.upper()} left out: JPEG holds {kind.jpeg_bytes:,} bytes of it at most")
        elif data and format in kind.formats:
            note = kind.put(saving, data)
            notes += [note] if note else []
        elif data:
            lacking.append(f"{kind.title} ({colour.name(data)})" if kind.chunk == CICP else kind.title)
    if lacking:
        notes.append(f"left out, since {format} holds none: {', '.join(lacking)}")
    return saving, tuple(notes)


def _read_icc(loaded: Loaded) -> bytes | None:
    info, grey = loaded.image.info, loaded.image.mode in ("1", "L", "LA", "La", "I", "I;16", "I;16B")
    icc: bytes | None = info.get("icc_profile") or None
    if icc or info.get("cicp") or "srgb" in info:
        return icc
    points: object = info.get("chromaticity")
    said = info.get("gamma"), points
    if loaded.page:  # which has tags for the same
        structure, directory = loaded.page
        white, rgb = (structure.fractions(directory.entries.get(tag)) for tag in (318, 319))
        said = (None, tuple(map(float, white + rgb)))
    icc = colour.profile_of_png(*said, grey=grey)
    if icc:
        loaded.notes.append("gamma and chromaticities kept as an ICC profile")
    return icc


def _read_exif(loaded: Loaded) -> bytes | None:
    block = loaded.image.info.get("exif")
    if loaded.page:
        block, left_out = exif.of_directory(*loaded.page)
        if left_out:
            loaded.notes.append(f"TIFF tags left out: {', '.join(map(str, left_out))}")
    elif not isinstance(block, bytes):
        # An open TIFF file (and an old convention for PNG) has the tags in another form.
        tags = exif.tags_of(loaded.image)
        block = exif.of_tags(tags) if tags else None
    return exif.upright(block.removeprefix(exif.EXIF_PREFIX)) if block else None


def _read_xmp(loaded: Loaded) -> bytes | None:
    packet = loaded.image.info.get("xmp") or loaded.image.info.get(png.XMP)
    if isinstance(packet, str):
        packet = packet.encode()
    segments = getattr(loaded.image, "applist", ())
    left_out = jpeg.left_out(segments, packet or b"")
    if not segments and loaded.image.info.get("comment"):
        left_out.append("comment")
    if left_out:
        loaded.notes.append(f"left out: {', '.join(left_out)}")
    if not packet:
        return None
    clean = xmp.without_claims(packet)
    if clean is None:
        loaded.notes.append("XMP dropped: it speaks of what is left out")
    return clean and xmp.upright(clean)


def _read_iptc(loaded: Loaded) -> bytes | None:
    info = loaded.image.info
    resources = info.get("photoshop")
    found = photoshop.sound(resources.get(photoshop.IPTC)) if isinstance(resources, dict) else None
    if loaded.page:
        found = photoshop.iptc_of_tags(loaded.page[0], loaded.page[1].entries)
    elif not found and loaded.image.format == "TIFF":
        tags = exif.tags_of(loaded.image)
        found = photoshop.sound(tags.get(photoshop.TIFF_IPTC)) if tags else None
    return found or photoshop.sound(info.get("iptc"))


def _read_density(loaded: Loaded) -> bytes | None:
    data, note = density.of_info(loaded.image.format, loaded.image.info)
    if note:
        loaded.notes.append(note)
    return data


def _read_cicp(loaded: Loaded) -> bytes | None:
    cicp = _sound_cicp(loaded.image.info.get("cicp") or b"")
    if not cicp or colour.is_default(cicp):
        return None
    if cicp[1] in colour.HDR:
        loaded.notes.append(f"high dynamic range ({colour.name(cicp)}) with 8 bits: steps may show")
    return cicp


def _sound_cicp(cicp: bytes) -> bytes:
    return cicp if isinstance(cicp, bytes) and len(cicp) == 4 else b""


def _floats(data: bytes) -> tuple[float, float]:
    across, down = density.unpacked(data)
    return float(across), float(down)


_BY_PILLOW = dict.fromkeys(("PNG", "JPEG", "WEBP", "TIFF"))
_ICC_FORMATS = dict.fromkeys((*_BY_PILLOW, "BMP"), metadata_formats.put_icc)
_EXIF_FORMATS = _BY_PILLOW | {"TIFF": metadata_formats.exif_to_tiff}
_XMP_FORMATS = _BY_PILLOW | {"PNG": metadata_formats.xmp_to_png, "TIFF": metadata_formats.xmp_to_tiff}
_IPTC_FORMATS = {
    "PNG": metadata_formats.iptc_to_png,
    "JPEG": metadata_formats.iptc_to_jpeg,
    "TIFF": metadata_formats.iptc_to_tiff,
}
_DENSITY_FORMATS = {
    "PNG": None,
    "JPEG": metadata_formats.density_to_jpeg,
    "TIFF": metadata_formats.density_to_tiff,
    "BMP": None,
}
_CICP_FORMATS = {"PNG": metadata_formats.cicp_to_png}


def _prefixed(data: bytes) -> bytes:
    return exif.EXIF_PREFIX + data


KINDS = (
    Kind("icc", "ICC profile", ICC, "icc_profile", _read_icc, _ICC_FORMATS, 255 * (_SEGMENT - 14)),
    Kind("exif", "EXIF", EXIF, "exif", _read_exif, _EXIF_FORMATS, _SEGMENT - 6, _prefixed, exif.upright),
    Kind("xmp", "XMP", XMP, "xmp", _read_xmp, _XMP_FORMATS, _SEGMENT - 29),
    Kind("iptc", "IPTC", IPTC, "iptc", _read_iptc, _IPTC_FORMATS, _SEGMENT - 27),
    Kind("density", "resolution", DENSITY, "dpi", _read_density, _DENSITY_FORMATS, 8, _floats, density.sound),
    Kind("cicp", "colour", CICP, "cicp", _read_cicp, _CICP_FORMATS, 4, bytes, _sound_cicp),
)
"""All kinds of metadata, in the order of their chunks."""
