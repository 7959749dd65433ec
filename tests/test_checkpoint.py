"""Weights: what is shipped is whole, and what is not is refused with its reason."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from cae.bitstream.errors import MissingWeightsError, WeightsError
from cae.codec.checkpoint import MANIFEST, load_frozen, parse_frozen, parse_trained, serialise, weights_folder


@pytest.fixture(scope="module")
def shipped() -> bytes:
    return next(weights_folder().glob("*.safetensors")).read_bytes()


def folder_with(folder: Path, content: bytes) -> Path:
    (folder / "w.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    (folder / MANIFEST).write_text(json.dumps({"file": "w.safetensors", "sha256": digest}))
    return folder


def test_shipped_weights_are_small_and_described(shipped: bytes) -> None:
    manifest = json.loads((weights_folder() / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["sha256"] == hashlib.sha256(shipped).hexdigest()
    assert load_frozen()[1] == bytes.fromhex(manifest["sha256"])[:4]
    assert {"config", "training", "kodak"} <= manifest.keys()
    assert len(shipped) < 25_000_000


def test_serialise_and_parse(shipped: bytes) -> None:
    trained, frozen = parse_trained(shipped, "w"), parse_frozen(shipped, "w")
    assert serialise(frozen, trained) == shipped


def test_missing_and_damaged(tmp_path: Path, shipped: bytes) -> None:
    with pytest.raises(MissingWeightsError, match="no weights in"):
        load_frozen(tmp_path)
    folder_with(tmp_path, shipped)
    path = tmp_path / "w.safetensors"
    path.write_bytes(shipped[:-1] + bytes([shipped[-1] ^ 1]))
    with pytest.raises(WeightsError, match="damaged"):
        load_frozen(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(WeightsError, match="malformed"):
        load_frozen(tmp_path)


def test_other_files_are_refused(tmp_path: Path, shipped: bytes) -> None:
    with pytest.raises(WeightsError, match="not a file of weights"):
        load_frozen(folder_with(tmp_path, b"something else"))
    tensors = load(shipped)
    config = json.dumps(load_frozen()[0].config.to_dict())
    name = next(key for key in tensors if key.startswith("prior.") and key.endswith("expand.weight"))
    gate = next(key for key in tensors if key.endswith("gate.multiplier"))
    for change, reason in (
        ({name: None}, "does not hold"),
        ({"extra": torch.zeros(1)}, "does not hold"),
        ({name: torch.full_like(tensors[name], 32767)}, "too large"),
        ({"unit": torch.full_like(tensors["unit"], 2**30)}, "out of range"),
        ({"counts": tensors["counts"] + 1}, "sum"),
        ({"hyper_rows": tensors["hyper_rows"] * 0}, "hyper-latents"),
        ({gate: torch.full_like(tensors[gate], 3.0)}, "power of two"),
    ):
        changed = {key: value for key, value in (tensors | change).items() if value is not None}
        with pytest.raises(WeightsError, match=reason):
            parse_frozen(save(changed, metadata={"config": config}), "w")
    with pytest.raises(WeightsError, match="configuration"):
        parse_frozen(save(tensors, metadata={"config": "{}"}), "w")
