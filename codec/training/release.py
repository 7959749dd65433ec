"""Releases the weights of a run: freezes them, tests them, writes the file and describes it in the manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...bitstream.errors import DecodeMismatchError, InputError, MissingWeightsError, WeightsError
from ...bitstream.header import FINGERPRINT_BYTES
from ..image.picture import read_picture
from ..machine.files import write_file
from ..model.arrays import Pixels
from ..model.config import ModelConfig
from ..model.integer_weights import parse_integers
from ..model.weights import MANIFEST, find_weights, installed_weights, read_weights
from ..torch_codec import Codec
from . import integer_check, state
from .checkpoint import parse_trained, serialise, training_of
from .data import CropSource
from .freezing.freeze import freeze
from .model.model import CompressionModel
from .release_restoration import release_restoration
from .restoration import put_restoring
from .validate import BEST

CALIBRATION_CROPS = 256
CALIBRATION_SIDE = 256
SELF_TEST_CROPS = 4
COMPARED_CROPS = 40
"""Crops for calibration, their pixels to a side, and how many of them are coded in the self-test and compared with
floating point."""


def release(run: Path, path: Path, data: Sequence[Path] = ()) -> list[str]:
    """Freezes the averaged weights of a run, writes them to `path` and names them in the manifest beside it. Returns
    lines about the integer networks, from `integer_check.check`.

    Takes the run's best evaluated weights, or where nothing was evaluated its last. Calibration takes random crops of
    `data`, or of what the run was trained on. Raises InputError for a run that is not there, or data that is gone, and
    WeightsError for integer networks that do not show what the trained ones do; nothing is written then."""
    model, record = load_run(run)
    if record["recipe"]["restores"]:
        return release_restoration(model, record, path, sources_of(record, data))
    older = _others(path)
    sources = sources_of(record, data)
    # Rounded as the file has them, in float16, so that its integers can be made again from it.
    for part in (model.analysis, model.hyper_analysis, model.synthesis):
        for parameter in part.parameters():
            parameter.data = parameter.data.half().float()
    source = CropSource(sources, smallest=CALIBRATION_SIDE)
    random = np.random.default_rng(0)
    crops = [np.array(source.crop(CALIBRATION_SIDE, random)) for _ in range(CALIBRATION_CROPS)]
    content = serialise(freeze(model, crops), model)
    codec = Codec(parse_integers(content, str(path)), bytes(FINGERPRINT_BYTES))
    self_test(codec, str(path), crops[:SELF_TEST_CROPS])
    lines = integer_check.check(model.requires_grad_(False).eval(), codec.coder, crops[:COMPARED_CROPS])
    manifest = {
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "config": record["config"],
        "training": {**training_of(record), "from": record["origin"]},
    }
    if older:
        manifest["older"] = older
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, content)
    write_file(path.parent / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode("utf-8"))
    return lines


def sources_of(record: dict[str, Any], data: Sequence[Path]) -> list[Path]:
    """Where images to calibrate with are: `data`, or else what a run was trained on, by its record. Raises InputError
    for data that is gone."""
    sources = list(data) or [Path(source) for source in record["data"]]
    missing = [str(source) for source in sources if not source.exists()]
    if missing:
        raise InputError(f"the training data is gone from {', '.join(missing)}; say where images are")
    return sources


def _others(path: Path) -> list[dict[str, str]]:
    """Other weights in a weights file's folder, for files made with them: objects of the manifest's "older". Raises
    WeightsError for a malformed manifest."""
    try:
        known = installed_weights(path.parent)
    except MissingWeightsError:
        return []
    return [{"file": other.path.name, "sha256": other.sha256} for other in known if other.path.name != path.name]


def load_run(run: Path) -> tuple[CompressionModel, dict[str, Any]]:
    """The averaged weights of a run, the best evaluated or else the last, and the record of how they were made. Raises
    InputError where there is no run, or a damaged one."""
    folder = state.find_state(run / BEST) or state.find_state(run / state.CHECKPOINT)
    if folder is None:
        raise InputError(f"there is no training run in {run}")
    tensors, record = state.load_state(folder)
    model = CompressionModel(ModelConfig.from_dict(record["config"]))
    if record["recipe"]["restores"]:
        put_restoring(model)
    model.load_state_dict(state.unpack(tensors, state.AVERAGE))
    model.bound()
    return model, record


def load_start(weights: Path) -> tuple[CompressionModel, dict[str, Any]]:
    """A model to train further, from a weights folder or a file in one, and its origin, for the manifest: its digest
    and how it was trained. Raises MissingWeightsError, WeightsError."""
    folder = weights if weights.is_dir() else weights.parent
    shipped = find_weights(folder)  # the manifest is sound after this
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if weights.is_dir():
        weights, content = shipped.path, read_weights(shipped)
    else:
        try:
            content = weights.read_bytes()
        except OSError as error:
            raise MissingWeightsError(f"{weights}: {error.strerror or error}") from error
    digest = hashlib.sha256(content).hexdigest()
    training = manifest.get("training") if digest == shipped.sha256 else None
    return parse_trained(content, str(weights)), {"sha256": digest, "training": training}


def self_test(codec: Codec, name: str, crops: Sequence[Pixels]) -> None:
    """Codes crops, uint8 [S, S, 3], with weights as they will be read, and decodes them, on one thread and on all.
    Raises WeightsError if files or pixels differ between the two, or decoded latents from those encoded."""
    threads = torch.get_num_threads()
    for index, crop in enumerate(crops):
        picture, quality = read_picture(crop), 100 * index / max(1, len(crops) - 1)
        try:
            files, decoded = [], []
            for count in (1, threads):
                torch.set_num_threads(count)
                files.append(codec.encode(picture, quality))
                decoded.append(codec.decode(files[0]).pixels)  # checks its latents by the encoder's checksum
            if files[0] != files[1] or not np.array_equal(decoded[0], decoded[1]):
                raise WeightsError(f"{name} does not give the same file and pixels on {threads} threads")
        except DecodeMismatchError as error:
            raise WeightsError(f"{name} does not decode exactly: {error}") from error
        finally:
            torch.set_num_threads(threads)
