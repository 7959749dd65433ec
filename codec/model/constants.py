"""The whole numbers of the decoder's arithmetic, which all implementations share (FORMAT.md, section 8)."""

from __future__ import annotations

from .config import CONTEXT_CLAMP

WEIGHT_LIMIT = 127
"""Largest magnitude of a weight, which is stored as int8."""

ACCUMULATOR_LIMIT = 2**24
"""float32 holds every integer up to here."""

MIN_EXPONENT, MAX_EXPONENT = -20, 24
"""Multipliers are powers of two: 2^20, for channels that are all but dead, to 2^-24."""

MAX_OUTPUT = 2**28
MAX_FACTOR = 8
"""No output of a layer, nor a factor of activations, may be larger. Operands are then made of numbers below 2^31: a
value times a gate, or an eighth of the activations, to which each of up to 16 blocks has added two outputs."""

HALF = 2**8
"""The step of the upper halves of 16 bits."""

GATE_LIMIT = 6.0
"""Of relu6."""

MEAN_ONE = 2**12
SCALE_ONE = 2**8
INPUT_ONE = 2**12
"""What stands for 1 in the prior's means, its log-scales, its input."""

INPUT_LIMIT = int(CONTEXT_CLAMP * INPUT_ONE) - 1
"""What training clamps latents to there, in 16 bits."""

MEAN_LIMIT = 2**20
"""Means are clamped to this many sixteenths of a step."""

LEVEL_ONE = 2**3
"""Latents enter the linear transform in eighths of a level of 8 bits."""

DEVIATION_ONE, DEVIATION_LIMIT = 2**9, 2**15 - 1
"""Latents enter the synthesis' network in these parts of their standard deviation, at most so many: 64 deviations,
which drawings come near to."""

RUNAWAY = 100.0
"""Standard deviations of a latent beyond which the analysis network's correction is not to be believed at a position:
the encoder takes the linear transform's latents there, all of them. Natural corrections stay below 60; where a network
has left the range that it was trained in, they reached 300 to 1150."""

STEPS = 4
CLASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Latents are coded in so many steps; (row, column) within a 2x2 cell of each position class."""


def group_of(k: int, step: int) -> int:
    """The channel group that position class k codes in a step."""
    return (k - step) % 4
