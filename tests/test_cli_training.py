"""`cae train` and `cae freeze`, as a user runs them, for a single step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import skimage.data
from PIL import Image

from cae.codec.checkpoint import load_frozen
from cae.codec.training import loop, release

Run = Callable[..., CompletedProcess[str]]


def test_train_and_freeze(cae: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "CALIBRATION_CROPS", 2)
    covariance = loop.patch_covariance
    monkeypatch.setattr(loop, "patch_covariance", lambda source, random: covariance(source, random, crops=50))
    data, run, weights = tmp_path / "data", tmp_path / "run", tmp_path / "weights"
    data.mkdir()
    Image.fromarray(skimage.data.astronaut()).save(data / "photo.png")  # type: ignore[no-untyped-call]
    trained = cae("train", data, "--out", run, "--steps", 1, "--device", "cpu")
    assert trained.returncode == 0
    assert "1 images" in trained.stdout
    assert "finished" in trained.stdout
    frozen = cae("freeze", run, data, "--out", weights)
    assert frozen.returncode == 0
    assert "cae.safetensors" in frozen.stdout
    model, fingerprint = load_frozen(weights)
    assert len(fingerprint) == 4
    assert model.probability_tables()


def test_nothing_to_train_on(cae: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "data" / "tiny.png")
    result = cae("train", tmp_path / "data", "--out", tmp_path / "run", "--steps", 1)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "at least 256 pixels" in result.stderr
    assert not (tmp_path / "run").exists()
