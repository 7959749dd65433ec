"""`cae info`: what is in a .cae file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failures import BAD_CAE_FILE, about
from .options import FILE

if TYPE_CHECKING:
    from ..codec.info import Info

_TITLES = {"alpha": "alpha", "icc": "ICC profile", "exif": "EXIF", "xmp": "XMP"}


@click.command()
@click.argument("source", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(source: Path, as_json: bool) -> None:
    """Check FILE (.cae) and show what is in it."""
    from ..codec.info import info

    with about(source, BAD_CAE_FILE):
        result = info(source.read_bytes())
    if as_json:
        click.echo(json.dumps(asdict(result) | {"bpp": result.bpp, "ratio": result.ratio}, indent=2))
    else:
        click.echo(_text(source, result))


def _text(source: Path, info: Info) -> str:
    tiles = "1 tile" if info.tiles == 1 else f"{info.tiles} tiles"
    rows = [("pixels", info.tile_bytes, f"{tiles} of up to {info.tile_side}x{info.tile_side}")]
    rows += [(_TITLES.get(name, name), size, "") for name, size in info.chunk_bytes.items()]
    rows += [("overhead", info.overhead_bytes, "header, lengths, checksums")]
    installed = "installed" if info.weights_installed else "not installed: it cannot be decoded here"
    lines = [
        f"{source}: {info.width}x{info.height} {info.mode}, {info.file_bytes:,} bytes, {info.bpp:.3f} bpp, "
        f"{info.ratio:.1f}:1 (8-bit pixels)",
        *(f"  {name:<12}{size:>13,} bytes  {remark}".rstrip() for name, size, remark in rows),
        f"  {'quality':<12}row {info.row} of 0..255",
        f"  {'weights':<12}{info.fingerprint}, {installed}",
        f"  {'format':<12}version {info.version}",
    ]
    return "\n".join(lines)
