"""`cae info`: what is in a .cae file."""

from __future__ import annotations

import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..codec.machine.files import write_file
from .failures import BAD_CAE_FILE, NO_OUTPUT, about, one_line
from .files import check_output, read_input
from .options import FILE, max_pixels

if TYPE_CHECKING:
    from ..codec.info import Info

_PARTS = {"hyper": "hyper-latents, by the probabilities they had"}


@click.command()
@click.argument("source", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--sections", is_flag=True, help="Also decode the latents and show what each part of them takes.")
@click.option(
    "--map", "bits", metavar="IMAGE", type=FILE, help="Write an image of where the bits went, dark where few did."
)
@max_pixels
def info(source: Path, as_json: bool, sections: bool, bits: Path | None, max_pixels: int) -> None:
    """Check FILE (.cae) and show what is in it. "-" is standard input."""
    from ..codec.info import info

    if bits is not None:
        with about(bits, NO_OUTPUT):
            check_output(bits, source)
    with about(source, BAD_CAE_FILE):
        data = read_input(source)
        result = info(data)
    parts: dict[str, float] = {}
    brightest = None
    if sections or bits is not None:
        from ..bitstream.container import unpack
        from ..bitstream.header import read_header
        from ..codec.bit_usage import bit_usage, bits_map
        from ..codec.decode.decoder import check_size
        from ..codec.image.picture import read_picture
        from ..codec.image.save import output_format, save_picture
        from ..codec.select import load_decoder

        with about(source, BAD_CAE_FILE):
            check_size(result.width, result.height, max_pixels)
        with about(source):
            found = bit_usage(load_decoder("cpu", read_header(data)), unpack(data))
        parts = {"hyper": found.hyper / 8} | {f"step {n}": bits / 8 for n, bits in enumerate(found.steps, 1)}
        if bits is not None:
            image, brightest = bits_map(found, result.width, result.height)
            with about(bits, NO_OUTPUT):
                file = BytesIO()
                save_picture(read_picture(image, max_pixels), file, output_format(bits))
                write_file(bits, file.getvalue())
    if as_json:
        derived = {"quality": result.quality, "bpp": result.bpp, "ratio": result.ratio}
        extra = ({"section_bytes": parts} if parts else {}) | ({"map_bpp": brightest} if brightest else {})
        click.echo(json.dumps(asdict(result) | derived | extra, indent=2))
    else:
        click.echo(_text(source, result, parts))
        if brightest is not None:
            click.echo(f"{bits}: the brightest colour is {brightest:.3f} bits per pixel and more")


def _text(source: Path, info: Info, parts: dict[str, float]) -> str:
    from ..codec.image.metadata import KINDS

    titles = {kind.name: kind.title for kind in KINDS}
    how = "without loss" if info.patches_exact else "in fewer colours"
    remarks = {"patches": f"{'all pixels' if info.lossless else 'parts'}, {how}"}
    tiles = "1 tile" if info.tiles == 1 else f"{info.tiles} tiles"
    as_grey = ", coded as grey: red, green and blue are equal" if "as_rgb" in info.chunk_bytes else ""
    rows = [("pixels", info.tile_bytes, f"{tiles} of up to {info.tile_side}x{info.tile_side}{as_grey}")]
    rows += [(f"  {name}", round(size), _PARTS.get(name, "latents")) for name, size in parts.items()]
    rows += [
        (titles.get(name, name), size, remarks.get(name, ""))
        for name, size in info.chunk_bytes.items()
        if name != "as_rgb"
    ]
    rows += [("overhead", info.overhead_bytes, "header, lengths, checksums")]
    installed = "installed" if info.weights_installed else "not installed: it cannot be decoded here"
    name = one_line(str(source))
    lines = [
        f"{name}: {info.width}x{info.height} {info.mode}, {info.file_bytes:,} bytes, {info.bpp:.3f} bpp, "
        f"{info.ratio:.1f}:1 (8-bit pixels)",
        *(f"  {name:<12}{size:>13,} bytes  {remark}".rstrip() for name, size, remark in rows),
        f"  {'quality':<12}" + ("lossless" if info.lossless else f"{info.quality:.4g}, row {info.row} of 0..255"),
        f"  {'weights':<12}{info.fingerprint}, {installed}",
        f"  {'format':<12}version {info.version}",
    ]
    return "\n".join(lines)
