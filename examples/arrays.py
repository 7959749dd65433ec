"""Encodes a numpy array to at most so many bytes, or to at least some PSNR.

    python examples/arrays.py

Prints sizes and PSNRs.
"""

import numpy as np
import skimage.data

import cae


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 arrays of one shape, in dB."""
    return 10 * np.log10(255**2 / np.mean((first.astype(float) - second) ** 2))


pixels = skimage.data.chelsea()  # uint8 [300, 451, 3]; grey is [H, W], alpha is a fourth channel

# This searches the qualities, with up to eight codings. A size out of reach is an error that names the nearest.
small = cae.encode(pixels, target_size=8000)
print(f"at most 8000 bytes: {len(small)}, {psnr(pixels, np.asarray(cae.decode(small))):.2f} dB")

good = cae.encode(pixels, target_psnr=36)
print(f"at least 36 dB: {psnr(pixels, np.asarray(cae.decode(good))):.2f}, {len(good)} bytes")

# More effort: a better picture for hardly more bytes. Decoding takes as long as before.
better = cae.encode(pixels, quality=50, effort=5)
print(f"quality 50 with more effort: {psnr(pixels, np.asarray(cae.decode(better))):.2f} dB, {len(better)} bytes")
