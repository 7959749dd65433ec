"""Weights: how they are verified, and how a file of them is written and read."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ....bitstream.errors import WeightsError
from ...model.config import ACTIVATION_LIMIT, ModelConfig
from ...model.constants import INPUT_LIMIT
from ...model.weights import Content, find_weights, parse, read_weights
from ...training.model.layers import RANGES
from ...training.model.model import CompressionModel
from .exact import MAX_FACTOR, IntegerJoin, IntegerRateTable
from .frozen import FrozenModel
from .twins import settle

TRAINING_PREFIX = "training."
"""Tensors that only training needs: the floating-point prior and the rate tables before they were rounded. So are those
of `_TRANSFORMS`, whose names the integer networks do not have."""

_TRANSFORMS = {"analysis", "hyper_analysis", "synthesis", "sigma"}
"""What has the same name in a file as in training."""

_STORED = {"weight": torch.int8, "bias": torch.int32, "rows": torch.int16, "logs": torch.int16}
"""Types of integers that are held in float32."""

MAX_UNIT = 2**20
"""Standard deviations are at most so many quantisation steps, and steps so many deviations."""

_INTEGERS = {"latents", "hyper_latents", "prior", "pixels"}
"""Networks of integers."""


def load_frozen(folder: Path | None = None, *, fingerprint: bytes | None = None) -> tuple[FrozenModel, bytes]:
    """A model of a weights folder (the installed one if None) and its fingerprint: the one with this fingerprint, or
    the one for new files if None.

    Raises MissingWeightsError, WrongWeightsError where none has the fingerprint, or WeightsError for a file that is not
    what the manifest says or is malformed.
    """
    weights = find_weights(folder, fingerprint)
    return parse_frozen(read_weights(weights), str(weights.path)), weights.fingerprint


def parse_frozen(data: Content, name: str) -> FrozenModel:
    """Inverse of `serialise` as far as the codec needs it. Raises WeightsError, naming `name`."""
    config, tensors = _parse(data, name)
    training = {*_TRANSFORMS, TRAINING_PREFIX.rstrip(".")}
    state = {key: value for key, value in tensors.items() if key.split(".")[0] not in training}
    model = FrozenModel(config)
    try:
        # The one tensor whose size is not fixed by the configuration.
        model.counts = torch.empty_like(state["counts"], dtype=torch.int32)
        model.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{name} does not hold the tensors of this model: {error}") from error
    settle(model)
    owners = model, model.latents, model.hyper_latents, model.pixels
    tables = [table for owner in owners for table in owner.buffers(recurse=False)]
    joins = [layer.ratio for layer in model.prior.modules() if isinstance(layer, IntegerJoin)]
    tables += joins
    if not all(table.isfinite().all() for table in tables):
        raise WeightsError(f"{name}: a table is not finite")
    rows = [layer.rows for layer in model.prior.modules() if isinstance(layer, IntegerRateTable)]
    if not all(torch.equal(table, table.round().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT)) for table in rows):
        raise WeightsError(f"{name}: a table of activations has others")
    logs = model.hyper_latents.logs
    if not torch.equal(logs, logs.round().clamp(-INPUT_LIMIT, INPUT_LIMIT)):
        raise WeightsError(f"{name}: a table of logarithms has others")
    if min(model.worth.min(), model.rate_weight.min()) <= 0:
        raise WeightsError(f"{name}: a table of weights of errors is out of range")
    if model.unit.min() < 1 / MAX_UNIT or model.unit.max() > MAX_UNIT or model.inverse_unit.min() < 0:
        raise WeightsError(f"{name}: a table of units is out of range")
    factors = [model.latents.gain_8, model.latents.gain_16, model.hyper_latents.gain]
    factors += [model.pixels.gain_8, model.pixels.gain_16, *joins]
    if min(table.min() for table in factors) < 0 or max(table.max() for table in factors) > MAX_FACTOR:
        raise WeightsError(f"{name}: a table of factors is out of range")
    if any(table.min() < 0 or table.max() > 1 for table in (model.latents.reach, model.pixels.reach)):
        raise WeightsError(f"{name}: a table of reaches is out of range")
    if model.log_unit.abs().max() > ACTIVATION_LIMIT:
        raise WeightsError(f"{name}: a table of table rows is out of range")
    if model.hyper_rows.min() < 1 or model.hyper_rows.max() >= len(model.half_widths):
        raise WeightsError(f"{name}: a table row of the hyper-latents is out of range")
    model.probability_tables()
    return model


def parse_trained(data: Content, name: str) -> CompressionModel:
    """The floating-point model in a weights file, to be trained further. Raises WeightsError, naming `name`."""
    config, tensors = _parse(data, name)
    own = {
        key.removeprefix(TRAINING_PREFIX): value for key, value in tensors.items() if key.startswith(TRAINING_PREFIX)
    }
    shared = {key: value for key, value in tensors.items() if key.split(".")[0] in _TRANSFORMS}
    model = CompressionModel(config)
    try:
        missing = model.load_state_dict(own | shared, strict=False)
        # Weights from before there were ranges in training have none.
        bounded = not missing.missing_keys
        without = [key for key in missing.missing_keys if not key.endswith(RANGES)] + missing.unexpected_keys
        if without:
            raise RuntimeError(", ".join(without))
    except RuntimeError as error:
        raise WeightsError(f"{name} does not hold the tensors of this model: {error}") from error
    if bounded:
        model.bound()
    return model


def serialise(frozen: FrozenModel, trained: CompressionModel) -> bytes:
    """A weights file: the frozen model, and of the trained one what the frozen does not have."""
    from safetensors.torch import save  # not above: to read one takes torch alone

    tensors = {key: _compact(key, value) for key, value in frozen.state_dict().items()}
    for key, value in trained.state_dict().items():
        if key.endswith(RANGES) and not trained.is_bounded:
            continue
        name = key if key.split(".")[0] in _TRANSFORMS else TRAINING_PREFIX + key
        tensors.setdefault(name, _compact(name, value))
    return save(tensors, metadata={"config": json.dumps(frozen.config.to_dict())})


def _parse(data: Content, name: str) -> tuple[ModelConfig, dict[str, Tensor]]:
    config, arrays = parse(data, name)
    return config, {key: torch.from_numpy(array.copy()) for key, array in arrays.items()}


def _compact(key: str, value: Tensor) -> Tensor:
    """The type that a tensor is stored in; integers that floats held are exact in it."""
    parts = key.split(".")
    if parts[0] in _INTEGERS and parts[-1] in _STORED:
        value = value.to(_STORED[parts[-1]])
    elif parts[0] not in _INTEGERS and len(parts) > 1 and value.is_floating_point() and parts[-1] != "knots":
        value = value.half()
    return value.contiguous()
