"""Encodes a photograph to a .cae file and decodes it, by paths.

    python examples/files.py

Writes photo.png, photo.cae and decoded.png into the current folder.
"""

from pathlib import Path

import skimage.data
from PIL import Image

import cae

Image.fromarray(skimage.data.astronaut()).save("photo.png")

file = Path("photo.cae")
file.write_bytes(cae.encode("photo.png", quality=60))

about = cae.info(file.read_bytes())  # parses the file and verifies its checksums; decodes nothing
print(f"{about.width}x{about.height} {about.mode}, {about.file_bytes} bytes, {about.bpp:.3f} bpp")

try:
    cae.decode(file.read_bytes()).save("decoded.png")
except cae.CaeError as error:  # the base of all errors for bad files
    raise SystemExit(f"{file}: {error}") from error
