"""The tensors of the integer networks in a weights file (FORMAT.md, section 8), and the check that every back end
relies on: that they are complete, within their ranges, and so small that each sum is exact.

Layers take operands, integers from 0 to OPERAND_LIMIT, that are made of activations or of latents. Weights and biases
are integers too, with sum |w| * OPERAND_LIMIT + |bias| < 2^24 for every output. Every partial sum is then an integer
that float32 holds exactly, so neither the order of summation nor fused multiply-adds can change a result. Each sum is
then multiplied by a power of two, which is exact, so the weights and biases may be multiplied instead. Sums are added
to activations, or multiplied by a gate, by one IEEE 754 operation in float32 at a time, which has one result, and
become operands by rounding half to even and clamping.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...bitstream.errors import WeightsError
from ...bitstream.tables import ProbabilityTables
from .arrays import AnyArray, Floats
from .config import ACTIVATION_LIMIT, OPERAND_LIMIT, OPERAND_STEP, OPERAND_ZERO, PATCH, ROWS, TABLE_ROWS, ModelConfig
from .constants import (
    ACCUMULATOR_LIMIT,
    HALF,
    INPUT_LIMIT,
    MAX_EXPONENT,
    MAX_FACTOR,
    MAX_OUTPUT,
    MIN_EXPONENT,
    STEPS,
    WEIGHT_LIMIT,
)
from .restoration import EXTRA_BLOCKS
from .weights import Content, find_restoration, find_weights, parse, read_weights

TRAINING_ONLY = {"training", "analysis", "hyper_analysis", "synthesis", "sigma"}
"""First parts of the names of tensors that only training needs: the networks in floating point."""

ANALYSIS = "latents."
"""What the names of the integer analysis transform's tensors begin with."""

REACH = "latents.reach"
"""The table of units of the analysis network's output, in standard deviations, for each rate index and channel."""

MAX_UNIT = 2**20
"""Limit of a latent's standard deviation: at most MAX_UNIT quantisation steps and at least 1 / MAX_UNIT."""

POSITIVE, ANY = math.ulp(0.0), float(np.finfo(np.float32).max)
"""Limits of tables: the smallest double above 0, and the largest finite float32."""

BLOCK = {"mix": (1, 1), "project": (1, 1), "value": (2, 1), "gate": (2, 1), "contract": (1, 2)}
"""The 1x1 layers of a residual block: how many times the block's channels their outputs and inputs are."""


class Numbers(NamedTuple):
    """A layer's integers, and the powers of two that its sums are multiplied by. weight: [outputs, inputs], of a
    depthwise 3x3 convolution [channels, 9]. bias, multiplier: [outputs]."""

    weight: npt.NDArray[np.int8]
    bias: Floats
    multiplier: Floats


class IntegerWeights:
    """The integer networks' tensors by name, as `checked` has found them to be."""

    def __init__(self, config: ModelConfig, tensors: Mapping[str, AnyArray]) -> None:
        self.config, self.tensors = config, tensors

    def table(self, name: str) -> Floats:
        """The tensor of this name as float32, in its own shape."""
        return np.asarray(self.tensors[name], np.float32)

    def logs(self, name: str) -> npt.NDArray[np.int16]:
        """The tensor of this name that has a logarithm, int16 [INPUT_LIMIT + 1], for each magnitude of latents."""
        return np.ascontiguousarray(self.tensors[name])

    def numbers(self, name: str) -> Numbers:
        """The numbers of the layer of this name."""
        weight, bias, multiplier = (self.tensors[f"{name}.{key}"] for key in ("weight", "bias", "multiplier"))
        return Numbers(weight.reshape(len(weight), -1), bias.astype(np.float32), multiplier)

    def probabilities(self) -> ProbabilityTables:
        """The entropy coder's probability tables. Raises WeightsError if they are malformed."""
        return ProbabilityTables(self.tensors["half_widths"], self.tensors["counts"])


