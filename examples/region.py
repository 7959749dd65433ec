"""Decodes a part of a large picture without the rest, and a small view of all of it.

    python examples/region.py

Writes corner.png and overview.png into the current folder.
"""

import time

import numpy as np
import skimage.data

import cae

large = np.tile(skimage.data.coffee(), (5, 4, 1))  # 2400 x 2000 pixels: several tiles
data = cae.encode(large, quality=40, effort=1)
print(f"{large.shape[1]}x{large.shape[0]}: {len(data)} bytes in {cae.info(data).tiles} tiles")

start = time.perf_counter()
whole = cae.decode(data)
print(f"all of it: {time.perf_counter() - start:.2f} s")

start = time.perf_counter()
corner = cae.decode(data, region=(1100, 1200, 400, 300))  # x, y, width, height
print(f"a region: {time.perf_counter() - start:.2f} s")
assert np.array_equal(np.asarray(corner), np.asarray(whole)[1200:1500, 1100:1500])  # the very same pixels
corner.save("corner.png")

overview = cae.decode(data, scale=8)  # each pixel is the mean of 8x8
print(f"an overview: {overview.width}x{overview.height}")
overview.save("overview.png")
