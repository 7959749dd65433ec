"""Makes what depends on the shipped weights: files.json, .cae files and what they decode to, and invalid/decoding.json,
files whose records are sound but which must not decode. Run it only when the weights or the encoder change.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from cae.bitstream.alpha import compress_plane as deflated_plane
from cae.bitstream.alpha import pack_streams
from cae.bitstream.container import ALPHA, ALPHA_STREAMS, Chunk, Container, Tile, pack, patches_of, unpack
from cae.bitstream.header import Header
from cae.bitstream.patches import pack_patches
from cae.bitstream.wire import sealed, varint
from cae.codec.encode.choice import Choice
from cae.codec.encode.mixed import with_patches
from cae.codec.encode.suspects import CELL
from cae.codec.image import alpha
from cae.codec.image.picture import read_picture
from cae.codec.image.webp import compress, compress_plane
from cae.codec.model.rate import rate_index_of
from cae.codec.torch_codec import Codec, load_codec

CASES = [("colour", (80, 112, 3), 0), ("colour", (80, 112, 3), 50), ("grey", (70, 40), 75), ("rgba", (33, 65, 4), 100)]
PATCHED = [("all patches", (70, 100, 3), 50), ("changed patches of a grey image", (100, 150), 50)]
"""Of which the networks code nothing, and half of each row of cells. Streams need not be written again to the same
bytes: libwebp has versions."""


def pattern(shape: tuple[int, ...]) -> np.ndarray:
    """Slopes, an edge and a texture, by integer arithmetic alone: uint8 of the shape."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    planes = [(3 * x + 2 * y) % 256, (x * x // 16 + 5 * y) % 256, 128 + 60 * ((x // 8 + y // 8) % 2), 2 * x % 256]
    return (
        np.stack(planes, axis=-1)[..., : shape[2]].astype(np.uint8) if len(shape) == 3 else planes[1].astype(np.uint8)
    )


