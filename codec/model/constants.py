"""Constants of the integer arithmetic, which all implementations share (FORMAT.md, section 8)."""

from __future__ import annotations

from .config import CONTEXT_CLAMP

WEIGHT_LIMIT = 127
"""Largest magnitude of a weight, which is stored as int8."""

ACCUMULATOR_LIMIT = 2**24
"""Bound of a layer's sums. float32 holds every integer up to here, so sums are exact in any order."""

MIN_EXPONENT, MAX_EXPONENT = -20, 24
"""A layer's sums are multiplied by 2^-e, e from MIN_EXPONENT, for channels that are all but dead, to MAX_EXPONENT."""

MAX_OUTPUT = 2**28
MAX_FACTOR = 8
"""Largest magnitude of a layer's output, and largest gain that activations are multiplied by. With these limits all
that is rounded to operands is below 2^31: a value times its gate of up to 6, or an eighth of activations, to which each
of up to 16 blocks has added two outputs."""

HALF = 2**8
"""Integers of 16 bits are multiplied as two bytes, HALF * upper + lower."""

GATE_LIMIT = 6.0
"""Upper limit of gates, as in relu6."""

MEAN_ONE = 2**12
SCALE_ONE = 2**8
INPUT_ONE = 2**12
"""Fixed-point units: the integers that stand for 1 in the prior's means (standard deviations of a latent), in its
log-scales (rows of the scale table) and in the latents that it takes (standard deviations)."""

INPUT_LIMIT = int(CONTEXT_CLAMP * INPUT_ONE) - 1
"""Largest magnitude of the latents that the prior's networks take: CONTEXT_CLAMP in units of 1 / INPUT_ONE, within 16
bits."""

MEAN_LIMIT = 2**20
"""Largest magnitude of a mean, in sixteenths of a quantisation step."""

LEVEL_ONE = 2**3
"""Latents enter the synthesis' linear transform in units of 1 / LEVEL_ONE of a level of 8-bit pixels."""

DEVIATION_ONE, DEVIATION_LIMIT = 2**9, 2**15 - 1
"""Latents enter the synthesis' network in units of 1 / DEVIATION_ONE of their standard deviation, clamped to
DEVIATION_LIMIT units: 64 deviations, which drawings come near to."""

RUNAWAY = 100.0
"""Largest correction by the analysis network that is trusted, in standard deviations of a latent. At a position where
one is larger, the encoder takes all latents from the linear transform alone. Natural corrections stay below 60; where a
network has left the range that it was trained in, they reached 300 to 1150."""

STEPS = 4
CLASSES = ((0, 0), (1, 1), (0, 1), (1, 0))
"""Latents are coded in STEPS steps. CLASSES has (row, column) within a 2x2 cell for each of the four position
classes."""


def group_of(k: int, step: int) -> int:
    """The channel group, 0..3, that is coded at positions of class k, 0..3, in a step, 0..3."""
    return (k - step) % 4
