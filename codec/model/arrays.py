"""Arrays by what they hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Latents = npt.NDArray[np.int32]
"""[..., h, w, M], in sixteenths of a quantisation step."""