def main() -> None:
    """Write the file beside this one."""
    codec = load_codec("cpu")
    files = [
        (f"{name} {shape[1]}x{shape[0]} q {quality}", codec.encode(read_picture(pattern(shape)), quality))
        for name, shape, quality in CASES
    ]
    files += in_both_forms(files[-1][1])
    for name, shape, quality in PATCHED:
        pixels = pattern(shape)
        header = Header(shape[1], shape[0], len(shape) == 2, rate_index_of(quality), codec.fingerprint)
        cells = np.ones((-(-shape[0] // CELL), -(-shape[1] // CELL)), bool)
        if len(shape) == 2:
            cells[:, 3:] = False
        shown, exact = (pixels, True) if len(shape) == 3 else (pixels & 0xF0, False)
        coded = with_patches(codec.coder, pixels, header, Choice(cells, shown, exact), 2)
        files.append((f"{name} {shape[1]}x{shape[0]}", pack(coded)))
    cases = [case(codec, name, data) for name, data in files]
    folder = Path(__file__).parent
    write(folder / "files.json", cases)
    half = unpack(base64.b64decode(cases[-1]["file"]))
    write(folder / "invalid" / "decoding.json", invalid(unpack(base64.b64decode(cases[1]["file"]))) + patches(half))


def case(codec: Codec, name: str, data: bytes) -> dict[str, str]:
    """A file, its latents and pixels."""
    latents, decoded = codec.decode_latents(unpack(data)), codec.decode(data)
    return {
        "name": name,
        "file": base64.b64encode(data).decode("ascii"),
        "latents_sha256": hashlib.sha256(latents.tobytes()).hexdigest(),
        "mode": decoded.mode,
        "pixels": base64.b64encode(decoded.pixels.tobytes()).decode("ascii"),
        "alpha": "" if decoded.alpha is None else base64.b64encode(decoded.alpha.tobytes()).decode("ascii"),
    }


def in_both_forms(data: bytes) -> list[tuple[str, bytes]]:
    """A file with an alpha plane, with that in each of its two forms."""
    file = unpack(data)
    (own,) = (chunk for chunk in file.chunks if chunk.kind in alpha.KINDS)
    plane = alpha.from_chunk(own, file.header.height, file.header.width)
    rest = tuple(chunk for chunk in file.chunks if chunk is not own)
    return [
        (f"alpha in {kind.decode('ascii')}", pack(replace(file, chunks=(*rest, Chunk(kind, form)))))
        for kind, form in (
            (ALPHA, deflated_plane(plane)),
            (ALPHA_STREAMS, pack_streams([compress_plane(plane, 4, 75)])),
        )
    ]


def patches(half: Container) -> list[dict[str, str]]:
    """Files with patches that break a rule. half: one of 100 x 150 grey pixels, of whose cells every second column is
    skipped."""
    found = patches_of(half.header, half.chunks)
    assert found is not None
    (stream,) = found.streams
    none, height, width = np.zeros_like(found.skipped), half.header.height, half.header.width
    bits = np.packbits(none).tobytes()
    own = b"\1" + deflate(np.packbits(found.skipped).tobytes())  # with which the tiles decode
    shown = np.ones((height, width), bool)
    other = compress(np.zeros((height, width + 1, 3), np.uint8), np.ones((height, width + 1), bool), 4, 75)
    image = io.BytesIO()
    Image.new("RGBA", (width, height), (1, 2, 3, 128)).save(image, "WEBP", lossless=True, exact=True)
    plain = compress(np.zeros((height, width), np.uint8), shown, 4, 75)
    lengths = "PTCH: map or records of another length, bits that are no cells"
    streams = "PTCH: not VP8L, another size, alpha other than 0 and 255"
    covered = "PTCH: a skipped cell that is not covered"
    kind = "PTCH: neither exact nor changed: a first byte other than 0, 1"

    def records(*parts: bytes) -> bytes:
        return b"".join(sealed(varint(len(part)) + part) for part in parts)

    cut = records(b"\0" + deflate(bits), stream)
    cases = [
        ("a map of a byte more", lengths, records(b"\0" + deflate(bits + b"\0"), stream)),
        ("a map of a byte less", lengths, records(b"\0" + deflate(bits[:-1]), stream)),
        ("a bit beyond the map", lengths, records(b"\0" + deflate(bits[:-1] + b"\1"), stream)),
        ("a map that is no stream", lengths, records(b"\0\xff", stream)),
        ("an area too many", lengths, records(b"\0" + deflate(bits), stream, b"")),
        ("the checksum of a stream", "a crc does not match", cut[:-1] + bytes([cut[-1] ^ 1])),
        ("changed in a third way", kind, records(b"\2" + own[1:], stream)),
        ("a map of no bytes", kind, records(b"", stream)),
        ("no area", "the file ends within a record", records(b"\0" + deflate(bits))),
        ("not VP8L", streams, records(own, b"\x30" + stream[1:])),
        ("a header alone", streams, records(own, stream[:5])),
        ("three bytes", streams, records(own, stream[:3])),
        ("another version of VP8L", streams, records(own, stream[:4] + bytes([stream[4] | 32]) + stream[5:])),
        ("a stream cut short", streams, records(own, stream[: len(stream) // 2])),
        ("a stream of a larger picture", streams, records(own, other)),
        ("alpha 128", streams, records(own, image.getvalue()[20:])),
        ("nothing over skipped cells", covered, pack_patches(found.skipped, (b"",), exact=True)),
    ]
    made = [
        (name, rule, "TruncatedError" if "ends" in rule else "CorruptError", Chunk(b"PTCH", data), half.tiles)
        for name, rule, data in cases
    ]
    # Whether all cells of a tile are skipped is known before the tile.
    used_up = "a payload not used up, or a state other than 0 at its end"
    everything = Chunk(b"PTCH", pack_patches(~none, (plain,), exact=True))
    made.append(("a payload where all is skipped", used_up, "CorruptError", everything, half.tiles))
    return [
        {"name": f"patches: {name}", "rule": rule, "error": error, "file": packed(half, chunk, tiles).hex()}
        for name, rule, error, chunk, tiles in made
    ]


def packed(container: Container, chunk: Chunk, tiles: tuple[Tile, ...]) -> bytes:
    """A file with a chunk that `pack` would refuse: it is written under another name first, and sealed again."""
    data = bytearray(pack(replace(container, chunks=(replace(chunk, kind=b"zzzz"),), tiles=tiles)))
    record = b"zzzz" + varint(len(chunk.data)) + chunk.data
    start = data.index(record)
    data[start : start + len(record) + 4] = sealed(b"PTCH" + record[4:])
    return bytes(data)


def invalid(sound: Container) -> list[dict[str, str]]:
    """One or more files for each rule of FORMAT.md, section 9, that only decoding can find broken."""
    (tile,) = sound.tiles
    header = sound.header
    plane = header.height * (1 + header.width)
    unused = "a payload not used up, or a state other than 0 at its end"
    plane_rule = "ALPH: not one stream, wrong length, unknown filter"
    streams = "ALPW: not VP8L, another size"
    good, wide = (compress_plane(np.zeros((header.height, width), np.uint8), 4, 75) for width in (header.width, 300))
    cases: list[tuple[str, str, str, Container]] = [
        (
            "fingerprint 00000000",
            "a fingerprint of weights that are not there",
            "WrongWeightsError",
            replace(sound, header=replace(header, fingerprint=bytes(4))),
        ),
        (
            "zero byte at the end of the payload",
            "a payload whose last byte is 0",
            "CorruptError",
            replace(sound, tiles=(replace(tile, payload=tile.payload + b"\0"),)),
        ),
        (
            "checksum of the latents",
            "latents with another checksum than `latents`",
            "DecodeMismatchError",
            replace(sound, tiles=(replace(tile, latents_checksum=tile.latents_checksum ^ 1),)),
        ),
        (
            "no payload, which is a list of symbols as well",
            "latents with another checksum than `latents`",
            "DecodeMismatchError",
            replace(sound, tiles=(replace(tile, payload=b""),)),
        ),
    ]
    for name, payload in (
        ("a byte more", tile.payload + b"\1"),
        ("a word more", tile.payload + b"\1\1\1\1"),
        ("two words less", tile.payload[:-8]),
        ("nothing but ones", b"\xff" * 500),
    ):
        cases.append((name, unused, "CorruptError", replace(sound, tiles=(replace(tile, payload=payload),))))
    for name, data in (
        ("no alpha", b""),
        ("no stream", b"\xff"),
        ("a byte less", deflate(bytes(plane - 1))),
        ("a byte more of alpha", deflate(bytes(plane + 1))),
        ("the end missing", deflate(bytes(plane))[:-1]),
        ("bytes behind", deflate(bytes(plane)) + b"\0"),
        ("zlib's wrapper", zlib.compress(bytes(plane))),
        ("filter 3", deflate(bytes(header.width + 1) + b"\3" + bytes(plane - header.width - 2))),
        ("a bomb", deflate(bytes(10**6))),
    ):
        cases.append((name, plane_rule, "CorruptError", replace(sound, chunks=(Chunk(b"ALPH", data),))))
    for name, rule, data in (
        ("no length of a stream of alpha", "the file ends within a record", b""),
        ("a stream of alpha that is cut short", "the file ends within a record", pack_streams([good])[:-1]),
        ("a second stream of alpha", "ALPW: bytes after the last stream", pack_streams([good, good])),
        ("an empty stream of alpha", streams, pack_streams([b""])),
        ("a stream of alpha of another size", streams, pack_streams([wide])),
        ("alpha that is not VP8L", streams, pack_streams([b"\x30" + good[1:]])),
        ("alpha that is half a stream", streams, pack_streams([good[: len(good) // 2]])),
    ):
        error = "TruncatedError" if "ends" in rule else "CorruptError"
        cases.append((name, rule, error, replace(sound, chunks=(Chunk(b"ALPW", data),))))
    return [
        {"name": name, "rule": rule, "error": error, "file": pack(container).hex()}
        for name, rule, error, container in cases
    ]


def deflate(data: bytes) -> bytes:
    """A raw stream."""
    coder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return coder.compress(data) + coder.flush()


def write(path: Path, cases: list[dict[str, str]]) -> None:
    """As JSON."""
    path.write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
