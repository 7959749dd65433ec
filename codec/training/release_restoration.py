"""Releases the weights of a run that trained restoration: the analysis transform alone, beside the codec's weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...bitstream.errors import InputError, WeightsError
from ..backends.networks import restoring_on_cpu
from ..machine.files import write_file
from ..model.arrays import AnyArray, Pixels
from ..model.integer_weights import load_integers, restoration_of
from ..model.weights import MANIFEST, find_weights
from ..restore.restorer import Restorer
from .checkpoint import compact, training_of
from .data import CropSource
from .degrade import degrade
from .freezing.freeze import freeze_restoration
from .model.model import CompressionModel
from .model.restoring import rates_of
from .restoration import Restoration

CROPS, SIDE = 96, 256
"""Crops that the integers are calibrated on, and their pixels to a side."""

COMPARED = 24
"""Crops on which integers are compared with floating point."""

MOST_ERROR = 1.05
"""The most that the squared error by integers may be of that in floating point, a mean over logarithms."""

TRAINED = "analysis."
"""What the names of the trained transform's tensors begin with."""


def release_restoration(model: CompressionModel, record: dict[str, Any], path: Path, data: Sequence[Path]) -> list[str]:
    """Freezes the analysis transform of a model, writes it to `path` and names it in the manifest beside it, which has
    to list the weights that the run began with: those decode what it gives. Returns a line about the integers.

    record: how the model was made. data: images to calibrate with. Raises InputError for a manifest of other weights,
    WeightsError for integers that do not restore as the trained transform does; nothing is written then."""
    shipped = find_weights(path.parent)
    if (record["origin"] or {}).get("sha256") != shipped.sha256:
        raise InputError(f"{path.parent / MANIFEST} does not list the weights that the run began with")
    for parameter in model.analysis.parameters():
        parameter.data = parameter.data.half().float()  # as the file has them
    model.requires_grad_(False).eval()
    source, random = CropSource(data, smallest=SIDE), np.random.default_rng(0)
    clean = [source.crop(SIDE, random) for _ in range(CROPS)]
    seen = [degrade(crop, random) for crop in clean]
    strengths = [_root_error(*pair) for pair in zip(clean, seen, strict=True)]
    tensors = freeze_restoration(model, seen, rates_of(torch.tensor(strengths)).tolist())
    line = _compare(model, path.parent, tensors, clean[:COMPARED], seen, strengths)
    content = _serialise(model, tensors)
    manifest = json.loads((path.parent / MANIFEST).read_text(encoding="utf-8"))
    manifest["restoration"] = {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "of": shipped.sha256,
        "training": training_of(record),
    }
    write_file(path, content)
    write_file(path.parent / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode("utf-8"))
    return [line]


def _root_error(x: Pixels, y: Pixels) -> float:
    """The root mean squared error of two pictures, in levels."""
    return float(np.sqrt(np.square(x.astype(np.float32) - y).mean()))


def _compare(
    model: CompressionModel,
    folder: Path,
    tensors: dict[str, AnyArray],
    clean: Sequence[Pixels],
    seen: Sequence[Pixels],
    strengths: Sequence[float],
) -> str:
    """What integers lose against floating point on degraded crops, as a line. Raises WeightsError if it is too much."""
    others, _ = load_integers(folder)
    restorer, trained = Restorer(restoring_on_cpu(restoration_of(others, tensors))), Restoration(model)
    ratios = []
    for crop, degraded, strength in zip(clean, seen, strengths, strict=False):
        with torch.inference_mode():
            x = torch.tensor(degraded)[None].float() / 255 - 0.5
            floating = (255 * trained(x, rates_of(torch.tensor([strength])))[0] + 127.5).round().clamp(0, 255)
        shown = floating.byte().numpy(), restorer.restore(degraded, strength)
        ratios.append([max(_root_error(crop, own), 0.5) for own in shown])
    logs = 2 * np.log(np.array(ratios))
    ratio = float(np.exp((logs[:, 1] - logs[:, 0]).mean()))
    if ratio > MOST_ERROR:
        raise WeightsError(f"restored by integers, crops have {ratio:.3f} times the squared error")
    return f"squared error by integers: {ratio:.3f} of that in floating point"


def _serialise(model: CompressionModel, tensors: dict[str, AnyArray]) -> bytes:
    """The bytes of a weights file with the integer transform and the trained one."""
    from safetensors.numpy import save

    trained = {TRAINED + key: compact(TRAINED + key, value) for key, value in model.analysis.state_dict().items()}
    return save({**tensors, **trained}, metadata={"config": json.dumps(model.config.to_dict())})
