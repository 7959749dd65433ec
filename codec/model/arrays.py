"""Types of the arrays that are passed between the parts of the codec."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""8-bit samples, 0..255: RGB images are [..., H, W, 3], one channel is [H, W]."""

Floats = npt.NDArray[np.float32]
"""float32 of any shape."""

Latents = npt.NDArray[np.int32]
"""Decoded latents [..., h, w, M], in sixteenths of a quantisation step."""

Symbols = npt.NDArray[np.int32]
"""Quantised residuals of latents, or hyper-latents, as the entropy coder takes them."""

ScaleIndices = npt.NDArray[np.uint8]
"""For each symbol, the row 0..63 of the probability tables that it is coded with."""

AnyArray = npt.NDArray[Any]
"""An array of any dtype and shape."""
