"""Makes files.json: .cae files of the shipped weights and what they decode to. Run it only when the weights change."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import numpy as np

from cae.bitstream.container import unpack
from cae.codec.image import read_picture
from cae.codec.pipeline import load_codec

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
        latents = codec.decode_latents(unpack(data)).numpy()
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
    Path(__file__).with_name("files.json").write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
