"""Writes docs/restore.jpg: degraded pictures above, and what `cae restore` makes of them below.

    python docs/make_restore.py

The photograph is scikit-image's `astronaut`, by NASA, in the public domain.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from cae.codec.restore.settings import Found, RestoreOptions, recognise, restore
from cae.codec.select import load_restorer


def main() -> None:
    """Four pictures with another degradation each."""
    clean = np.ascontiguousarray(skimage.data.astronaut()[20:276, 120:376])  # type: ignore[no-untyped-call]
    random, restorer, options = np.random.default_rng(1), load_restorer("cpu"), RestoreOptions()
    columns = []
    for deviation in (25, 50):
        noisy = np.clip(np.rint(clean + random.normal(0, deviation, clean.shape)), 0, 255).astype(np.uint8)
        columns.append((noisy, restore(restorer, noisy, recognise(noisy, b"", options), options)))
    file = io.BytesIO()
    Image.fromarray(clean).save(file, "JPEG", quality=10)
    compressed = np.asarray(Image.open(file))
    found = recognise(compressed, file.getvalue(), options)
    columns.append((compressed, restore(restorer, compressed, found, options)))
    missing = random.random(clean.shape[:2]) < 0.3
    for top in (60, 130, 190):
        missing[np.arange(256) // 9 + top, np.arange(256)] = True
        missing[np.arange(256) // 9 + top + 1, np.arange(256)] = True
    holes = np.where(missing[..., None], np.uint8(255), clean)
    columns.append((holes, restore(restorer, holes, Found(0, 0), options, missing)))
    page = np.concatenate([np.concatenate(column) for column in columns], axis=1)
    Image.fromarray(page).save(Path(__file__).parent / "restore.jpg", quality=90, subsampling=0)


if __name__ == "__main__":
    main()
