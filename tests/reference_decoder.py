"""A second decoder of .cae files, from bitstream/FORMAT.md and a weights file alone: numpy and the standard library.

    python tests/reference_decoder.py weights/cae.safetensors photo.cae photo.ppm

Streams of patches and alpha are WebP's, which Pillow reads. It shares no code with the package and is made to be read
beside the specification, not to be fast: a symbol at a time, the state of the coder a Python integer, sums in float64,
exact for integers below 2^53. It takes any file that the specification allows and rejects the others by the names of
section 9.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Array = np.ndarray[Any, Any]
A = 1023  # of section 8


class Rejected(Exception):
    """A file that must be rejected; `error` is the name in section 9."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error


def require(condition: bool, error: str, cause: str) -> None:
    if not condition:
        raise Rejected(error, cause)


# Sections 1 to 5: bytes to header, chunks and tiles.


class Header(NamedTuple):
    grey: bool
    row: int
    tile: int
    fingerprint: bytes
    width: int
    height: int


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        require(self.at + size <= len(self.data), "TruncatedError", f"{size} bytes at {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def varint(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            require(value < 2**32 and shift <= 28, "CorruptError", "varint beyond 32 bits")
            if byte < 128:
                require(byte > 0 or shift == 0, "CorruptError", "varint longer than necessary")
                return value
            shift += 7

    def length(self) -> int:
        value = self.varint()
        require(value <= 2**30, "LimitError", "length")
        return value

    def crc(self, start: int) -> None:
        """Of the record that began at `start`."""
        expected = zlib.crc32(self.data[start : self.at])
        require(self.u32() == expected, "CorruptError", f"crc of the record at {start}")


def parse(data: bytes) -> tuple[Header, dict[bytes, bytes], list[tuple[int, bytes]]]:
    """Header, known chunks, and (checksum of the latents, payload) of each tile."""
    reader = Reader(data)
    require(data[:4] == b"\x89cae"[: len(data)] and data != b"", "NotCaeError", "magic")
    require(len(data) < 5 or data[4] == 1, "UnsupportedVersionError", "version")
    reader.take(5)
    flags, row, tile = reader.take(3)
    header = Header(bool(flags & 1), row, tile, reader.take(4), reader.varint(), reader.varint())
    reader.crc(0)
    require(flags < 4, "CorruptError", "reserved flag")
    require(header.width > 0 and header.height > 0 and 1 <= tile <= 32, "CorruptError", "size")
    require(max(header.width, header.height) <= 2**20, "LimitError", "side")
    require(header.width * header.height <= 2**30, "LimitError", "pixels")
    chunks = parse_chunks(reader) if flags & 2 else {}
    skipped, _ = patches(chunks, header)
    tiles = []
    areas = tile_areas(header)
    require(9 * len(areas) <= len(data) - reader.at, "TruncatedError", "tiles")
    for top, left, height, width in areas:
        start = reader.at
        length = reader.length()
        is_skipped = skipped[top // 4 : (top + height) // 4, left // 4 : (left + width) // 4].all()
        require(height * width // 16 <= 16 + length or is_skipped, "LimitError", "cells of a tile")
        tiles.append((reader.u32(), reader.take(length)))
        reader.crc(start)
    require(reader.at == len(data), "CorruptError", "bytes after the last tile")
    return header, chunks, tiles


def parse_chunks(reader: Reader) -> dict[bytes, bytes]:
    start, count = reader.at, reader.varint()
    reader.crc(start)
    require(count > 0, "CorruptError", "no chunks")
    require(count <= 64, "LimitError", "number of chunks")
    found = []
    for _ in range(count):
        start = reader.at
        kind = reader.take(4)
        found.append((kind, reader.take(reader.length())))
        reader.crc(start)
    known = {}
    for kind, content in found:
        require(kind.isascii() and kind.isalpha(), "CorruptError", "kind of a chunk")
        if kind in (b"ALPH", b"ALPW", b"PTCH", b"iccp", b"exif", b"xmpp", b"iptc", b"dens", b"cicp", b"rgbo"):
            require(kind not in known, "CorruptError", "two chunks of a kind")
            known[kind] = content
        else:
            require(kind[:1].islower(), "UnknownChunkError", kind.decode())
    require(not {b"ALPH", b"ALPW"} <= set(known), "CorruptError", "two alpha planes")
    return known


def tile_areas(header: Header) -> list[tuple[int, int, int, int]]:
    """(top, left, height, width) of each tile, in latent positions."""
    height, width, side = 4 * -(-header.height // 64), 4 * -(-header.width // 64), 4 * header.tile
    return [
        (top, left, min(side, height - top), min(side, width - left))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def alpha_plane(data: bytes, height: int, width: int) -> Array:
    """Section 6: uint8 [height, width]."""
    inflater = zlib.decompressobj(-15)
    try:
        rows = inflater.decompress(data, height * (1 + width) + 1)
    except zlib.error as error:
        raise Rejected("CorruptError", str(error)) from error
    complete = len(rows) == height * (1 + width) and inflater.eof and not inflater.unused_data
    require(complete, "CorruptError", "ALPH is not one stream of the expected length")
    plane = np.zeros((height, width), np.uint8)
    above = plane[0]
    for y in range(height):
        line = np.frombuffer(rows, np.uint8, width, y * (1 + width) + 1)
        kind = rows[y * (1 + width)]
        require(kind <= 2, "CorruptError", "filter")
        plane[y] = (line, np.cumsum(line, dtype=np.uint8), line + above)[kind]
        above = plane[y]
    return plane


def areas(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Section 6: top, left, height and width of each area."""
    return [
        (top, left, min(4096, height - top), min(4096, width - left))
        for top in range(0, height, 4096)
        for left in range(0, width, 4096)
    ]


def vp8l(stream: bytes, height: int, width: int) -> Array:
    """uint8 [height, width, 4]."""
    size = int.from_bytes(stream[1:5], "little")
    require(len(stream) > 4 and stream[0] == 0x2F and size < 2**29, "CorruptError", "not VP8L")
    require(size % 2**28 == (width - 1) + (height - 1 << 14), "CorruptError", "size of an area")
    file = b"WEBPVP8L" + len(stream).to_bytes(4, "little") + stream + bytes(len(stream) % 2)
    try:
        image = Image.open(io.BytesIO(b"RIFF" + len(file).to_bytes(4, "little") + file), formats=["WEBP"])
        return np.array(image.convert("RGBA"))
    except Exception as error:
        raise Rejected("CorruptError", str(error)) from error


def alpha_streams(data: bytes, height: int, width: int) -> Array:
    """Section 6: uint8 [height, width]."""
    plane = np.zeros((height, width), np.uint8)
    reader = Reader(data)
    parts = [(area, reader.take(reader.length())) for area in areas(height, width)]
    require(reader.at == len(data), "CorruptError", "bytes after the last stream")
    for (top, left, rows, columns), stream in parts:
        plane[top : top + rows, left : left + columns] = vp8l(stream, rows, columns)[..., 1]
    return plane


def patches(chunks: dict[bytes, bytes], header: Header) -> tuple[Array, list[tuple[int, int, int, int, bytes]]]:
    """Section 6: bool for each cell, whether it is skipped; top, left, height, width and stream of each area."""
    rows, columns = -(-header.height // 64), -(-header.width // 64)
    if b"PTCH" not in chunks:
        return np.zeros((rows, columns), bool), []
    reader = Reader(chunks[b"PTCH"])

    def record() -> bytes:
        start = reader.at
        data = reader.take(reader.length())
        reader.crc(start)
        return data

    packed, size = record(), -(-rows * columns // 8)
    require(packed[:1] in (b"\0", b"\1"), "CorruptError", "neither exact nor changed")
    inflater = zlib.decompressobj(-15)
    try:
        bits = inflater.decompress(packed[1:], size + 1)
    except zlib.error as error:
        raise Rejected("CorruptError", str(error)) from error
    require(len(bits) == size and inflater.eof and not inflater.unused_data, "CorruptError", "the map")
    cells = np.unpackbits(np.frombuffer(bits, np.uint8))
    require(not cells[rows * columns :].any(), "CorruptError", "bits that are no cells")
    streams = [(*area, record()) for area in areas(header.height, header.width)]
    require(reader.at == len(reader.data), "CorruptError", "bytes after the last stream")
    return cells[: rows * columns].reshape(rows, columns).astype(bool), streams


def lay_over(pixels: Array, skipped: Array, streams: list[tuple[int, int, int, int, bytes]]) -> None:
    """Patches over float32 [H, W, 3], in place."""
    for top, left, height, width, stream in streams:
        shown = np.zeros((height, width), bool)
        place = slice(top, top + height), slice(left, left + width)
        if stream:
            rgba = vp8l(stream, height, width)
            require(bool(np.isin(rgba[..., 3], (0, 255)).all()), "CorruptError", "alpha of a patch")
            shown = rgba[..., 3] == 255
            pixels[place][shown] = rgba[..., :3][shown]
        covered = skipped.repeat(64, axis=0).repeat(64, axis=1)[: pixels.shape[0], : pixels.shape[1]][place]
        require(not (covered & ~shown).any(), "CorruptError", "a skipped cell that is not covered")


# Section 7: the entropy coder.


class Coder:
    def __init__(self, payload: bytes, tables: list[list[int]]) -> None:
        """tables: for each row the cumulative frequencies of its entries, up to 2^24; empty for a skip row."""
        require(not payload.endswith(b"\0"), "CorruptError", "the payload ends in a zero byte")
        self.words = list(np.frombuffer(payload + bytes(-len(payload) % 4), "<u4").tolist())
        self.tables = tables
        self.state = 0
        self.refill()

    def refill(self) -> None:
        while self.state < 2**32 and self.words:
            self.state = self.state * 2**32 + self.words.pop()

    def number(self, cumulative: list[int]) -> int:
        """The index of an entry; entry i has the frequency cumulative[i + 1] - cumulative[i]."""
        q = self.state % 2**24
        index = bisect_right(cumulative, q) - 1
        c = cumulative[index]
        self.state = (cumulative[index + 1] - c) * (self.state // 2**24) + q - c
        self.refill()
        return index

    def step(self, rows: Array) -> Array:
        """The symbols of a step, int64 [n], for their rows."""
        symbols = np.zeros(len(rows), np.int64)
        escaped = []
        for row in np.unique(rows):
            table = self.tables[row]
            if table:
                half_width = (len(table) - 3) // 2
                for position in np.flatnonzero(rows == row):
                    symbols[position] = self.number(table) - half_width
                    if symbols[position] > half_width:
                        escaped.append(int(position))
        escaped.sort()
        classes = [self.number(CLASSES) + 1 for _ in escaped]
        for position, bits in zip(escaped, classes, strict=True):
            half = 2 ** (bits - 1)
            value = self.number([2 ** (24 - bits) * i for i in range(2 * half + 1)])
            excess = half + value % half
            half_width = (len(self.tables[rows[position]]) - 3) // 2
            symbols[position] = half_width + excess if value < half else -half_width - excess
        return symbols

    def end(self) -> None:
        require(self.state == 0 and not self.words, "CorruptError", "the payload is not used up")


CLASSES = [0, *np.cumsum([2 ** (24 - b) for b in range(1, 20)] + [2**5]).tolist()]


# Section 8: weights, layers, latents, pixels.


class Weights:
    def __init__(self, data: bytes) -> None:
        """data: a safetensors file: the length of a JSON header as u64, the header, the tensors."""
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        del header["__metadata__"]
        self.fingerprint = hashlib.sha256(data).digest()[:4]
        kinds = {"F16": "<f2", "F64": "<f8", "F32": "<f4", "I16": "<i2", "I32": "<i4", "I8": "i1", "U8": "u1"}
        self.tensors: dict[str, Array] = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[start + begin : start + end], kinds[entry["dtype"]])
            self.tensors[name] = values.astype(np.float64).reshape(entry["shape"])
        counts = self["counts"].astype(int).tolist()
        self.tables: list[list[int]] = []
        for half_width in self["half_widths"].astype(int).tolist():
            entries = 2 * half_width + 2 if half_width else 0
            self.tables.append([0, *np.cumsum(counts[:entries]).tolist()] if entries else [])
            counts = counts[entries:]
        self.tables = [[256 * c for c in table] for table in self.tables]

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name]

    # Layers on [h, w, channels].

    def pointwise(self, name: str, u: Array) -> Array:
        sums = u @ self[f"{name}.weight"].T + self[f"{name}.bias"]
        return np.asarray(sums * self[f"{name}.multiplier"])

    def wide(self, name: str, x: Array, step: int) -> Array:
        """float32: the two sums are exact, what they add up to is rounded."""
        weight, multiplier = self[f"{name}.weight"].T, self[f"{name}.multiplier"]
        upper, lower = np.floor(x / step) @ weight, x % step @ weight + self[f"{name}.bias"]
        return np.asarray(np.float32(multiplier * step * upper) + np.float32(multiplier * lower))

    def depthwise(self, name: str, u: Array) -> Array:
        height, width, _ = u.shape
        padded = np.pad(u, ((1, 1), (1, 1), (0, 0)))
        weight = self[f"{name}.weight"]
        sums = self[f"{name}.bias"] + sum(
            padded[dy : dy + height, dx : dx + width] * weight[:, 0, dy, dx] for dy in range(3) for dx in range(3)
        )
        return np.asarray(sums * self[f"{name}.multiplier"])

    def block(self, name: str, x: Array) -> Array:
        u = operands(self.pointwise(f"{name}.mix", narrowed(x)))
        u = operands(self.depthwise(f"{name}.spatial", u))
        x = single(x) + single(self.pointwise(f"{name}.project", u))
        value, gate = (single(self.pointwise(f"{name}.{part}", narrowed(x))) for part in ("value", "gate"))
        product = operands(128 + np.rint(value * np.clip(gate, 0, np.float32(6))))
        return x + single(self.pointwise(f"{name}.contract", product))


def single(x: Array) -> Array:
    return x.astype(np.float32)


def limited(x: Array) -> Array:
    return np.clip(np.rint(x.astype(float)), -A, A)


def operands(x: Array) -> Array:
    return np.clip(np.rint(x), 0, 255).astype(float)


def narrowed(x: Array) -> Array:
    return operands(128 + np.rint(x / np.float32(8)))


def unfold(x: Array, factor: int) -> Array:
    height, width, channels = x.shape
    n = channels // factor**2
    x = x.reshape(height, width, factor, factor, n).transpose(0, 2, 1, 3, 4)
    return x.reshape(height * factor, width * factor, n)


def decode_tile(weights: Weights, payload: bytes, row: int, height: int, width: int, skipped: Array) -> Array:
    """The latents of a tile: int64 [h, w, M], in sixteenths of a step. skipped: bool [h/4, w/4]."""
    if skipped.all():
        require(payload == b"", "CorruptError", "the payload of a tile that is skipped")
        return np.zeros((height, width, weights["unit"].shape[1]), np.int64)
    coder = Coder(payload, weights.tables)
    hyper_rows = weights["hyper_rows"][row].astype(int)
    z = coder.step(np.where(skipped[..., None], 0, hyper_rows).ravel())
    z = z.reshape(height // 4, width // 4, len(hyper_rows))
    halves = skipped.repeat(2, axis=0).repeat(2, axis=1)

    prior = "prior.hyper_synthesis"
    f = single(unfold(weights.pointwise(f"{prior}.enter", operands(128.0 + z)), 2))
    f = f + single(weights[f"{prior}.rate.rows"][row])
    f = single(unfold(weights.pointwise(f"{prior}.up", narrowed(weights.block(f"{prior}.blocks_32.0", f))), 2))
    f = weights.block(f"{prior}.blocks_16.0", f)

    unit, inverse, log_unit = (np.float32(weights[name][row]) for name in ("unit", "inverse_unit", "log_unit"))
    latents = np.zeros((height, width, len(unit)), np.float32)
    known = np.zeros(latents.shape)
    group = len(unit) // 4
    for s in range(4):
        prior = f"prior.steps.{s}"
        x = f
        if s > 0:
            x = weights.wide(f"{prior}.enter", known, 256) + f * single(weights[f"{prior}.add.ratio"])
        x = narrowed(weights.block(f"{prior}.blocks.0", x))
        places, means, rows = [], [], []
        for k, (dy, dx) in enumerate(((0, 0), (1, 1), (0, 1), (1, 0))):
            first = (k - s) % 4 * group
            part = slice(first, first + group)
            out = single(weights.pointwise(f"{prior}.leave.classes.{k}", x[dy::2, dx::2]))
            means.append(single(np.clip(np.rint(out[..., :group] * (unit[part] / 2**8)), -(2**20), 2**20)))
            rows.append(np.clip(np.rint(out[..., group:] / 2**8 + log_unit[part]), 0, 63).astype(int))
            places.append((slice(dy, None, 2), slice(dx, None, 2), part))
        symbols = coder.step(np.where(halves[..., None], 0, rows).ravel()).reshape(np.shape(means))
        for place, mean, symbol in zip(places, means, symbols, strict=True):
            latents[place] = mean + 16 * np.float32(symbol)
            known[place] = np.clip(np.rint(latents[place] * inverse[place[2]]), -(2**15) + 1, 2**15 - 1)
    coder.end()
    latents[skipped.repeat(4, axis=0).repeat(4, axis=1)] = 0
    return latents.astype(np.int64)


def synthesise(weights: Weights, latents: Array, row: int) -> Array:
    """The padded image, float32 [H, W, 3], whole numbers from 0 to 255. Sums are exact; what is not, is in float32."""

    def table(name: str) -> Array:
        return np.float32(weights[f"pixels.{name}"][row])

    steps = np.float32(latents)
    levels = np.clip(np.rint(steps * table("levels")) + 128, -(2**15), 2**15 - 1).astype(int)
    high, low = levels // 256 + 128, levels % 256
    both = np.concatenate([high, low], axis=-1)
    linear = single(weights.pointwise("pixels.linear.top", high))
    linear = linear + single(weights.pointwise("pixels.linear.middle", both))

    deviations = np.clip(np.rint(steps * table("deviations")), -(2**15) + 1, 2**15 - 1).astype(float)
    f = weights.wide("pixels.enter", deviations, 256) * table("gain_16")
    f = weights.block("pixels.blocks_16.1", weights.block("pixels.blocks_16.0", f))
    f = unfold(weights.wide("pixels.up", limited(f), 8) * np.tile(table("gain_8"), 4), 2)
    for name in ("blocks_8.0", "blocks_8.1", "blocks_8.2"):
        f = weights.block(f"pixels.{name}", f)
    x = unfold(linear, 16) + unfold(weights.wide("pixels.leave", limited(f), 8) * table("reach"), 8)
    return np.clip(np.rint(x), 0, 255)


def decode(data: bytes, weights: Weights) -> tuple[Array, Array, Array | None]:
    """(latents int32 [h, w, M], pixels uint8 [H, W, 3] or [H, W], alpha uint8 [H, W] or None). Raises Rejected."""
    header, chunks, tiles = parse(data)
    require(header.fingerprint == weights.fingerprint, "WrongWeightsError", header.fingerprint.hex())
    alpha = None
    for kind, read in ((b"ALPH", alpha_plane), (b"ALPW", alpha_streams)):
        alpha = read(chunks[kind], header.height, header.width) if kind in chunks else alpha
    skipped, patched = patches(chunks, header)
    channels = weights["unit"].shape[1]
    latents = np.zeros((4 * -(-header.height // 64), 4 * -(-header.width // 64), channels), np.int32)
    for (checksum, payload), (top, left, height, width) in zip(tiles, tile_areas(header), strict=True):
        cells = skipped[top // 4 : (top + height) // 4, left // 4 : (left + width) // 4]
        tile = decode_tile(weights, payload, header.row, height, width, cells)
        require(zlib.crc32(tile.astype("<i4").tobytes()) == checksum, "DecodeMismatchError", "checksum of the latents")
        latents[top : top + height, left : left + width] = tile
    pixels = synthesise(weights, latents, header.row)[: header.height, : header.width]
    lay_over(pixels, skipped, patched)
    if header.grey:
        pixels = np.rint(pixels.mean(axis=2))
    return latents, pixels.astype(np.uint8), alpha


def main(weights: str, source: str, output: str) -> None:
    """Write a file's pixels as PPM or PGM; alpha is left out."""
    _, pixels, _ = decode(Path(source).read_bytes(), Weights(Path(weights).read_bytes()))
    kind = "P5" if pixels.ndim == 2 else "P6"
    Path(output).write_bytes(f"{kind} {pixels.shape[1]} {pixels.shape[0]} 255\n".encode() + pixels.tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