def load_integers(folder: Path | None = None, fingerprint: bytes | None = None) -> tuple[IntegerWeights, bytes]:
    """The integer networks, and the fingerprint, of the weights in a folder (the installed one if None) that have this
    fingerprint, or of those for new files if it is None.

    Raises MissingWeightsError, WrongWeightsError where none has the fingerprint, or WeightsError for a file that is not
    what the manifest says or is malformed.
    """
    weights = find_weights(folder, fingerprint)
    return parse_integers(read_weights(weights), str(weights.path)), weights.fingerprint


class Restoration(NamedTuple):
    """The integer networks that restore. weights: those for new files, with the transform that restores in place of
    their analysis transform. config: of that transform, which has more blocks at 1/8."""

    weights: IntegerWeights
    config: ModelConfig


def load_restoration(folder: Path | None = None) -> Restoration:
    """The networks that restore, of the weights in a folder (the installed one if None). Raises as `load_integers`, and
    MissingWeightsError where there are none for restoration."""
    weights = find_restoration(folder)
    others, _ = load_integers(folder)
    _, tensors = parse(read_weights(weights), str(weights.path))
    try:
        return restoration_of(others, {key: value for key, value in tensors.items() if key.startswith(ANALYSIS)})
    except WeightsError as error:
        raise WeightsError(f"{weights.path} does not hold the tensors of this model: {error}") from error


def restoration_of(others: IntegerWeights, own: Mapping[str, AnyArray]) -> Restoration:
    """The networks that restore, of the tensors of a transform that does, which has its units, REACH, from the codec's.
    others: the networks of the codec. Raises WeightsError unless they are exactly those that the codec's configuration
    asks for, and within their ranges."""
    config = replace(others.config, blocks_8=others.config.blocks_8 + EXTRA_BLOCKS)
    m = config.latent_channels
    layers = {name: layer for name, layer in _layers(config) if name.startswith(ANALYSIS)}
    layers |= {"latents.fine": ((m, 4 * config.width_8), OPERAND_ZERO * OPERAND_STEP)}
    tables = {name: table for name, table in _tables(config).items() if name.startswith(ANALYSIS) and name != REACH}
    tables |= {"latents.keep": _Table(np.float32, (ROWS, m), 0, MAX_FACTOR)}
    _check(layers, tables, own)
    kept = {key: value for key, value in others.tensors.items() if not key.startswith(ANALYSIS) or key == REACH}
    return Restoration(IntegerWeights(others.config, {**kept, **own}), config)


def parse_integers(data: Content, name: str) -> IntegerWeights:
    """The integer networks in the content of a weights file. name: of the file, for errors. Raises WeightsError."""
    config, tensors = parse(data, name)
    try:
        return checked(config, {key: value for key, value in tensors.items() if key.split(".")[0] not in TRAINING_ONLY})
    except WeightsError as error:
        raise WeightsError(f"{name} does not hold the tensors of this model: {error}") from error


def checked(config: ModelConfig, tensors: Mapping[str, AnyArray]) -> IntegerWeights:
    """The integer networks that these tensors are. Raises WeightsError unless they are exactly those that the
    configuration asks for, in dtype and shape, and within their ranges."""
    _check(dict(_layers(config)), _tables(config), tensors)
    weights = IntegerWeights(config, tensors)
    weights.probabilities()
    return weights


def _check(
    layers: Mapping[str, tuple[tuple[int, ...], int]], tables: Mapping[str, _Table], tensors: Mapping[str, AnyArray]
) -> None:
    """Raises WeightsError unless the tensors are exactly those of these layers and tables, and within their ranges."""
    expected = {f"{name}.{key}" for name in layers for key in ("weight", "bias", "multiplier")}
    wrong = (expected | tables.keys()) ^ tensors.keys()
    if wrong:
        raise WeightsError(f"{min(wrong)} is {'one too many' if min(wrong) in tensors else 'missing'}")
    for name, (shape, largest) in layers.items():
        _check_layer(name, shape, largest, *(tensors[f"{name}.{key}"] for key in ("weight", "bias", "multiplier")))
    for name, table in tables.items():
        _check_table(name, tensors[name], table)


