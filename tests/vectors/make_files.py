"""Makes what depends on the shipped weights: files.json, .cae files and what they decode to, and invalid/decoding.json,
files whose records are sound but which must not decode. Run it only when the weights or the encoder change.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from cae.bitstream.container import Chunk, Container, pack, unpack
from cae.codec.image.picture import read_picture
from cae.codec.torch_codec import load_codec

CASES = [("colour", (80, 112, 3), 0), ("colour", (80, 112, 3), 50), ("grey", (70, 40), 75), ("rgba", (33, 65, 4), 100)]


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
    cases = []
    for name, shape, quality in CASES:
        data = codec.encode(read_picture(pattern(shape)), quality)
        latents = codec.decode_latents(unpack(data))
        decoded = codec.decode(data)
        cases.append(
            {
                "name": f"{name} {shape[1]}x{shape[0]} q {quality}",
                "file": base64.b64encode(data).decode("ascii"),
                "latents_sha256": hashlib.sha256(latents.tobytes()).hexdigest(),
                "mode": decoded.mode,
                "pixels": base64.b64encode(decoded.pixels.tobytes()).decode("ascii"),
            }
        )
    folder = Path(__file__).parent
    write(folder / "files.json", cases)
    write(folder / "invalid" / "decoding.json", invalid(unpack(base64.b64decode(cases[1]["file"]))))


def invalid(sound: Container) -> list[dict[str, str]]:
    """One or more files for each rule of FORMAT.md, section 9, that only decoding can find broken."""
    (tile,) = sound.tiles
    header = sound.header
    plane = header.height * (1 + header.width)
    unused = "a payload not used up, or a state other than 0 at its end"
    alpha = "ALPH: not one stream, wrong length, unknown filter"
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
        cases.append((name, alpha, "CorruptError", replace(sound, chunks=(Chunk(b"ALPH", data),))))
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
