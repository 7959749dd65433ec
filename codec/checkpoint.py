"""Weights: how they are verified, and how a file of them is written and read."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from ..bitstream.errors import WeightsError
from .config import ACTIVATION_LIMIT
from .exact import IntegerJoin, IntegerRateTable
from .frozen import FrozenModel
from .installed import find_weights, parse, read_weights
from .model import CompressionModel
from .twins import settle

TRAINING_PREFIX = "training."
"""Tensors that only training needs: the floating-point prior and the rate tables before they were rounded. So are those
of `_SYNTHESIS`, whose name the integer networks do not have."""

_SYNTHESIS = "synthesis"

_UNPREFIXED = {"analysis", "hyper_analysis", _SYNTHESIS, "sigma"}
"""What has the same name in a file as in training."""

_INTEGERS = {"prior", "pixels"}
"""Networks of integers."""


def load_frozen(folder: Path | None = None, *, fingerprint: bytes | None = None) -> tuple[FrozenModel, bytes]:
    """A model of a weights folder (the installed one if None) and its fingerprint: the one with this fingerprint, or
    the one for new files if None.

    Raises MissingWeightsError, WrongWeightsError where none has the fingerprint, or WeightsError for a file that is not
    what the manifest says or is malformed.
    """
    weights = find_weights(folder, fingerprint)
    return parse_frozen(read_weights(weights), str(weights.path)), weights.fingerprint


def parse_frozen(data: bytes, name: str) -> FrozenModel:
    """Inverse of `serialise` as far as the codec needs it. Raises WeightsError, naming `name`."""
    config, tensors = parse(data, name, load)
    training = (TRAINING_PREFIX, _SYNTHESIS + ".")
    state = {key: value for key, value in tensors.items() if not key.startswith(training)}
    model = FrozenModel(config)
    try:
        # The one tensor whose size is not fixed by the configuration.
        model.counts = torch.empty_like(state["counts"], dtype=torch.int32)
        model.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{name} does not hold the tensors of this model: {error}") from error
    settle(model)
    tables = [*model.buffers(recurse=False), *model.pixels.buffers(recurse=False)]
    tables += [layer.ratio for layer in model.prior.modules() if isinstance(layer, IntegerJoin)]
    if not all(table.isfinite().all() for table in tables):
        raise WeightsError(f"{name}: a table is not finite")
    rows = [layer.rows for layer in model.prior.modules() if isinstance(layer, IntegerRateTable)]
    if not all(torch.equal(table, table.round().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)) for table in rows):
        raise WeightsError(f"{name}: a table of activations has others")
    if model.unit.min() <= 0 or model.inverse_unit.min() < 0:
        raise WeightsError(f"{name}: a table of units is out of range")
    if model.hyper_rows.min() < 1 or model.hyper_rows.max() >= len(model.half_widths):
        raise WeightsError(f"{name}: a table row of the hyper-latents is out of range")
    model.probability_tables()
    return model


def parse_trained(data: bytes, name: str) -> CompressionModel:
    """The floating-point model in a weights file, to be trained further. Raises WeightsError, naming `name`."""
    config, tensors = parse(data, name, load)
    own = {
        key.removeprefix(TRAINING_PREFIX): value for key, value in tensors.items() if key.startswith(TRAINING_PREFIX)
    }
    shared = {key: value for key, value in tensors.items() if key.split(".")[0] in _UNPREFIXED}
    model = CompressionModel(config)
    try:
        model.load_state_dict(own | shared)
    except RuntimeError as error:
        raise WeightsError(f"{name} does not hold the tensors of this model: {error}") from error
    return model


def serialise(frozen: FrozenModel, trained: CompressionModel) -> bytes:
    """A weights file: the frozen model, and of the trained one what the frozen does not have."""
    tensors = {key: _compact(key, value) for key, value in frozen.state_dict().items()}
    for key, value in trained.state_dict().items():
        name = key if key.split(".")[0] in _UNPREFIXED else TRAINING_PREFIX + key
        tensors.setdefault(name, _compact(name, value))
    return save(tensors, metadata={"config": json.dumps(frozen.config.to_dict())})


def _compact(key: str, value: Tensor) -> Tensor:
    """The type that a tensor is stored in; integers that floats held are exact in it."""
    parts = key.split(".")
    if parts[0] in _INTEGERS and parts[-1] in ("weight", "bias", "rows"):
        value = value.to({"weight": torch.int8, "bias": torch.int32, "rows": torch.int16}[parts[-1]])
    elif parts[0] not in _INTEGERS and len(parts) > 1 and value.is_floating_point() and parts[-1] != "knots":
        value = value.half()
    return value.contiguous()
