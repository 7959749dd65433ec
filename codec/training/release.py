"""From a finished run to the weights folder: freeze, write the file, describe it in the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..checkpoint import MANIFEST, serialise
from ..config import ModelConfig
from ..freeze import freeze
from ..model import CompressionModel
from .data import CropSource

CALIBRATION_CROPS = 256
CALIBRATION_SIDE = 256


def release(run: Path, data: Sequence[Path], folder: Path, name: str) -> Path:
    """Freezes the averaged weights of a run and writes `folder`/name.safetensors and the manifest that names it.

    Calibration takes random crops of `data`, the training images. Returns the path of the weights.
    """
    state: dict[str, Any] = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = CompressionModel(ModelConfig.from_dict(state["config"]))
    model.load_state_dict(state["average"])
    # What is shipped is in float16, so that is what must be calibrated.
    for part in (model.analysis, model.hyper_analysis, model.synthesis):
        for parameter in part.parameters():
            parameter.data = parameter.data.half().float()
    source = CropSource(data, smallest=CALIBRATION_SIDE)
    random = np.random.default_rng(0)
    crops = [np.array(source.crop(CALIBRATION_SIDE, random)) for _ in range(CALIBRATION_CROPS)]
    content = serialise(freeze(model, crops), model)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.safetensors"
    manifest = {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "config": state["config"],
        "training": {
            "data": [source.name for source in data],
            "images": len(source),
            "steps": state["step"],
            "minutes": round(state["seconds"] / 60, 1),
            "schedule": state["schedule"],
            "device": state["device"],
        },
    }
    _write(path, content)
    _write(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode("utf-8"))
    return path


def _write(path: Path, content: bytes) -> None:
    """By way of a file beside it, so that it is never half-written."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_bytes(content)
    temporary.replace(path)
