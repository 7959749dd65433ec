"""Files that cannot be read here, by what they begin with: what they are, and what to do."""

from __future__ import annotations

from .tiff_pages import RAW

_RAWS = {
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"IIU\0": "RW2",
    b"FUJIFILMCCD-RAW": "RAF",
    b"FOVb": "X3F",
    b"\0MRM": "MRW",
}
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_OTHERS = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "XML, such as SVG",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"II\xbc": "JPEG XR",
    b"PK\x03\x04": "ZIP",
    b"gimp xcf": "XCF, of GIMP",
    b"BPG\xfb": "BPG",
    b"8BPB": "PSB, of Photoshop",
}

SUFFIXES = {
    *(".3fr", ".arw", ".bpg", ".cr2", ".cr3", ".crw", ".cur", ".dcr", ".dds", ".dib", ".dng", ".eps", ".erf"),
    *(".exr", ".hdr", ".heic", ".heif", ".hif", ".icns", ".ico", ".iiq", ".j2k", ".jp2k", ".jpx", ".jxl"),
    *(".jxr", ".k25", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pcx", ".pef", ".psb", ".psd"),
    *(".qoi", ".raf", ".raw", ".rw2", ".rwl", ".sgi", ".sr2", ".srf", ".srw", ".svg", ".svgz", ".wdp", ".x3f"),
    *(".xcf"),
}
"""Names of pictures that are not taken from a folder."""


def name(data: bytes) -> str | None:
    """A line that says what a file is that Pillow does not read, and what to do; None where that is not known."""
    for magic, raw in _RAWS.items():
        if data.startswith(magic):
            return RAW.format(raw)
    if data[6:14] == b"HEAPCCDR":
        return RAW.format("CRW")
    if data[4:8] == b"ftyp":
        brand = data[8:12]
        if brand == b"crx ":
            return RAW.format("CR3")
        title = "HEIF, as HEIC files are" if brand in _HEIF else "AVIF" if brand in (b"avif", b"avis") else "a video"
        return f"{title}, which cannot be read here; convert it to PNG or JPEG first"
    for magic, title in _OTHERS.items():
        if data.lstrip().startswith(magic):
            return f"{title}, which cannot be read here; convert it to PNG or JPEG first"
    return None
