"""The state of a run on disk: compact, without pickle, in files of limited size, replaced as a whole.

RUN/checkpoint/state.json and part-NN.safetensors hold the weights in float32, the second moments of the optimiser in
bfloat16 and the averaged weights in float16 (tables in float32): 8 bytes a parameter. First moments are not kept: with
a decay of 0.9 they are ten steps old (Muon's, with 0.95, twenty), and starting them from 0 acts as a warm-up.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...bitstream.errors import InputError
from .recipe import Position, decay, stored

CHECKPOINT = "checkpoint"
"""The folder, in that of a run, of its last state."""

STATE = "state.json"

MODEL = "model."
AVERAGE = "average."
"""Prefixes of the tensors of the weights in training and of the averaged ones."""

UNSPLIT = 2**63
"""A `part_bytes` that no file exceeds."""


def save_state(folder: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any], part_bytes: int) -> None:
    """Writes tensors and values to a new folder, then puts it in the place of `folder`, which stays whole until then.

    values: for JSON. part_bytes: largest size of a file of tensors, header aside; a single tensor is never split.
    Raises OSError, having removed what it wrote."""
    new, old = _beside(folder, ".new"), _beside(folder, ".old")
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        parts: list[dict[str, Tensor]] = [{}]
        size = 0
        for key, tensor in tensors.items():
            if parts[-1] and size + tensor.nbytes > part_bytes:
                parts.append({})
                size = 0
            # A copy: two names may stand for one tensor.
            parts[-1][key] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            size += tensor.nbytes
        for index, part in enumerate(parts):
            save_file(part, new / f"part-{index:02d}.safetensors")
        (new / STATE).write_text(json.dumps({**values, "parts": len(parts)}, indent=1), encoding="utf-8")
    except (OSError, safetensors.SafetensorError) as error:  # the latter is what a full disk gives
        shutil.rmtree(new, ignore_errors=True)
        raise OSError(f"the checkpoint could not be written: {error}") from error
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def find_state(folder: Path) -> Path | None:
    """The folder of the last whole state: `folder`, or if its replacement was interrupted, the one before; None where
    there is neither."""
    return next((path for path in (folder, _beside(folder, ".old")) if (path / STATE).is_file()), None)


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and values that `save_state` wrote. Raises InputError where a file is missing or damaged."""
    try:
        values: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
        tensors: dict[str, Tensor] = {}
        for index in range(values.pop("parts")):
            tensors |= load_file(folder / f"part-{index:02d}.safetensors")
        return tensors, values
    except (OSError, ValueError, KeyError, TypeError, AttributeError, safetensors.SafetensorError) as error:
        raise InputError(f"{folder} is not a whole checkpoint: {error}") from error


def begin_decay(stable: Path, run: Path, minutes: float, part_bytes: int = UNSPLIT) -> None:
    """Begins a run in a new folder from the last state of another, `stable`, to end that in so many minutes while its
    learning rate goes to 0 (`recipe.decay`). The other run can go on itself. Raises InputError where there is no run,
    or one in the new folder already, OSError."""
    folder = find_state(stable / CHECKPOINT)
    if folder is None:
        raise InputError(f"there is no training run in {stable}")
    if find_state(run / CHECKPOINT):
        raise InputError(f"there is a training run in {run} already")
    tensors, values = load_state(folder)
    plan, _ = stored(values)
    values |= {"recipe": decay(plan, minutes).to_dict(), "position": asdict(Position()), "selection": None}
    save_state(run / CHECKPOINT, tensors, values, part_bytes)


def pack_model(model: torch.nn.Module, prefix: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """A model's tensors under a prefix; matrices and biases in `dtype`, tables in float32."""
    return {
        prefix + key: value if key.endswith(("knots", "sigma")) else value.to(dtype)
        for key, value in model.state_dict().items()
    }


def unpack(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A model's tensors under a prefix, as `pack_model` packed them, without the prefix and in float32."""
    return {key.removeprefix(prefix): value.float() for key, value in tensors.items() if key.startswith(prefix)}


def pack_moments(optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str]) -> dict[str, Tensor]:
    """The second moments of an optimiser of the Adam family, by parameter name: bfloat16."""
    return {
        "moment." + names[parameter]: state["exp_avg_sq"].to(torch.bfloat16)
        for parameter, state in optimizer.state.items()
    }


def unpack_moments(
    optimizer: torch.optim.Optimizer, names: Mapping[Tensor, str], tensors: Mapping[str, Tensor], step: int
) -> None:
    """Restores second moments, of so many steps, in an optimiser of the Adam family; first moments are 0."""
    for parameter, name in names.items():
        moment = tensors.get("moment." + name)
        if moment is not None:
            optimizer.state[parameter] = {
                # On the parameter's device, as the fused implementation wants it.
                "step": torch.tensor(float(step), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": moment.to(parameter.device, torch.float32),
            }


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)
