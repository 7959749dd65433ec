"""Types of the arrays that are passed between the parts of the codec."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""8-bit samples, 0..255: RGB images are [..., H, W, 3], one channel is [H, W]."""

Floats = npt.NDArray[np.float32]
"""float32 of any shape."""

Latents = npt.NDArray[np.int32]
"""Decoded latents [..., h, w, M], in sixteenths of a quantisation step."""