class _Table(NamedTuple):
    """The dtype, shape and range that a table must have. shape: () if it is one-dimensional of any length."""

    dtype: type[np.generic]
    shape: tuple[int, ...]
    least: float
    most: float


def _layers(config: ModelConfig) -> Iterator[tuple[str, tuple[tuple[int, ...], int]]]:
    """The name of each layer, the shape of its weights, and the largest magnitude of its inputs."""
    m, z, p = config.latent_channels, config.hyper_channels, config.prior_width
    narrow, wide, widest = OPERAND_LIMIT, OPERAND_ZERO * OPERAND_STEP, OPERAND_ZERO * HALF
    for half in ("upper", "lower"):
        yield f"latents.enter.{half}", ((config.width_8, 3 * PATCH**2 // 4), narrow)
        yield f"latents.linear.{half}", ((m, 3 * PATCH**2), narrow)
    yield "latents.down", ((config.width_16, 4 * config.width_8), wide)
    yield "latents.leave", ((m, config.width_16), wide)
    yield "hyper_latents.enter", ((p, 2 * m), widest)
    yield "hyper_latents.down_32", ((p, 4 * p), wide)
    yield "hyper_latents.down_64", ((z, 4 * p), wide)
    yield "prior.hyper_synthesis.enter", ((4 * p, z), narrow)
    yield "prior.hyper_synthesis.up", ((4 * p, p), narrow)
    for step in range(STEPS):
        if step:
            yield f"prior.steps.{step}.enter", ((p, m), widest)
        for k in range(4):
            yield f"prior.steps.{step}.leave.classes.{k}", ((m // 2, p), narrow)
    yield "pixels.linear.top", ((3 * PATCH**2, m), narrow)
    yield "pixels.linear.middle", ((3 * PATCH**2, 2 * m), narrow)
    yield "pixels.enter", ((config.width_16, m), widest)
    yield "pixels.up", ((4 * config.width_8, config.width_16), wide)
    yield "pixels.leave", ((3 * PATCH**2 // 4, config.width_8), wide)
    rows = [(f"{part}.blocks_8", config.blocks_8, config.width_8) for part in ("latents", "pixels")]
    rows += [(f"{part}.blocks_16", config.blocks_16, config.width_16) for part in ("latents", "pixels")]
    rows += [
        (f"{part}.blocks_{side}", 1, p) for part in ("hyper_latents", "prior.hyper_synthesis") for side in (16, 32)
    ]
    rows += [(f"prior.steps.{step}.blocks", config.context_blocks, p) for step in range(STEPS)]
    for name, count, width in rows:
        for index in range(count):
            for key, (outputs, inputs) in BLOCK.items():
                yield f"{name}.{index}.{key}", ((outputs * width, inputs * width), narrow)
            yield f"{name}.{index}.spatial", ((width, 1, 3, 3), narrow)


def _tables(config: ModelConfig) -> dict[str, _Table]:
    """The tables of a configuration, by name."""
    m, p, w8, w16 = config.latent_channels, config.prior_width, config.width_8, config.width_16
    tables = {
        "rate_weight": _Table(np.float64, (ROWS,), POSITIVE, ANY),  # stored, as powers differ between libraries
        "worth": _Table(np.float32, (ROWS, m), POSITIVE, ANY),  # bits that a squared step of error is worth
        "unit": _Table(np.float32, (ROWS, m), 1 / MAX_UNIT, MAX_UNIT),  # standard deviation in quantisation steps
        "inverse_unit": _Table(np.float32, (ROWS, m), 0, ANY),  # sixteenths of a step to the prior's input
        "log_unit": _Table(np.float32, (ROWS, m), -ACTIVATION_LIMIT, ACTIVATION_LIMIT),  # `unit` as a row of scales
        "hyper_rows": _Table(np.uint8, (ROWS, config.hyper_channels), 1, TABLE_ROWS - 1),  # hyper-latents' scales
        "half_widths": _Table(np.int32, (TABLE_ROWS,), 0, ANY),  # with `counts`, the ProbabilityTables
        "counts": _Table(np.int32, (), 1, ANY),
        REACH: _Table(np.float32, (ROWS, m), 0, 1),  # the network's output to standard deviations
        "hyper_latents.logs": _Table(np.int16, (INPUT_LIMIT + 1,), -INPUT_LIMIT, INPUT_LIMIT),
        "prior.hyper_synthesis.rate.rows": _Table(np.int16, (ROWS, p), -ACTIVATION_LIMIT, ACTIVATION_LIMIT),
        "pixels.levels": _Table(np.float32, (ROWS, m), -ANY, ANY),  # sixteenths of a step to the linear transform
        "pixels.deviations": _Table(np.float32, (ROWS, m), -ANY, ANY),  # the same to the network
        "pixels.reach": _Table(np.float32, (ROWS, 1), 0, 1),  # the network's output to levels
    }
    gains = {"latents.gain_8": w8, "latents.gain_16": w16, "hyper_latents.gain": p}
    gains |= {"pixels.gain_8": w8, "pixels.gain_16": w16}
    tables |= {name: _Table(np.float32, (ROWS, width), 0, MAX_FACTOR) for name, width in gains.items()}
    # What features are multiplied by before a step's activations are added to them.
    ratios = {f"prior.steps.{step}.add.ratio": _Table(np.float32, (p,), 0, MAX_FACTOR) for step in range(1, STEPS)}
    return tables | ratios


def _check_table(name: str, values: AnyArray, table: _Table) -> None:
    """Raises WeightsError unless the values are of the table's dtype, shape and range."""
    _check_type(name, values, table.dtype, table.shape or values.shape[:1])
    if not (values.size and table.least <= values.min() and values.max() <= table.most):  # false for NaN, too
        raise WeightsError(f"{name} is out of range or not finite")


def _check_layer(
    name: str, shape: tuple[int, ...], largest: int, weight: AnyArray, bias: AnyArray, multiplier: AnyArray
) -> None:
    """Raises WeightsError unless a layer's sums are exact and its outputs within MAX_OUTPUT. largest: magnitude of its
    inputs."""
    _check_type(f"{name}.weight", weight, np.int8, shape)
    _check_type(f"{name}.bias", bias, np.int32, shape[:1])
    _check_type(f"{name}.multiplier", multiplier, np.float32, shape[:1])
    mantissa, exponent = np.frexp(multiplier)
    if not ((mantissa == 0.5).all() and exponent.min() > -MAX_EXPONENT and exponent.max() <= 1 - MIN_EXPONENT):
        raise WeightsError(
            f"{name}.multiplier has what is not a power of two from 2^-{MAX_EXPONENT} to 2^{-MIN_EXPONENT}"
        )
    # As unsigned bytes, in which the magnitude of -128 is 128.
    sums = np.abs(weight.reshape(len(weight), -1)).view(np.uint8).sum(axis=1, dtype=np.uint32).astype(np.float64)
    size = np.abs(bias.astype(np.float64))
    if weight.min() < -WEIGHT_LIMIT or (sums * OPERAND_LIMIT + size).max() >= ACCUMULATOR_LIMIT:
        raise WeightsError(f"weights of {name} are too large for exact arithmetic")
    if ((sums * largest + size) * multiplier).max() > MAX_OUTPUT:
        raise WeightsError(f"outputs of {name} are too large for 32 bits")


def _check_type(name: str, values: AnyArray, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Raises WeightsError for values of another dtype or shape."""
    if values.dtype != dtype or values.shape != shape:
        raise WeightsError(f"{name} is {values.dtype} {list(values.shape)}, not {np.dtype(dtype)} {list(shape)}")
