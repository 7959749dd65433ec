"""Weights files: integer networks, and the trained floating-point model that they were made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from ...bitstream.errors import WeightsError
from ..model.integer_weights import TRAINING_ONLY, IntegerWeights
from ..model.weights import Content, parse
from .model.layers import RANGES
from .model.model import CompressionModel

TRAINING_PREFIX = "training."
"""Prefix, in a file, of the tensors of the trained model that are not in `_TRANSFORMS`: the prior, and the rate tables
before they were rounded."""

_TRANSFORMS = TRAINING_ONLY - {"training"}
"""First parts of the names of tensors that are the same in a file and in the trained model."""


def parse_trained(data: Content, name: str) -> CompressionModel:
    """The floating-point model in a weights file, to be trained further. Raises WeightsError, naming `name`."""
    config, arrays = parse(data, name)
    tensors = {key: torch.from_numpy(array.copy()) for key, array in arrays.items()}
    own = {
        key.removeprefix(TRAINING_PREFIX): value for key, value in tensors.items() if key.startswith(TRAINING_PREFIX)
    }
    shared = {key: value for key, value in tensors.items() if key.split(".")[0] in _TRANSFORMS}
    model = CompressionModel(config)
    try:
        missing = model.load_state_dict(own | shared, strict=False)
        # Weights may lack ranges of activations, as they did before training had them.
        bounded = not missing.missing_keys
        without = [key for key in missing.missing_keys if not key.endswith(RANGES)] + missing.unexpected_keys
        if without:
            raise RuntimeError(", ".join(without))
    except RuntimeError as error:
        raise WeightsError(f"{name} does not hold the tensors of this model: {error}") from error
    if bounded:
        model.bound()
    return model


def training_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest says of a run, by the record of how its model was made."""
    return {
        "images": record["images"],
        "steps": record["step"],
        "minutes": round(record["seconds"] / 60, 1),
        "recipe": record["recipe"],
        "device": record["device"],
    }


def serialise(integers: IntegerWeights, trained: CompressionModel) -> bytes:
    """The bytes of a weights file: the integer networks, and the trained model that they were made from."""
    from safetensors.numpy import save  # not above: to read a file takes none of it

    tensors = dict(integers.tensors)
    for key, value in trained.state_dict().items():
        if key.endswith(RANGES) and not trained.is_bounded:
            continue
        name = key if key.split(".")[0] in _TRANSFORMS else TRAINING_PREFIX + key
        tensors[name] = compact(name, value)
    return save(tensors, metadata={"config": json.dumps(integers.config.to_dict())})


def compact(name: str, value: Tensor) -> npt.NDArray[Any]:
    """A tensor in the type that is stored: float16 for matrices and biases of networks, otherwise its own."""
    parts = name.split(".")
    is_half = len(parts) > 1 and value.is_floating_point() and parts[-1] != "knots"
    return (value.half() if is_half else value).contiguous().numpy()
